"""How a request gets to an engine: an address is chosen, and another one when that does not answer.

A retry is made before the first byte only, on another address, within the caller's deadline and a budget. After the
first byte a failure is the stream's failure: it ends with a typed error.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.trace import SpanKind

from steersman.router.fleet import Fleet, Member
from steersman.router.model import Tier
from steersman.router.ports import NO_PARTY, Dispatch, Party, Upstream
from steersman.router.refusals import Refusals
from steersman.router.retry import RetryBudget
from steersman.runtime import telemetry
from steersman.runtime.deadline import Deadline
from steersman.runtime.errors import BrokenOff, DeadlineExceeded, Error, Overloaded, Refused, Unavailable

log = logging.getLogger(__name__)

_ELSEWHERE: Final = (Unavailable, Overloaded, DeadlineExceeded)
"""What another address may do better."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an attempt may take.

    Args:
        first_byte: Seconds until a stream begins.
        whole: Seconds until an answer that is not streamed has come.
        idle: Seconds between two pieces of a stream.
        attempts: Attempts on one tier, the first one included.
    """

    first_byte: float = 30.0
    whole: float = 120.0
    idle: float = 30.0
    attempts: int = 3


@dataclass(slots=True)
class Answer:
    """An answer that has begun."""

    tier: Tier
    pieces: AsyncGenerator[Sequence[bytes], None]
    """The whole of it, the first piece included; closing it ends the work at the engine."""
    sent_at: float
    """When the attempt that succeeded began, in seconds of `time.perf_counter`."""
    retries: int
    address: str = ""
    """Who gives it."""


@dataclass(slots=True)
class Dispatcher:
    """Sends requests to tiers.

    Args:
        fleets: The addresses of each tier, by its name; changes as the catalogue does.
        patience: Limits of an attempt.
        budget: For retries.
        on_retry: Told the tier and the reason of each retry.
        refusals: Whom a tier has just refused.
    """

    fleets: Mapping[str, Fleet[Upstream]]
    patience: Patience
    budget: RetryBudget
    on_retry: Callable[[str, str], None] = field(default=lambda _tier, _reason: None)
    refusals: Refusals = field(default_factory=Refusals)

    def is_cold(self, name: str) -> bool:
        """Whether a tier has no address at all, as one that was scaled to zero."""
        fleet = self.fleets.get(name)  # absent when the catalogue has dropped it since
        return fleet is not None and fleet.empty

    async def send(
        self,
        tier: Tier,
        encode: Callable[[str], bytes],
        *,
        stream: bool,
        deadline: Deadline,
        prefer: str = "",
        party: Party = NO_PARTY,
    ) -> Answer:
        """Have a tier answer, and return when the answer has begun.

        Args:
            tier: Which.
            encode: Gives the request's body for the name of an engine's model.
            stream: Whether the body asks for a stream.
            deadline: The caller's.
            prefer: Address that is asked first while its load is near the others'.
            party: For whom.

        Raises:
            Error: The request cannot be answered by this tier; Unavailable when another tier might.
        """
        self.refusals.check(tier.name, party.tenant)
        errand = _Errand(encode(tier.model), stream, deadline, party)
        tried: list[str] = []
        while True:
            member = self._pick(tier, tried, prefer)
            sent_at = time.perf_counter()
            try:
                pieces = await self._begin(tier, member, errand)
            except _ELSEWHERE as error:
                tried.append(member.address)
                if not self._again(tier, tried, error, deadline):
                    if isinstance(error, Overloaded):
                        self.refusals.note(tier.name, party.tenant, error)
                    raise
            else:
                return Answer(tier, pieces, sent_at, len(tried), member.address)

    def _pick(self, tier: Tier, tried: Sequence[str], prefer: str) -> Member[Upstream]:
        fleet = self.fleets.get(tier.name)  # absent when the catalogue has dropped it since
        member = fleet.pick(avoid=tried, prefer=prefer) if fleet else None
        if member is None:
            raise Unavailable(f"tier {tier.name} has no address that answers", reason="TIER_UNAVAILABLE")
        return member

    def _again(self, tier: Tier, tried: Sequence[str], error: Error, deadline: Deadline) -> bool:
        fleet = self.fleets.get(tier.name)
        others = fleet is not None and any(m.address not in tried and m.breaker.ready for m in fleet.members)
        may = others and len(tried) < self.patience.attempts and not deadline.passed and self.budget.spend()
        log.info("attempt failed", extra={"tier": tier.name, "reason": error.reason, "again": may})
        if may:
            self.on_retry(tier.name, error.reason)
        return may

    async def _begin(
        self, tier: Tier, member: Member[Upstream], errand: _Errand
    ) -> AsyncGenerator[Sequence[bytes], None]:
        """Start one attempt and wait for its first piece."""
        if not errand.stream:
            return _one(await self._whole(tier, member, errand))
        pieces = self._stream(tier, member, errand)
        try:
            first = await anext(pieces)
        except BaseException:
            await pieces.aclose()
            raise
        resumed = _resumed(first, pieces)
        await anext(resumed)
        return resumed

    async def _whole(self, tier: Tier, member: Member[Upstream], errand: _Errand) -> Sequence[bytes]:
        """One attempt at an answer that is not streamed: it comes as a whole, or not at all."""
        deadline = errand.deadline
        with _attempt(tier, member) as (upstream, headers):
            try:
                async with asyncio.timeout(min(self.patience.whole, deadline.remaining)):
                    async with aclosing(upstream.generate(errand.dispatch(headers))) as pieces:
                        whole = [chunk async for chunks in pieces for chunk in chunks]
            except TimeoutError:
                raise _timed_out(deadline, begun=False) from None
            if not whole:
                raise _empty()
            return whole

    async def _stream(
        self, tier: Tier, member: Member[Upstream], errand: _Errand
    ) -> AsyncGenerator[Sequence[bytes], None]:
        """One attempt at a stream, from its start to its end."""
        patience = self.patience.first_byte
        begun = False
        with _attempt(tier, member) as (upstream, headers):
            async with aclosing(upstream.generate(errand.dispatch(headers))) as pieces:
                while True:
                    try:
                        piece = await _next(pieces, patience, errand.deadline, begun=begun)
                    except StopAsyncIteration:
                        if not begun:
                            raise _empty() from None
                        return
                    if not begun:
                        begun, patience = True, self.patience.idle
                        member.breaker.success()
                    yield piece


@dataclass(frozen=True, slots=True)
class _Errand:
    """What is the same in all attempts."""

    body: bytes
    stream: bool
    deadline: Deadline
    party: Party

    def dispatch(self, headers: Mapping[str, str]) -> Dispatch:
        """The attempt that begins now."""
        return Dispatch(
            self.body,
            stream=self.stream,
            timeout=self.deadline.remaining,
            headers=headers,
            party=self.party,
        )


@contextmanager
def _attempt(tier: Tier, member: Member[Upstream]) -> Iterator[tuple[Upstream, Mapping[str, str]]]:
    """One attempt, as long as the context lasts: traced, counted in the member's load, told to its breaker."""
    attributes = {"steersman.tier": tier.name, "gen_ai.request.model": tier.model}
    with (
        member.lease() as upstream,
        _judged(member),
        telemetry.child(f"chat {tier.model}", kind=SpanKind.CLIENT, attributes=attributes) as span,
    ):
        yield upstream, telemetry.headers_of(span)


