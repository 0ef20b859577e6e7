"""How a request gets to an engine: an address is chosen, and another one when that does not answer.

A retry is made before the first byte only, on another address, within the caller's deadline and a budget. After the
first byte a failure is the stream's failure: it ends with a typed error.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from steersman.router.attempt import Errand, attempt, empty, next_piece, timed_out
from steersman.router.fleet import Fleet, Member
from steersman.router.model import Tier
from steersman.router.ports import Upstream
from steersman.router.prospects import Patience, Prospects
from steersman.router.refusals import Refusals
from steersman.router.retry import RetryBudget
from steersman.runtime.errors import DeadlineExceeded, Error, Overloaded, Unavailable

log = logging.getLogger(__name__)

_ELSEWHERE: Final = (Unavailable, Overloaded, DeadlineExceeded)
"""What another address may do better."""


Pieces = AsyncGenerator[Sequence[bytes], None]
"""A streamed answer, its first piece included; closing it ends the work at the engine."""
A = TypeVar("A")
_Attempt = Callable[[Tier, Member[Upstream], Errand], Awaitable[A]]


@dataclass(slots=True)
class Answer(Generic[A]):
    """An answer: the whole of it, or a stream that has begun."""

    tier: Tier
    content: A
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

    async def stream(self, tier: Tier, errand: Errand) -> Answer[Pieces]:
        """Have a tier answer as a stream, and return when that has begun.

        Raises:
            Error: The request cannot be answered by this tier; Unavailable when another tier might.
        """
        return await self._send(tier, errand, self._begun)

    async def complete(self, tier: Tier, errand: Errand) -> Answer[bytes]:
        """Have a tier answer as a whole, which comes in one piece or not at all.

        Raises:
            Error: As for `stream`.
        """
        return await self._send(tier, errand, self._whole)

    async def _send(self, tier: Tier, errand: Errand, once: _Attempt[A]) -> Answer[A]:
        tenant = errand.party.tenant
        self.refusals.check(tier.name, tenant)
        while True:
            member = self._pick(tier, errand)
            sent_at = time.perf_counter()
            try:
                content = await once(tier, member, errand)
            except _ELSEWHERE as error:
                errand.tried.append(member.address)
                if not self._again(tier, errand, error):
                    if isinstance(error, Overloaded):
                        self.refusals.note(tier.name, tenant, error)
                    raise
            else:
                return Answer(tier, content, sent_at, len(errand.tried), member.address)

    def _pick(self, tier: Tier, errand: Errand) -> Member[Upstream]:
        fleet = self.fleets.get(tier.name)  # absent when the catalogue has dropped it since
        member = fleet.pick(avoid=errand.tried, prefer=errand.prefer) if fleet else None
        if member is None:
            raise Unavailable(f"tier {tier.name} has no address that answers", reason="TIER_UNAVAILABLE")
        return member

    def _again(self, tier: Tier, errand: Errand, error: Error) -> bool:
        others = self._prospects(tier, errand).others(errand.tried) and not errand.deadline.passed
        may = others and (errand.paid or self.budget.spend())
        errand.paid = False
        log.info("attempt failed", extra={"tier": tier.name, "reason": error.reason, "again": may})
        if may:
            self.on_retry(tier.name, error.reason)
        return may

    def _prospects(self, tier: Tier, errand: Errand) -> Prospects:
        return Prospects(self.fleets, self.patience, self.budget, tier.name, errand)

    async def _whole(self, tier: Tier, member: Member[Upstream], errand: Errand) -> bytes:
        """One attempt at an answer that is not streamed."""
        deadline, prospects = errand.deadline, self._prospects(tier, errand)
        with attempt(tier, member) as (upstream, headers):
            try:
                async with asyncio.timeout(min(self.patience.whole, deadline.remaining)) as limit:
                    with prospects.unless_silent(limit, member):
                        body = await upstream.complete(errand.dispatch(headers))
            except TimeoutError:
                raise timed_out(deadline, begun=False) from None
            if not body:
                raise empty()
            return body

    async def _begun(self, tier: Tier, member: Member[Upstream], errand: Errand) -> Pieces:
        """One attempt at a stream, whose first piece has come."""
        pieces = self._stream(tier, member, errand)
        try:
            first = await anext(pieces)
        except BaseException:
            await pieces.aclose()
            raise
        resumed = _resumed(first, pieces)
        await anext(resumed)
        return resumed

    async def _stream(self, tier: Tier, member: Member[Upstream], errand: Errand) -> Pieces:
        """One attempt at a stream, from its start to its end."""
        with attempt(tier, member) as (upstream, headers):
            async with aclosing(upstream.generate(errand.dispatch(headers))) as pieces:
                piece: Sequence[bytes] | None = await self._first(pieces, tier, member, errand)
                member.breaker.success()
                while piece is not None:
                    yield piece
                    piece = await next_piece(pieces, self.patience.idle, errand.deadline)

    async def _first(
        self, pieces: Pieces, tier: Tier, member: Member[Upstream], errand: Errand
    ) -> Sequence[bytes]:
        deadline, prospects = errand.deadline, self._prospects(tier, errand)
        try:
            async with asyncio.timeout(min(self.patience.first_byte, deadline.remaining)) as limit:
                with prospects.unless_late(limit, member):
                    return await anext(pieces)
        except TimeoutError:
            raise timed_out(deadline, begun=False) from None
        except StopAsyncIteration:
            raise empty() from None


async def _resumed(first: Sequence[bytes], rest: Pieces) -> Pieces:
    async with aclosing(rest):
        yield ()  # taken at once: closing a generator that has not started would leave `rest` open
        yield first
        async for piece in rest:
            yield piece
