"""How a request gets to an engine: an address is chosen, and another one when that does not answer.

A retry is made before the first byte only, on another address, within the caller's deadline and a budget. After the
first byte a failure is the stream's failure: it ends with a typed error.

An attempt that has not begun is given up early where somebody else could still answer in time and the budget pays for
asking: when the address has fallen silent, and, where it never says how it is, when half of the caller's time is gone
without a first byte. An answer that is not streamed tells nothing by being late, so only silence counts for it. A pod
that says how busy it is, is waited for: it would be a long prompt that is lost. So it is without a place to go to.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Final

from steersman.router.attempt import Errand, attempt, empty, next_piece, timed_out
from steersman.router.fleet import Fleet, Member
from steersman.router.model import Tier
from steersman.router.ports import NO_PARTY, Party, Upstream
from steersman.router.refusals import Refusals
from steersman.router.retry import RetryBudget
from steersman.runtime.deadline import Deadline
from steersman.runtime.errors import DeadlineExceeded, Error, Overloaded, Unavailable

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
        part: Of the time that the caller leaves, what a stream may take to begin where somebody else could answer too.
        earliest: Seconds that it has all the same.
    """

    first_byte: float = 30.0
    whole: float = 120.0
    idle: float = 30.0
    attempts: int = 3
    part: float = 0.5
    earliest: float = 1.0


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
        instead: Sequence[str] = (),
    ) -> Answer:
        """Have a tier answer, and return when the answer has begun.

        Args:
            tier: Which.
            encode: Gives the request's body for the name of an engine's model.
            stream: Whether the body asks for a stream.
            deadline: The caller's.
            prefer: Address that is asked first while its load is near the others'.
            party: For whom.
            instead: Tiers that would be asked next if this one were unavailable.

        Raises:
            Error: The request cannot be answered by this tier; Unavailable when another tier might.
        """
        self.refusals.check(tier.name, party.tenant)
        errand = Errand(encode(tier.model), stream, deadline, party, instead)
        while True:
            member = self._pick(tier, errand.tried, prefer)
            sent_at = time.perf_counter()
            try:
                pieces = await self._begin(tier, member, errand)
            except _ELSEWHERE as error:
                errand.tried.append(member.address)
                if not self._again(tier, errand, error):
                    if isinstance(error, Overloaded):
                        self.refusals.note(tier.name, party.tenant, error)
                    raise
            else:
                return Answer(tier, pieces, sent_at, len(errand.tried), member.address)

    def _pick(self, tier: Tier, tried: Sequence[str], prefer: str) -> Member[Upstream]:
        fleet = self.fleets.get(tier.name)  # absent when the catalogue has dropped it since
        member = fleet.pick(avoid=tried, prefer=prefer) if fleet else None
        if member is None:
            raise Unavailable(f"tier {tier.name} has no address that answers", reason="TIER_UNAVAILABLE")
        return member

    def _again(self, tier: Tier, errand: Errand, error: Error) -> bool:
        others = self._others(tier, errand.tried) and not errand.deadline.passed
        may = others and (errand.paid or self.budget.spend())
        errand.paid = False
        log.info("attempt failed", extra={"tier": tier.name, "reason": error.reason, "again": may})
        if may:
            self.on_retry(tier.name, error.reason)
        return may

    def _others(self, tier: Tier, tried: Collection[str]) -> bool:
        """Whether the tier has an address that may be tried yet."""
        return len(tried) < self.patience.attempts and self._answers(tier.name, but=tried)

    def _answers(self, name: str, *, but: Collection[str] = ()) -> bool:
        """Whether a tier has an address that should answer."""
        fleet = self.fleets.get(name)
        return fleet is not None and any(
            member.address not in but and member.breaker.ready and not fleet.is_silent(member)
            for member in fleet.members
        )

    def _pays(self, tier: Tier, member: Member[Upstream], errand: Errand) -> bool:
        """Whether the attempt on this member is to be given up, since another one can be made; that one is paid then.

        It is paid here, and not when it is made: what is given up for nothing would have been better kept.
        """
        elsewhere = self._others(tier, {*errand.tried, member.address}) or any(
            map(self._answers, errand.instead)
        )
        errand.paid = elsewhere and not errand.deadline.passed and self.budget.spend()
        return errand.paid

    @contextmanager
    def _unbegun(
        self, limit: asyncio.Timeout, tier: Tier, member: Member[Upstream], errand: Errand
    ) -> Iterator[None]:
        """An attempt waits for its first byte while the context lasts; `limit` is brought forward to give it up."""
        loop, fleet = asyncio.get_running_loop(), self.fleets.get(tier.name)

        def give_up() -> None:
            if not errand.paid and not limit.expired() and self._pays(tier, member, errand):
                limit.reschedule(loop.time())

        def late() -> None:
            if fleet is None or not fleet.vouches(member):
                give_up()

        early = max(self.patience.earliest, self.patience.part * errand.deadline.remaining)
        timer = loop.call_later(early, late) if errand.stream else None
        try:
            with member.awaited(give_up):
                yield
        finally:
            if timer is not None:
                timer.cancel()

    async def _begin(
        self, tier: Tier, member: Member[Upstream], errand: Errand
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

    async def _whole(self, tier: Tier, member: Member[Upstream], errand: Errand) -> Sequence[bytes]:
        """One attempt at an answer that is not streamed: it comes as a whole, or not at all."""
        deadline = errand.deadline
        with attempt(tier, member) as (upstream, headers):
            try:
                async with asyncio.timeout(min(self.patience.whole, deadline.remaining)) as limit:
                    with self._unbegun(limit, tier, member, errand):
                        async with aclosing(upstream.generate(errand.dispatch(headers))) as pieces:
                            whole = [chunk async for chunks in pieces for chunk in chunks]
            except TimeoutError:
                raise timed_out(deadline, begun=False) from None
            if not whole:
                raise empty()
            return whole

    async def _stream(
        self, tier: Tier, member: Member[Upstream], errand: Errand
    ) -> AsyncGenerator[Sequence[bytes], None]:
        """One attempt at a stream, from its start to its end."""
        with attempt(tier, member) as (upstream, headers):
            async with aclosing(upstream.generate(errand.dispatch(headers))) as pieces:
                piece: Sequence[bytes] | None = await self._first(pieces, tier, member, errand)
                member.breaker.success()
                while piece is not None:
                    yield piece
                    piece = await next_piece(pieces, self.patience.idle, errand.deadline)

    async def _first(
        self,
        pieces: AsyncGenerator[Sequence[bytes], None],
        tier: Tier,
        member: Member[Upstream],
        errand: Errand,
    ) -> Sequence[bytes]:
        deadline = errand.deadline
        try:
            async with asyncio.timeout(min(self.patience.first_byte, deadline.remaining)) as limit:
                with self._unbegun(limit, tier, member, errand):
                    return await anext(pieces)
        except TimeoutError:
            raise timed_out(deadline, begun=False) from None
        except StopAsyncIteration:
            raise empty() from None


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
