"""A dispatcher before one tier of fakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import orjson

from fakes.catalogue import a_tier
from fakes.clock import FakeClock
from fakes.router import a_fleet
from fakes.upstream import FakeUpstream
from steersman.router.attempt import Errand
from steersman.router.dispatch import Answer, Dispatcher, Pieces
from steersman.router.fleet import Member
from steersman.router.ports import Upstream
from steersman.router.prospects import Patience
from steersman.router.retry import RetryBudget
from steersman.runtime.deadline import Deadline
from steersman.runtime.errors import Error

TIER: Final = a_tier("weak")
PATIENT: Final = Patience(first_byte=5.0, whole=5.0, idle=5.0, attempts=3)
SHORT: Final = 0.02
"""Seconds of the patience that a test wants to see run out."""


class Dispatching:
    """A dispatcher before one tier of fakes."""

    def __init__(self, *upstreams: FakeUpstream) -> None:
        self.upstreams = upstreams
        self.clock = FakeClock()
        self.retried: list[tuple[str, str]] = []
        self.dispatcher = Dispatcher({}, PATIENT, RetryBudget(clock=self.clock), self.note)

    async def start(self) -> Dispatching:
        fleet = a_fleet(self.upstreams, self.clock)
        await fleet.refresh()
        self.dispatcher.fleets = {TIER.name: fleet}
        return self

    def note(self, tier: str, reason: str) -> None:
        self.retried.append((tier, reason))

    def be(self, **patience: float) -> None:
        """Change the dispatcher's patience."""
        self.dispatcher.patience = replace(PATIENT, **patience)  # type: ignore[arg-type]  # all are numbers

    @property
    def members(self) -> Sequence[Member[Upstream]]:
        return self.dispatcher.fleets[TIER.name].members

    @property
    def seen(self) -> list[int]:
        """Requests that each upstream has seen."""
        return [len(upstream.seen) for upstream in self.upstreams]

    async def send(
        self, *, stream: bool = True, seconds: float = 60.0, instead: Sequence[str] = ()
    ) -> Answer[Pieces]:
        """Have it answer; what is not streamed is told as a stream of one piece."""
        errand = Errand(orjson.dumps({"model": TIER.model}), Deadline.after(seconds), instead=instead)
        if stream:
            return await self.dispatcher.stream(TIER, errand)
        whole = await self.dispatcher.complete(TIER, errand)
        return Answer(whole.tier, _one_piece(whole.content), whole.sent_at, whole.retries, whole.address)

    async def all_of(self, *, stream: bool = True) -> list[Sequence[bytes]]:
        """The pieces of a whole answer."""
        return [piece async for piece in (await self.send(stream=stream)).content]


async def _one_piece(body: bytes) -> Pieces:
    yield [body]


async def dispatching(count: int = 1) -> Dispatching:
    """A tier with so many addresses."""
    return await Dispatching(*(FakeUpstream(f"weak-{number}:1") for number in range(count))).start()


async def one_bad(error: Error, count: int = 2) -> Dispatching:
    """A tier whose first address fails and is asked first, as the others are busier."""
    tier = await dispatching(count)
    tier.upstreams[0].error = error
    for member in tier.members[1:]:
        member.in_flight += 1
    return tier
