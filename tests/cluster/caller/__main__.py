"""Callers that ask as long as they are let. What they were told is at /told, and /stop ends it.

    python -m cluster.caller --grpc dns:///router-headless:9000 --http http://router:8080/v1 4:chat:weak 2:whole:auto

Each group is COUNT:METHOD:MODEL; the methods are `route`, `complete` and `chat` over gRPC, `whole` and `stream` over
HTTP. A caller asks again when it has its answer, after a pause.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import count
from typing import Final

from aiohttp import web

from cluster.caller.answers import Tally
from cluster.caller.apis import Ask, by_grpc, by_openai

PORT: Final = 8000
WORDS: Final = (
    "river",
    "glass",
    "orbit",
    "lemon",
    "proof",
    "garden",
    "matrix",
    "violin",
    "cell",
    "debt",
    "storm",
)
FEW: Final = tuple(f"Tell me one word about number {number}." for number in range(8))


@dataclass(frozen=True, slots=True)
class Group:
    """Callers that are alike.

    Attributes:
        count: How many.
        method: How they ask.
        model: A policy or a tier.
    """

    count: int
    method: str
    model: str


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grpc", required=True, help="target of the gRPC API")
    parser.add_argument("--http", required=True, help="base URL of the OpenAI API")
    parser.add_argument("--distinct", action="store_true", help="never ask the same twice")
    parser.add_argument(
        "--pause", type=float, default=0.0, help="seconds between an answer and the next question"
    )
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds that an answer may take")
    parser.add_argument("--most", type=int, default=0, help="questions of each caller; 0 for no end")
    parser.add_argument("groups", nargs="+", type=_group)
    return parser.parse_args(arguments)


def _group(text: str) -> Group:
    number, method, model = text.split(":")
    return Group(int(number), method, model)


async def main() -> None:
    """Ask until told to stop or as often as told, let answers come, and tell them as long as the pod is there."""
    told, stop, tally = options(), asyncio.Event(), Tally()
    await _listen(tally, stop)
    await asyncio.gather(
        *(_call(group, told, tally, stop) for group in told.groups for _ in range(group.count))
    )
    tally.ended = True
    await asyncio.Event().wait()


async def _listen(tally: Tally, stop: asyncio.Event) -> None:
    async def tell(_: web.Request) -> web.Response:
        return web.json_response(tally.told())

    async def end(_: web.Request) -> web.Response:
        stop.set()
        return web.Response()

    application = web.Application()
    application.add_routes([web.get("/told", tell), web.get("/stop", end)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=PORT).start()


def _caller(group: Group, told: argparse.Namespace) -> AbstractAsyncContextManager[Ask]:
    if group.method in {"whole", "stream"}:
        return by_openai(told.http, group.method, group.model, told.timeout)
    return by_grpc(told.grpc, group.method, group.model, told.timeout)


async def _call(group: Group, told: argparse.Namespace, tally: Tally, stop: asyncio.Event) -> None:
    async with _caller(group, told) as ask:
        for asked in count(1):
            await _ask(group.method, ask, _question(distinct=told.distinct), tally)
            if stop.is_set() or asked == told.most:
                return
            await asyncio.sleep(told.pause)


def _question(*, distinct: bool) -> str:
    if not distinct:
        return random.choice(FEW)  # noqa: S311 - a choice of questions guards nothing
    return f"What do {' and '.join(random.sample(WORDS, 4))} share? {random.getrandbits(64):x}"


async def _ask(method: str, ask: Ask, question: str, tally: Tally) -> None:
    begun = time.monotonic()
    try:
        answer = await ask(question)
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller has no answer, and that is told
        tally.lost(method, error, time.monotonic() - begun)
    else:
        tally.took(method, answer, time.monotonic() - begun)


if __name__ == "__main__":
    asyncio.run(main())
