"""Who answers a request that has been decided: its tier, or another one that stands in for it.

A tier is **down** when none of its addresses answers, and **cold** when it has no address, as one that was scaled to
zero. For one that is down another tier stands in, where the policy allows that at all. For one that is cold the policy
says whether another tier stands in at once, or only for a request that has waited in vain.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from steersman.router.accounting import Record
from steersman.router.dispatch import Answer, Dispatcher
from steersman.router.model import Reason, WhenCold
from steersman.router.waiting import WaitingRoom
from steersman.runtime.deadline import Deadline
from steersman.runtime.errors import DeadlineExceeded, Error, Overloaded, Unavailable

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Order(Generic[A]):
    """A request that is to be answered.

    Args:
        tier: The tier that was decided.
        others: Tiers that may stand in for it, the best first.
        when_cold: What to do when `tier` is cold.
        deadline: The caller's.
        size: Gives the bytes of the request's body.
        send: Has a tier answer.
    """

    tier: str
    others: Sequence[str]
    when_cold: WhenCold
    deadline: Deadline
    size: Callable[[], int]
    send: Callable[[str], Awaitable[Answer[A]]]

    @property
    def patience(self) -> float:
        """Seconds that it can wait; where another tier may stand in, half of them are left for that one."""
        left = self.deadline.remaining
        return left / 2 if self.others else left


@dataclass(frozen=True, slots=True)
class Delivery:
    """Has requests answered.

    Args:
        dispatcher: Gets requests to engines.
        room: Where requests wait for a tier that is cold.
        look: Looks for the addresses of a tier now.
    """

    dispatcher: Dispatcher
    room: WaitingRoom
    look: Callable[[str], Awaitable[None]]

    async def answer(self, order: Order[A], record: Record) -> tuple[Answer[A], Reason | None]:
        """The answer, and why it is another tier's, if it is.

        Args:
            order: The request.
            record: Where a wait is noted.

        Raises:
            Error: Nobody can answer.
        """
        self.dispatcher.budget.earn()
        if not self.dispatcher.is_cold(order.tier):
            try:
                return await order.send(order.tier), None
            except Unavailable as error:
                await self.look(order.tier)  # its last address may just have left
                if not self.dispatcher.is_cold(order.tier):
                    return await _stand_in(order, error), Reason.TIER_UNAVAILABLE
        if order.when_cold is WhenCold.OTHER:
            with suppress(Unavailable):
                return await _stand_in(order, Unavailable("no other tier may answer")), Reason.TIER_COLD
        try:
            return await self._when_awake(order, record), None
        except Unavailable as error:
            return await _stand_in(order, error), Reason.TIER_COLD

    async def _when_awake(self, order: Order[A], record: Record) -> Answer[A]:
        """The answer of the decided tier, once it is awake and takes the request."""
        with self.room.place(order.tier, size=order.size(), seconds=order.patience) as place:
            while True:
                try:
                    await place.turn()
                except Unavailable as error:
                    raise _late(error, order.deadline) from None
                finally:
                    record.waited_seconds = place.waited
                try:
                    return await order.send(order.tier)
                except (Unavailable, Overloaded) as error:
                    await place.pause(error)


async def _stand_in(order: Order[A], error: Error) -> Answer[A]:
    """The answer of another tier; `error` when there is none."""
    for name in order.others:
        try:
            return await order.send(name)
        except Unavailable as another:
            error = another
    raise error


def _late(error: Unavailable, deadline: Deadline) -> Error:
    return DeadlineExceeded("the deadline passed before the tier had started") if deadline.passed else error
