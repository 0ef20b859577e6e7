"""The request's path: admit, normalise, score, decide, dispatch, account. Read it top to bottom.

Edges (gRPC and HTTP) hand in a `Request` and turn what comes back into their protocol; everything in between is here
or one call away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from operator import attrgetter

from steersman.openai_api.answer import Reading, StreamReading
from steersman.openai_api.body import ChatBody
from steersman.router import policy as rule
from steersman.router.accounting import Ledger, Record
from steersman.router.delivery import Delivery, Order
from steersman.router.demand import Demand
from steersman.router.dispatch import Answer
from steersman.router.ids import new_id
from steersman.router.model import (
    Caller,
    Catalogue,
    Decision,
    Needs,
    Policy,
    Reason,
    Rights,
    Scored,
    Session,
    Usage,
)
from steersman.router.normalise import Limits, routed_text
from steersman.router.scoring import Scorer
from steersman.router.sessions import Conversation, Sessions
from steersman.runtime.deadline import Deadline
from steersman.runtime.errors import (
    DeadlineExceeded,
    Error,
    InvalidRequest,
    Overloaded,
    Unavailable,
    UnknownModel,
)


@dataclass(frozen=True, slots=True)
class Request:
    """A query as an edge hands it in."""

    caller: Caller
    model: str
    """Name of a policy or a tier; empty for the default policy."""
    body: ChatBody
    deadline: Deadline
    threshold: float | None = None
    session_id: str = ""
    """The caller's own name of the conversation; empty where it has none."""
    received_at: float = 0.0
    """When the edge began with it, in seconds of `time.perf_counter`."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the request's model stands for: a policy, and the one tier of it that the caller insists on, if any."""

    policy: Policy
    tier: str | None
    boundaries: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Sitting:
    """A request's place in a conversation, and where that stood before it."""

    conversation: Conversation
    before: Session | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A decision, with what it was made from; a request keeps to it even when the catalogue changes meanwhile."""

    catalogue: Catalogue
    decision: Decision
    needs: Needs
    sitting: Sitting | None = None


@dataclass(slots=True)
class Routing:
    """Routes queries.

    Args:
        catalogue: Tiers and policies; replaced as a whole when the policy file changes.
        scorer: Scores texts.
        sessions: Remember where conversations stand.
        delivery: Has what was decided carried out.
        demand: Counts what is wanted.
        ledger: Takes the record of each request.
        limits: Bounds of the routed text.
        max_in_flight: Requests at once; one more is refused.
    """

    catalogue: Catalogue
    scorer: Scorer
    sessions: Sessions
    delivery: Delivery
    demand: Demand
    ledger: Ledger
    limits: Limits
    max_in_flight: int

    async def route(self, request: Request) -> Record:
        """Decide which tier should answer, and call none."""
        with self._admitted(request) as record:
            plan = await self._decide(request, record)
            self._remember(plan, address="")
            return record

    async def stream(self, request: Request) -> AsyncGenerator[tuple[Record, Sequence[bytes]], None]:
        """Answer as a stream: the record as it stands, and the chunks that have come.

        The first item comes when the answer has begun, so that the decision in it is final. The last item has no
        chunks, and in its record usage and cost.
        """
        reading = StreamReading(show_usage=request.body.wants_usage)
        with self._admitted(request) as record:
            plan = await self._decide(request, record)
            async with aclosing(self._answer(request, record, plan, stream=True)) as pieces:
                async for chunks in pieces:
                    if shown := reading.visible(chunks):
                        yield record, shown
            _charge(record, plan, reading)
            yield record, ()

    async def complete(self, request: Request) -> tuple[Record, bytes]:
        """Answer in one message: the record, and the engine's response body as it came."""
        with self._admitted(request) as record:
            plan = await self._decide(request, record)
            async with aclosing(self._answer(request, record, plan, stream=False)) as pieces:
                body = b"".join([chunk async for chunks in pieces for chunk in chunks])
            reading = Reading()
            reading.of_body(body)
            _charge(record, plan, reading)
            return record, body

    @contextmanager
    def _admitted(self, request: Request) -> Iterator[Record]:
        """The record of a request that is let in; it is closed whichever way the request ends."""
        record = Record(request.caller)
        try:
            self._check_room(request)
            with self.demand.of_router() as want:
                want.runs()
                yield record
        except BaseException as error:
            record.outcome = _outcome(error)
            raise
        finally:
            self.ledger.closed(record)

    def _check_room(self, request: Request) -> None:
        if self.demand.router.running >= self.max_in_flight:
            with self.demand.of_router() as want:
                want.unmet()
            raise Overloaded("this router has too many requests in progress", reason="ROUTER_FULL")
        if request.deadline.passed:
            raise DeadlineExceeded("the deadline has passed already")

    async def _decide(self, request: Request, record: Record) -> Plan:
        catalogue = self.catalogue
        chosen = _chosen(catalogue, request)
        body = request.body
        needs = Needs(body.tokens, body.images, body.tools, body.json_schema)
        text = routed_text(body.turns, self.limits)
        record.stages.admission = time.perf_counter() - request.received_at
        scored, sitting = Scored(), None
        if chosen.tier is None and len(chosen.policy.tiers) > 1:
            sitting = await self._sitting(request, chosen.policy, record)
            scored = await self.scorer.score(
                text.text, tenant=request.caller.tenant, deadline=request.deadline, stages=record.stages
            )
        started = time.perf_counter()
        if chosen.tier is not None:
            tier, reason = rule.override(chosen.tier, tiers=catalogue.tiers, needs=needs)
        else:
            tier, reason = rule.choose(
                chosen.policy,
                boundaries=chosen.boundaries,
                scored=scored,
                stand_in=lambda: rule.stand_in_of(text.text),
                tiers=catalogue.tiers,
                needs=needs,
                before=_before(sitting),
            )
        truncated = text.truncated or (scored.assessment is not None and scored.assessment.truncated)
        decision = Decision(new_id(), tier, tier, reason, chosen.policy, chosen.boundaries, scored, truncated)
        record.decision = decision
        record.stages.decide = time.perf_counter() - started
        return Plan(catalogue, decision, needs, sitting)

    async def _sitting(self, request: Request, policy: Policy, record: Record) -> Sitting | None:
        """The request's place in its conversation, where the policy heeds that."""
        if policy.sticky is None:
            return None
        started = time.perf_counter()
        conversation = self.sessions.of(
            request.body.turns, tenant=request.caller.tenant, session_id=request.session_id
        )
        before = await self.sessions.recall(conversation)
        record.stages.cache += time.perf_counter() - started
        return Sitting(conversation, before)

    def _remember(self, plan: Plan, *, address: str) -> None:
        """Note where the conversation stands: at the tier that was decided, even if another one has stood in."""
        if plan.sitting is not None:
            session = Session(plan.decision.wanted_tier, address)
            self.sessions.remember(plan.sitting.conversation, session)

    async def _answer(
        self, request: Request, record: Record, plan: Plan, *, stream: bool
    ) -> AsyncGenerator[Sequence[bytes], None]:
        """The answer of the decided tier, or of another that the policy allows when that cannot be reached."""
        started = time.perf_counter()
        with self.demand.of_tier(plan.decision.wanted_tier) as want:
            try:
                answer, excuse = await self.delivery.answer(self._order(request, plan, stream=stream), record)
            except (Unavailable, Overloaded, DeadlineExceeded):  # more of the tier might have met it
                want.unmet()
                raise
            record.first_byte_seconds = time.perf_counter() - started
            record.stages.dispatch = answer.sent_at - started - record.waited_seconds
            record.retries = answer.retries
            self._remember(plan, address=answer.address)
            if excuse is None:
                want.runs()
            else:
                want.unmet()
                record.decision = replace(plan.decision, tier=answer.tier.name, reason=excuse)
            async with aclosing(answer.pieces) as pieces:
                async for chunks in pieces:
                    yield chunks

    def _order(self, request: Request, plan: Plan, *, stream: bool) -> Order:
        decision, tiers = plan.decision, plan.catalogue.tiers
        others: list[str] = []
        if decision.reason is not Reason.OVERRIDE:
            others = rule.alternatives(decision.policy, decision.tier, tiers=tiers, needs=plan.needs)

        def encode(model: str) -> bytes:
            return request.body.encode(model, stream=stream)

        before = plan.sitting and plan.sitting.before

        def send(name: str) -> Awaitable[Answer]:
            return self.delivery.dispatcher.send(
                tiers[name],
                encode,
                stream=stream,
                deadline=request.deadline,
                prefer=before.address if before else "",
            )

        def size() -> int:
            return len(encode(tiers[decision.tier].model))

        return Order(decision.tier, others, decision.policy.when_cold, request.deadline, size, send)


