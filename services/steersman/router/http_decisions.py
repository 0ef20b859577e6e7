"""What callers ask and tell about their own decisions, over HTTP: `/v1/decisions/ID` and `/v1/feedback`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson
from aiohttp import web

from steersman.router import explaining
from steersman.router.accounting import Record
from steersman.router.callers import Callers
from steersman.router.decision_log import facts
from steersman.router.decisions import Decisions
from steersman.router.edges import body_of, edge, json_response, shown_by_request
from steersman.router.ids import made_at
from steersman.runtime.deadline import Deadline
from steersman.runtime.errors import InvalidRequest

_BODY_SECONDS: Final = 10.0
"""How long a body may take to come."""


@dataclass(frozen=True, slots=True)
class DecisionHandlers:
    """Handlers of the paths about decisions.

    Args:
        decisions: Remembers them.
        callers: Knows who calls.
    """

    decisions: Decisions
    callers: Callers

    def add_to(self, app: web.Application) -> None:
        """Have an application serve them."""
        app.router.add_get("/v1/decisions/{id}", edge(self.explain))
        app.router.add_post("/v1/feedback", edge(self.feedback))

    async def explain(self, http: web.Request) -> web.Response:
        """Why this tier."""
        caller = await self.callers.identify(shown_by_request(http))
        record = await self.decisions.find(http.match_info["id"], caller=caller)
        return json_response(explanation(record))

    async def feedback(self, http: web.Request) -> web.Response:
        """How good the answer was."""
        caller = await self.callers.identify(shown_by_request(http))
        decision_id, quality = _feedback(await body_of(http, Deadline.after(_BODY_SECONDS)))
        await self.decisions.rate(decision_id, quality, caller=caller)
        return json_response({"object": "feedback", "id": decision_id, "quality": quality})


def explanation(record: Record) -> dict[str, Any]:
    """A decision and what led to it, as JSON has it; the facts are called as in the decision log."""
    made = explaining.decided(record)
    limit = made.policy.out_of_domain
    return {
        "object": "decision",
        "id": made.id,
        "created": int(made_at(made.id)),
        "sentence": explaining.sentence(record),
        "rule": explaining.rule_of(record).name,
        **facts(record, made),
        "tiers": made.policy.tiers,
        "novelty_limit": limit and limit.novelty,
        "classifier_failure": made.scored.failure and made.scored.failure.name,
        "stages": {f"{name}_seconds": round(seconds, 6) for name, seconds in record.stages.items()},
        "served_model": record.served_model or None,
        "finish_reason": record.finish_reason or None,
        "joules": record.joules,
    }


def _feedback(raw: bytes) -> tuple[str, float | None]:
    """Id and quality of a body; the quality is looked at by whoever takes it."""
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise InvalidRequest("", "the body must be a JSON object") from None
    if not isinstance(found, dict) or not isinstance(found.get("id"), str):
        raise InvalidRequest("id", "must be the id of a decision")
    quality = found.get("quality")
    if isinstance(quality, bool) or not isinstance(quality, int | float | None):
        raise InvalidRequest("quality", "must be a number from 0 to 1")
    return found["id"], quality
