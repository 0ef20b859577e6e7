"""Requests that gRPC never hands over: few may wait to be taken up, and it cancels those that there is no room for.

A process that is asked for more than its event loop can do would otherwise answer none in time: whatever it took up
would have waited longer than its caller does. To refuse in words what is too much takes a quarter of the time of the
answer, so that three times too much leaves a third of the answers; what gRPC cancels by itself never reaches Python.

It tells nobody what it cancels. Channelz counts the calls that began, the interceptor those that were taken up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from grpc_channelz.v1 import channelz, channelz_pb2

LOOK_SECONDS: Final = 1.0


def options(room: int) -> list[tuple[str, int]]:
    """Channel arguments of a server where so many requests of each method may wait to be taken up.

    Beyond them a growing part of what comes is cancelled, and all at twice as many.
    """
    return [
        ("grpc.server.max_pending_requests", room),
        ("grpc.server.max_pending_requests_hard_limit", 2 * room),
    ]


@dataclass(slots=True)
class Shed:
    """How many have been cancelled, give or take `room` for each method that too much is asked of.

    Those that wait cannot be told apart from them.

    Args:
        room: Requests that may wait.
    """

    room: int
    total: int = 0

    def note(self, *, begun: int, taken: int) -> int:
        """Take in how many calls have begun and how many of them were taken up; those that are new among the shed."""
        new = max(0, begun - taken - self.room - self.total)
        self.total += new
        return new


def server_ids() -> frozenset[int]:
    """Ids of this process' servers: a server that was just made has the one that was not there before.

    Their order says nothing: they are given out when they are asked for.
    """
    return frozenset(each.ref.server_id for each in _servers(0))


async def watch(
    server_id: int, shed: Shed, taken: Callable[[], int], on_shed: Callable[[int], None]
) -> NoReturn:
    """Tell every second how many more were shed, if any, for ever; for a background task."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        (server,) = (each for each in _servers(server_id) if each.ref.server_id == server_id)
        if new := shed.note(begun=server.data.calls_started, taken=taken()):
            on_shed(new)


def _servers(start: int) -> list[channelz_pb2.Server]:
    request = channelz_pb2.GetServersRequest(start_server_id=start)
    # Its context would only be told of a failure.
    return list(channelz.ChannelzServicer.GetServers(request, None).server)  # type: ignore[arg-type]
