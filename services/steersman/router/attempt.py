"""One attempt at an answer: traced, counted in the load of its address, told to the breaker of that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from opentelemetry.trace import SpanKind

from steersman.router.fleet import Member
from steersman.router.model import Tier
from steersman.router.ports import NO_PARTY, Dispatch, Party, Upstream
from steersman.runtime import telemetry
from steersman.runtime.deadline import Deadline
from steersman.runtime.errors import BrokenOff, DeadlineExceeded, Error, Overloaded, Refused, Unavailable


@dataclass(slots=True)
class Errand:
    """What is the same in all attempts, and what has become of them."""

    body: bytes
    deadline: Deadline
    """The caller's."""
    party: Party = NO_PARTY
    """For whom it is."""
    prefer: str = ""
    """Address that is asked first while its load is near the others'."""
    instead: Sequence[str] = ()
    """Tiers that would be asked next if this one were unavailable."""
    tried: list[str] = field(default_factory=list)
    """Addresses."""
    paid: bool = False
    """Whether the attempt that comes next has been paid for."""

    def dispatch(self, headers: Mapping[str, str]) -> Dispatch:
        """The attempt that begins now."""
        return Dispatch(self.body, self.deadline.remaining, headers, self.party)


@contextmanager
def attempt(tier: Tier, member: Member[Upstream]) -> Iterator[tuple[Upstream, Mapping[str, str]]]:
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


async def next_piece(
    pieces: AsyncGenerator[Sequence[bytes], None], patience: float, deadline: Deadline
) -> Sequence[bytes] | None:
    """The next piece of a stream that has begun; None after the last one."""
    try:
        async with asyncio.timeout(min(patience, deadline.remaining)):
            return await anext(pieces, None)
    except TimeoutError:
        raise timed_out(deadline, begun=True) from None
    except (Unavailable, Overloaded) as error:
        raise BrokenOff(f"the answer broke off: {error.message}", reason=error.reason) from error


def timed_out(deadline: Deadline, *, begun: bool) -> Error:
    """What it means that an attempt took too long."""
    if deadline.passed:
        return DeadlineExceeded("the deadline passed before the answer was complete")
    if begun:
        return BrokenOff("the answer stalled", reason="ENGINE_STALLED")
    return Unavailable("no answer in time", reason="FIRST_BYTE_TIMEOUT")


def empty() -> Unavailable:
    """What it means that an answer ended before it began."""
    return Unavailable("the answer was empty", reason="ENGINE_GARBAGE")
