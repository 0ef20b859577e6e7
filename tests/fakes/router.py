"""A whole router on fakes: everything of the request's path is real but what lies behind its ports."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from fakes.addresses import FakeAddresses
from fakes.captures import FakeCaptures
from fakes.catalogue import THRESHOLD, a_catalogue
from fakes.classifier import FakeClassifier
from fakes.clock import FakeClock
from fakes.ledger import FakeLedger
from fakes.shared_store import FakeStore
from fakes.upstream import FakeUpstream
from steersman.openai_api import body
from steersman.router.accounting import Ledgers, Record
from steersman.router.decisions import Decisions, Feedback
from steersman.router.delivery import Delivery
from steersman.router.demand import Demand
from steersman.router.dispatch import Dispatcher
from steersman.router.fairness import FairShares
from steersman.router.fleet import Fleet
from steersman.router.limiting import Limiter, LocalQuotas
from steersman.router.model import Assessment, Caller, Catalogue, Decision, Session
from steersman.router.normalise import Limits
from steersman.router.ports import Upstream
from steersman.router.prospects import Patience
from steersman.router.retry import RetryBudget
from steersman.router.routing import Request, Routing
from steersman.router.scoring import Key, Scorer
from steersman.router.sessions import SessionKeys, Sessions
from steersman.router.upstreams import Upstreams
from steersman.router.waiting import Bounds, WaitingRoom
from steersman.runtime.breaker import Breaker
from steersman.runtime.deadline import Deadline


@dataclass
class RouterOnFakes:
    """A router, and the fakes that it stands on."""

    routing: Routing
    classifier: FakeClassifier
    store: FakeStore[Assessment]
    sessions: FakeStore[Session]
    upstreams: dict[str, list[FakeUpstream]]
    """By tier."""
    decisions: Decisions
    told: FakeStore[bytes]
    """The decisions that replicas share."""
    feedback: list[Feedback]
    ledger: FakeLedger = field(default_factory=FakeLedger)
    captures: FakeCaptures = field(default_factory=FakeCaptures)
    clock: FakeClock = field(default_factory=FakeClock)

    @property
    def demand(self) -> Demand:
        """What the router counts."""
        return self.routing.demand

    @property
    def weak(self) -> FakeUpstream:
        """The first upstream of tier weak."""
        return self.upstreams["weak"][0]

    @property
    def strong(self) -> FakeUpstream:
        """The first upstream of tier strong."""
        return self.upstreams["strong"][0]

    @property
    def idle(self) -> bool:
        """Whether nothing is left over of any request."""
        gauges = [self.demand.router, self.demand.classifier, *self.demand.tiers.values()]
        upstreams = [upstream for tier in self.upstreams.values() for upstream in tier]
        return not any(gauge.waiting or gauge.running for gauge in gauges) and not any(
            upstream.running for upstream in upstreams
        )

    def easy(self) -> None:
        """Have every query score below the threshold."""
        self.classifier.score = lambda _: THRESHOLD - 0.1

    def hard(self) -> None:
        """Have every query score above the threshold."""
        self.classifier.score = lambda _: THRESHOLD + 0.1

    def fail(self, error: Exception | None, *, after: int = 0) -> None:
        """Have every tier fail, after so many pieces of its answer."""
        for tier in self.upstreams.values():
            for upstream in tier:
                upstream.error, upstream.error_at = error, after

    @property
    def dispatcher(self) -> Dispatcher:
        """What gets requests to the upstreams."""
        return self.routing.delivery.dispatcher

    @property
    def room(self) -> WaitingRoom:
        """Where requests wait."""
        return self.routing.delivery.room

    async def wake(self, *tiers: str) -> None:
        """Give tiers back the addresses that they were made with."""
        for tier in tiers:
            await self._find(tier, [upstream.address for upstream in self.upstreams[tier]])

    async def sleep(self, *tiers: str) -> None:
        """Take all addresses from tiers, as scaling to zero does."""
        for tier in tiers:
            await self._find(tier, [])

    async def until_waiting(self, requests: int) -> None:
        """Wait until exactly so many requests are in the waiting room."""
        async with asyncio.timeout(5.0):
            while self.room.requests != requests:  # noqa: ASYNC110 - the room tells nobody who comes
                await asyncio.sleep(0)

    async def _find(self, tier: str, addresses: Sequence[str]) -> None:
        fleet = self.dispatcher.fleets[tier]
        fleet.source = FakeAddresses(addresses)
        await fleet.refresh()
        self.room.found(tier, len(addresses))

    async def decided(self, request: Request | None = None) -> Decision:
        """The decision on a request."""
        record = await self.routing.route(request or a_request())
        assert record.decision is not None
        return record.decision

    async def streamed(self, request: Request) -> tuple[list[bytes], Record]:
        """The chunks of an answer, and its record in the end."""
        async with aclosing(self.routing.stream(request)) as stream:
            items = [item async for item in stream]
        return [chunk for _, chunks in items for chunk in chunks], items[-1][0]


def a_fleet(
    upstreams: Sequence[FakeUpstream], clock: FakeClock | None = None, *, threshold: int = 2
) -> Fleet[Upstream]:
    """A fleet of fakes, not looked for yet, whose breakers open after `threshold` failures and cool in ten seconds."""
    by_address = {upstream.address: upstream for upstream in upstreams}
    clock = clock or FakeClock()

    async def connect(address: str) -> Upstream:
        return by_address[address]

    return Fleet(
        "target",
        FakeAddresses(tuple(by_address)),
        connect,
        partial(Breaker, threshold=threshold, cooldown=10.0, clock=clock),
        clock=clock,
    )


async def router_on_fakes(
    catalogue: Catalogue | None = None,
    *,
    addresses: int = 1,
    patience: Patience | None = None,
    max_in_flight: int = 100,
    bounds: Bounds | None = None,
    sessions: FakeStore[Session] | None = None,
    decided: FakeStore[bytes] | None = None,
) -> RouterOnFakes:
    """A router with so many addresses a tier."""
    catalogue = catalogue or a_catalogue()
    classifier, store, demand, ledger, clock = (
        FakeClassifier(),
        FakeStore[Assessment](),
        Demand(),
        FakeLedger(),
        FakeClock(),
    )
    upstreams = {
        name: [FakeUpstream(f"{name}-{number}:1") for number in range(addresses)] for name in catalogue.tiers
    }
    scorer = Scorer(
        classifier=classifier,
        store=store,
        key=Key(b"secret", 8192),
        demand=demand,
        entries=100,
        ttl_seconds=60.0,
        clock=clock,
    )
    by_target = {tier.upstream.target: upstreams[tier.name] for tier in catalogue.tiers.values()}
    owner = Upstreams(lambda spec: a_fleet(by_target[spec.target], clock), WaitingRoom(bounds or Bounds()))
    await owner.apply({tier.name: tier.upstream for tier in catalogue.tiers.values()})
    dispatcher = Dispatcher(
        fleets=owner.fleets,
        patience=patience or Patience(first_byte=5.0, whole=5.0, idle=5.0),
        budget=RetryBudget(clock=clock),
    )
    shared_sessions = sessions or FakeStore[Session]()
    limiter = Limiter(
        store=LocalQuotas(clock),
        local=LocalQuotas(clock),
        on_refused=lambda _: None,
        on_local=lambda: None,
        clock=clock,
    )
    captures = FakeCaptures()
    told, feedback = decided or FakeStore[bytes](), list[Feedback]()
    decisions = Decisions(
        secret=b"secret", store=told, entries=100, ttl_seconds=60.0, on_feedback=[feedback.append]
    )
    routing = Routing(
        catalogue=catalogue,
        scorer=scorer,
        sessions=Sessions(
            keys=SessionKeys(b"secret"),
            store=shared_sessions,
            entries=100,
            ttl_seconds=60.0,
            on_look=lambda _: None,
        ),
        limiter=limiter,
        delivery=Delivery(dispatcher, owner.room, owner.look),
        demand=demand,
        ledger=Ledgers((ledger, decisions)),
        limits=Limits(),
        shares=FairShares(max_in_flight),
        captures=captures,
    )
    return RouterOnFakes(
        routing,
        classifier,
        store,
        shared_sessions,
        upstreams,
        decisions,
        told,
        feedback,
        ledger,
        captures,
        clock,
    )


def a_request(
    text: str = "What is a rhumb line?",
    *,
    model: str = "",
    threshold: float | None = None,
    seconds: float = 60.0,
    tenant: str = "default",
    session_id: str = "",
    **fields: Any,
) -> Request:
    """A request with one user turn; `fields` are further ones of its body."""
    raw = orjson.dumps({"messages": [{"role": "user", "content": text}], **fields})
    chat = body.parse(raw, max_messages=100)
    return Request(
        caller=Caller(tenant),
        model=model or chat.model,
        body=chat,
        deadline=Deadline.after(seconds),
        threshold=threshold,
        session_id=session_id,
    )