def _before(sitting: Sitting | None) -> rule.Before | None:
    if sitting is None or sitting.before is None:
        return None
    return rule.Before(sitting.before.tier, sitting.conversation.same_turn)


def _charge(record: Record, plan: Plan, reading: Reading) -> None:
    usage = Usage(reading.prompt_tokens, reading.completion_tokens, reading.cached_tokens)
    record.finish_reason, record.served_model = reading.finish_reason, reading.model
    served = record.decision or plan.decision
    tiers = plan.catalogue.tiers
    record.charge(usage, tiers[served.tier], tiers[plan.decision.policy.tiers[-1]])


def _outcome(error: BaseException) -> str:
    if isinstance(error, Error):
        return error.reason
    gone = isinstance(error, (asyncio.CancelledError, GeneratorExit))
    return "CANCELLED" if gone else "INTERNAL"


def _chosen(catalogue: Catalogue, request: Request) -> Chosen:
    """What the model's name stands for.

    Raises:
        UnknownModel: It is the name of no policy and of no tier that the tenant may use.
        InvalidRequest: The threshold is out of range, or the policy has no single boundary.
    """
    if request.threshold is not None and not 0.0 <= request.threshold <= 1.0:  # NaN is not
        raise InvalidRequest("threshold", "must be a number from 0 to 1")
    rights = catalogue.rights(request.caller.tenant)
    name = request.model or rights.default_policy or catalogue.default_policy
    policy = catalogue.policies.get(name)
    if policy is None or not rights.allow_policy(policy):
        tier = _tier_named(catalogue, name, rights)
        return Chosen(Policy("", "", (tier,), ()), tier, ())
    if request.threshold is None:
        return Chosen(policy, None, policy.boundaries)
    if len(policy.boundaries) != 1:
        raise InvalidRequest("threshold", f"policy {policy.name} does not have exactly two tiers")
    return Chosen(policy, None, (request.threshold,))


def _tier_named(catalogue: Catalogue, name: str, rights: Rights) -> str:
    """The tier of this name, or else the first one whose model has it, among those that the tenant may use."""
    allowed = [tier for tier in catalogue.tiers.values() if rights.allow_tier(tier.name)]
    for called in (attrgetter("name"), attrgetter("model")):
        for tier in allowed:
            if called(tier) == name:
                return tier.name
    known = ", ".join(model_names(catalogue, rights)) or "none for this tenant"
    raise UnknownModel("model", f"no policy or tier has this name; there are {known}")


def model_names(catalogue: Catalogue, rights: Rights) -> list[str]:
    """What a tenant may give as the model: policies first."""
    policies = [name for name, policy in catalogue.policies.items() if rights.allow_policy(policy)]
    return [*policies, *filter(rights.allow_tier, catalogue.tiers)]
