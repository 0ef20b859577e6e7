"""The addresses behind one target, each with a client of its own, and the choice among them.

One channel an address, never one for all: a connection pins a pod, so that a load balancer in front would leave new
pods idle. The choice is power of two choices on this process's own requests in flight (Mitzenmacher 2001), which
needs no shared state and no fresh reports; where these are equal, what the two say of their load decides, if both
have said it lately.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from steersman.router.ports import Load
from steersman.runtime.addresses import AddressSource
from steersman.runtime.breaker import Breaker

log = logging.getLogger(__name__)

SOON_SECONDS: Final = 0.25
"""Time between two looks at the source as long as no address is known, as right after an installation."""


class Closable(Protocol):
    """A client that can be closed."""

    async def close(self) -> None:
        """Close the connection."""
        ...


C = TypeVar("C", bound=Closable)


_MOST_OF_FAIR: Final = 1.25
"""So much of its fair share of the load a member may have before another one takes what prefers it."""
STALE_SECONDS: Final = 3.0
"""Age at which a report of a member's load tells nothing any more."""
_MISSES: Final = 3
"""Questions without an answer after which a member that used to answer counts as silent."""


@dataclass(slots=True)
class Member(Generic[C]):
    """One address of a fleet."""

    address: str
    client: C
    breaker: Breaker
    edition: int = 0
    in_flight: int = 0
    load: Load | None = None
    """What it last said of it."""
    reported_at: float = -math.inf
    """When that was, by the fleet's clock."""
    missed: int = 0
    """How often it has not answered since."""
    waiting: set[Callable[[], None]] = field(default_factory=set)
    """Called when it has fallen silent, for each attempt whose answer has not begun."""

    @contextmanager
    def awaited(self, on_silence: Callable[[], None]) -> Iterator[None]:
        """An attempt waits for its answer to begin while the context lasts, and is told when that looks hopeless."""
        self.waiting.add(on_silence)
        try:
            yield
        finally:
            self.waiting.discard(on_silence)

    @contextmanager
    def lease(self) -> Iterator[C]:
        """The client, counted as in use while the context lasts."""
        self.in_flight += 1
        try:
            yield self.client
        finally:
            self.in_flight -= 1