@contextmanager
def _judged(member: Member[Upstream]) -> Iterator[None]:
    """Tells the member's breaker how an attempt ended."""
    try:
        yield
    except (Unavailable, BrokenOff):
        member.breaker.failure()
        raise
    except (Overloaded, Refused):  # it is alive, and says no
        member.breaker.success()
        raise
    except BaseException:  # the caller has left, or has no time left: nothing is learnt
        member.breaker.cancel()
        raise
    else:
        member.breaker.success()


async def _next(
    pieces: AsyncGenerator[Sequence[bytes], None], patience: float, deadline: Deadline, *, begun: bool
) -> Sequence[bytes]:
    try:
        async with asyncio.timeout(min(patience, deadline.remaining)):
            return await anext(pieces)
    except TimeoutError:
        raise _timed_out(deadline, begun=begun) from None
    except (Unavailable, Overloaded) as error:
        if begun:
            raise BrokenOff(f"the answer broke off: {error.message}", reason=error.reason) from error
        raise


def _timed_out(deadline: Deadline, *, begun: bool) -> Error:
    if deadline.passed:
        return DeadlineExceeded("the deadline passed before the answer was complete")
    if begun:
        return BrokenOff("the answer stalled", reason="ENGINE_STALLED")
    return Unavailable("no answer in time", reason="FIRST_BYTE_TIMEOUT")


def _empty() -> Unavailable:
    return Unavailable("the answer was empty", reason="ENGINE_GARBAGE")


async def _one(piece: Sequence[bytes]) -> AsyncGenerator[Sequence[bytes], None]:
    yield piece


async def _resumed(
    first: Sequence[bytes], rest: AsyncGenerator[Sequence[bytes], None]
) -> AsyncGenerator[Sequence[bytes], None]:
    async with aclosing(rest):
        yield ()  # taken at once: closing a generator that has not started would leave `rest` open
        yield first
        async for piece in rest:
            yield piece
