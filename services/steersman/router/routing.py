"""The request's path: admit, normalise, score, decide, dispatch, account. Read it top to bottom.

Edges (gRPC and HTTP) hand in a `Request` and turn what comes back into their protocol; everything in between is here
or one call away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from steersman.openai_api.answer import Reading, StreamReading
from steersman.openai_api.body import ChatBody
from steersman.router import billing, choosing, policy as rule
from steersman.router.accounting import Captures, Ledger, Record
from steersman.router.attempt import Errand
from steersman.router.delivery import Delivery, Order
from steersman.router.demand import Demand, Want
from steersman.router.dispatch import Answer
from steersman.router.fairness import ROUTER_FULL, FairShares, full
from steersman.router.ids import new_id
from steersman.router.limiting import Limiter
from steersman.router.model import (
    Caller,
    Catalogue,
    Decision,
    Needs,
    Policy,
    Reason,
    Scored,
    Session,
    Tier,
)
from steersman.router.normalise import Limits, routed_text
from steersman.router.plan import Plan, Sitting
from steersman.router.ports import Party
from steersman.router.purse import Allowance
from steersman.router.quotas import Kind
from steersman.router.scoring import Scorer
from steersman.router.sessions import Sessions
from steersman.runtime.deadline import Deadline
from steersman.runtime.errors import (
    DeadlineExceeded,
    Error,
    Overloaded,
    Unavailable,
)

A = TypeVar("A")


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


@dataclass(slots=True)
class Routing:
    """Routes queries.

    Args:
        catalogue: Tiers and policies; replaced as a whole when the policy file changes.
        scorer: Scores texts.
        sessions: Remember where conversations stand.
        limiter: Keeps tenants to their quotas.
        delivery: Has what was decided carried out.
        demand: Counts what is wanted.
        ledger: Takes the record of each request.
        limits: Bounds of the routed text.
        shares: Say whose requests are let in when there are too many.
        captures: Takes prompts of those tenants that have some of them kept.
    """

    catalogue: Catalogue
    scorer: Scorer
    sessions: Sessions
    limiter: Limiter
    delivery: Delivery
    demand: Demand
    ledger: Ledger
    limits: Limits
    shares: FairShares
    captures: Captures

    def refuse_early(self, caller: Caller) -> None:
        """To be asked by an edge as soon as it knows who calls, before it reads what is asked.

        Raises:
            Overloaded: There is no room or no time for a request of this tenant.
        """
        weight = self.catalogue.rights(caller.tenant).weight
        if self.shares.has_room(caller.tenant, weight) and self.shares.has_time(caller.tenant, weight):
            return
        with self.demand.of_router() as want:
            want.unmet()
        self.ledger.closed(Record(caller, outcome=ROUTER_FULL))
        raise full()

    @contextmanager
    def reading(self, caller: Caller) -> Iterator[None]:
        """A caller's request is being read as long as the context lasts, and has its slot already.

        Raises:
            Overloaded: As for `refuse_early`.
        """
        self.refuse_early(caller)
        weight = self.catalogue.rights(caller.tenant).weight
        with self.shares.entered(caller.tenant, weight, work=0.0), self.demand.of_router() as want:
            want.runs()
            yield

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
        ask = self.delivery.dispatcher.stream
        with self._admitted(request) as record:
            plan = await self._decide(request, record)
            with self.demand.of_tier(plan.decision.wanted_tier) as want:
                order = self._order(request, record, plan, ask, stream=True)
                with billing.billed(record, plan, request.body, reading):
                    async with aclosing(await self._answer(order, record, plan, want)) as pieces:
                        async for chunks in pieces:
                            if shown := reading.visible(chunks):
                                yield record, shown
            yield record, ()

    async def complete(self, request: Request) -> tuple[Record, bytes]:
        """Answer in one message: the record, and the engine's response body as it came."""
        reading = Reading()
        ask = self.delivery.dispatcher.complete
        with self._admitted(request) as record:
            plan = await self._decide(request, record)
            with self.demand.of_tier(plan.decision.wanted_tier) as want:
                order = self._order(request, record, plan, ask, stream=False)
                with billing.billed(record, plan, request.body, reading):
                    body = await self._answer(order, record, plan, want)
                    reading.of_body(body)
            return record, body

    @contextmanager
    def _admitted(self, request: Request) -> Iterator[Record]:
        """The record of a request that is let in; it is closed whichever way the request ends."""
        record, tenant = Record(request.caller), request.caller.tenant
        rights = self.catalogue.rights(tenant)
        try:
            self._check_room(request, rights.weight)
            with self.shares.entered(tenant, rights.weight), self.demand.of_router() as want:
                want.runs()
                yield record
        except BaseException as error:
            record.outcome = _outcome(error)
            raise
        finally:
            billing.settle(self.limiter, record)
            self.ledger.closed(record)
            if rights.captured:
                self.captures.offer(record, request.body, rights.captured)

    def _check_room(self, request: Request, weight: float) -> None:
        if not self.shares.has_room(request.caller.tenant, weight):
            with self.demand.of_router() as want:
                want.unmet()
            raise full()
        if request.deadline.passed:
            raise DeadlineExceeded("the deadline has passed already")

    async def _decide(self, request: Request, record: Record) -> Plan:
        catalogue = self.catalogue
        body, tenant = request.body, request.caller.tenant
        rights = catalogue.rights(tenant)
        chosen = choosing.chosen(catalogue, rights, request.model, request.threshold)
        needs = Needs(body.tokens, body.images, body.tools, body.json_schema)
        record.allowance = await self.limiter.admit(tenant, rights.quotas, tokens=needs.tokens)
        text = routed_text(body.turns, self.limits)
        record.stages.admission = time.perf_counter() - request.received_at
        scored, sitting = Scored(), None
        if chosen.tier is None and len(chosen.policy.tiers) > 1:
            sitting = await self._sitting(request, chosen.policy, record)
            scored = await self.scorer.score(
                text.text, tenant=tenant, deadline=request.deadline, stages=record.stages
            )
        started = time.perf_counter()
        if chosen.tier is not None:
            choice = rule.override(chosen.tier, tiers=catalogue.tiers, needs=needs)
        else:
            choice = rule.choose(
                chosen.policy,
                boundaries=chosen.boundaries,
                scored=scored,
                stand_in=lambda: rule.stand_in_of(text.text),
                tiers=catalogue.tiers,
                needs=needs,
                before=_before(sitting),
            )
        if catalogue.is_strong(choice[0], chosen.policy, rights):
            choice = self._within_budget(choice, chosen.policy, record.allowance, catalogue, needs)
        tier, reason = choice
        truncated = text.truncated or (scored.assessment is not None and scored.assessment.truncated)
        decision = Decision(new_id(), tier, tier, reason, chosen.policy, chosen.boundaries, scored, truncated)
        record.decision, record.wanted_for = decision, reason
        record.stages.decide = time.perf_counter() - started
        return Plan(catalogue, rights, decision, needs, sitting)

    def _within_budget(
        self,
        choice: rule.Choice,
        policy: Policy,
        allowance: Allowance | None,
        catalogue: Catalogue,
        needs: Needs,
    ) -> rule.Choice:
        """The choice of the dearest tier, or a cheaper one where the tenant's calls of that are spent.

        Raises:
            Overloaded: They are, and the tenant would rather wait.
        """
        spent = allowance.spent(Kind.STRONG_CALLS) if allowance else None
        if allowance is None or spent is None:
            return choice
        cheaper = rule.within_budget(policy, choice[0], tiers=catalogue.tiers, needs=needs)
        if cheaper is None or not allowance.quotas.weak_when_spent:
            raise self.limiter.refuse(spent, allowance)
        return cheaper, Reason.BUDGET

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
        """Note where the conversation stands: at the tier that was decided, even if another one has stood in.

        What the tenant's budget decided is no reason to stay there when there is money again.
        """
        sitting, tier = plan.sitting, plan.decision.wanted_tier
        if sitting is None or plan.decision.reason is Reason.BUDGET:
            return
        before = sitting.before
        if not address and before is not None and before.tier == tier:
            address = before.address  # a decision alone moves the conversation to no other pod
        self.sessions.remember(sitting.conversation, Session(tier, address))

    async def _answer(self, order: Order[A], record: Record, plan: Plan, want: Want) -> A:
        """The answer of the decided tier, or of another that the policy allows when that cannot be reached."""
        started = time.perf_counter()
        try:
            answer, excuse = await self.delivery.answer(order, record)
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
        return answer.content

    def _order(
        self,
        request: Request,
        record: Record,
        plan: Plan,
        ask: Callable[[Tier, Errand], Awaitable[Answer[A]]],
        *,
        stream: bool,
    ) -> Order[A]:
        decision, tiers = plan.decision, plan.catalogue.tiers
        others = _stand_ins(plan, record.allowance)
        party = Party(request.caller.tenant, plan.rights.weight)
        in_turn = [decision.tier, *others]

        def body_for(tier: Tier) -> bytes:
            return request.body.encode(tier.model, stream=stream)

        async def send(name: str) -> Answer[A]:
            tier, instead = tiers[name], in_turn[in_turn.index(name) + 1 :]
            errand = Errand(body_for(tier), request.deadline, party, plan.prefer, instead)
            with billing.at_work(record, name):
                return await ask(tier, errand)

        def size() -> int:
            return len(body_for(tiers[decision.tier]))

        return Order(decision.tier, others, decision.policy.when_cold, request.deadline, size, send)


def _stand_ins(plan: Plan, allowance: Allowance | None) -> list[str]:
    """Tiers that may answer in place of the decided one: none for a caller's own choice, and none that is spent."""
    decision = plan.decision
    if decision.reason is Reason.OVERRIDE:
        return []
    others = rule.alternatives(decision.policy, decision.tier, tiers=plan.catalogue.tiers, needs=plan.needs)
    if others and allowance is not None and allowance.spent(Kind.STRONG_CALLS) is not None:
        return [name for name in others if not plan.is_strong(name)]
    return others


def _before(sitting: Sitting | None) -> rule.Before | None:
    if sitting is None or sitting.before is None:
        return None
    return rule.Before(sitting.before.tier, sitting.conversation.same_turn)


def _outcome(error: BaseException) -> str:
    if isinstance(error, Error):
        return error.reason
    gone = isinstance(error, (asyncio.CancelledError, GeneratorExit))
    return "CANCELLED" if gone else "INTERNAL"