@dataclass(slots=True)
class Fleet(Generic[C]):
    """The members behind one target.

    Args:
        target: As the address source understands it.
        source: Finds the addresses.
        connect: Makes a client for an address.
        breaker: Makes a breaker for an address.
        refresh_seconds: Time between two looks at the source.
        edition: Changes when clients should be made anew, as for new certificates; requests under way keep theirs.
        clock: Monotonic seconds.
    """

    target: str
    source: AddressSource
    connect: Callable[[str], Awaitable[C]]
    breaker: Callable[[], Breaker]
    refresh_seconds: float = 5.0
    edition: Callable[[], int] = lambda: 0
    clock: Callable[[], float] = time.monotonic
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _looked_at: float = -math.inf
    _members: dict[str, Member[C]] = field(default_factory=dict)
    _retired: list[Member[C]] = field(default_factory=list)
    _found: bool = True
    """Whether the source named any address when it was last asked."""

    @property
    def members(self) -> Sequence[Member[C]]:
        """All members now."""
        return list(self._members.values())

    @property
    def empty(self) -> bool:
        """Whether no address is known."""
        return not self._members

    @property
    def busy(self) -> bool:
        """Whether any member works on a request."""
        return any(member.in_flight for member in (*self._members.values(), *self._retired))

    def pick(self, *, avoid: Collection[str] = (), prefer: str = "") -> Member[C] | None:
        """The less busy of two members chosen at random, among those not avoided and not known to fail, drain or hang.

        Args:
            avoid: Addresses that are out of the question.
            prefer: Address that is taken while its load is near the others'.
        """
        ready = [m for m in self._members.values() if m.address not in avoid and m.breaker.ready]
        ready = [m for m in ready if not self._drains(m) and not self.is_silent(m)] or ready
        chosen = _near(ready, prefer)
        if chosen is None and ready:
            # Sampled even where there are only two, so that members without work take turns.
            chosen = self._less_busy(*random.sample(ready, min(2, len(ready))))
        if chosen is not None and not chosen.breaker.allow():
            return None
        return chosen

    def heard(self, member: Member[C], load: Load) -> None:
        """A member has said how busy it is."""
        member.load, member.reported_at, member.missed = load, self.clock(), 0

    def is_silent(self, member: Member[C]) -> bool:
        """Whether a member that used to say how busy it is does so no more, while another one does.

        Where nobody says anything it is this process that has not listened.
        """
        hangs = member.missed >= _MISSES and member.load is not None
        return hangs and any(not each.missed for each in self._members.values() if each.load is not None)

    def vouches(self, member: Member[C]) -> bool:
        """Whether a member has said lately how busy it is: what takes long there is being done."""
        return self._load(member) is not None and not member.missed

    def tell_silence(self) -> None:
        """Have those know it that wait for a member which is silent."""
        for member in self.members:
            if member.waiting and self.is_silent(member):
                for on_silence in list(member.waiting):
                    on_silence()

    def _load(self, member: Member[C]) -> Load | None:
        """What a member said of its load, unless that is stale."""
        return member.load if self.clock() - member.reported_at < STALE_SECONDS else None

    def _drains(self, member: Member[C]) -> bool:
        load = self._load(member)
        return load is not None and load.draining

    def _less_busy(self, one: Member[C], other: Member[C] | None = None) -> Member[C]:
        if other is None or one.in_flight < other.in_flight:
            return one
        if one.in_flight > other.in_flight:
            return other
        mine, others = self._load(one), self._load(other)
        return other if mine and others and others.pressure < mine.pressure else one

    async def refresh(self, *, unless_newer: float = 0.0) -> None:
        """Look at the source once; when it cannot be asked, what is known stays.

        Args:
            unless_newer: Seconds; what was found out since, by whomever, is good enough.
        """
        async with self._looking:
            if self.clock() - self._looked_at >= unless_newer:
                await self._look()
                self._looked_at = self.clock()

    async def _look(self) -> None:
        try:
            addresses = await self.source.addresses(self.target)
        except OSError as error:
            log.warning("addresses not found", extra={"target": self.target, "error": str(error)})
            return
        self._tell(found=bool(addresses))
        for address in set(self._members) - set(addresses):
            self._retired.append(self._members.pop(address))
        for address in addresses:
            if address not in self._members:
                await self._join(address, self.breaker())
            elif self._members[address].edition != self.edition():
                self._retired.append(self._members[address])
                await self._join(address, self._members[address].breaker)
        await self._close_retired(lambda member: member.in_flight == 0)

    async def _join(self, address: str, breaker: Breaker) -> None:
        edition = self.edition()
        self._members[address] = Member(address, await self.connect(address), breaker, edition)

    def _tell(self, *, found: bool) -> None:
        """Log once that there is no address, or that there is one again: it may be meant so, or be a misspelt name."""
        if found != self._found:
            log.info("addresses found" if found else "there is no address", extra={"target": self.target})
        self._found = found

    async def keep_fresh(self) -> None:
        """Look at the source again and again; for a background task."""
        while True:
            await asyncio.sleep(self.refresh_seconds if self._members else SOON_SECONDS)
            await self.refresh()

    async def close(self) -> None:
        """Close all clients."""
        self._retired.extend(self._members.values())
        self._members.clear()
        await self._close_retired(lambda _: True)

    async def _close_retired(self, which: Callable[[Member[C]], bool]) -> None:
        for member in list(filter(which, self._retired)):
            await member.client.close()
            if (
                member in self._retired
            ):  # only now: who is cut off in between leaves the others to the next one
                self._retired.remove(member)


def _near(ready: Sequence[Member[C]], address: str) -> Member[C] | None:
    """The member of this address, unless it has more than its bounded share of the load (arXiv 1608.01350)."""
    preferred = next((member for member in ready if member.address == address), None)
    if preferred is None:
        return None
    fair = (sum(member.in_flight for member in ready) + 1) / len(ready)
    return preferred if preferred.in_flight < math.ceil(_MOST_OF_FAIR * fair) else None
