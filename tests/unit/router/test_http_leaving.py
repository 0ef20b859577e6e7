"""The HTTP edge before a router on fakes, when a caller leaves, sends what cannot be read, or the server goes."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, suppress

import aiohttp
import pytest

from fakes.router import RouterOnFakes, router_on_fakes
from fakes.served import OverHttp, events, over_http
from fakes.upstream import chunk, hello
from fixtures.callers import body, fetch, until
from steersman.router.accounting import Record
from steersman.runtime.errors import BrokenOff, Error


def failures(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What this project's own code has logged as its fault."""
    return [
        each.getMessage()
        for each in caplog.records
        if each.name.startswith("steersman") and each.levelno >= logging.ERROR
    ]


async def counted(served: OverHttp) -> None:
    """Wait for the end of a handler whose caller has left."""

    async def one() -> bool:
        return bool(served.statuses)

    await until(one, seconds=5, pause=0.005)


@pytest.mark.parametrize(("stream", "hold_at"), [(False, 0), (True, 0), (True, 2)])
async def test_a_caller_that_leaves_ends_the_work_at_the_engine(
    served: OverHttp,
    router: RouterOnFakes,
    caplog: pytest.LogCaptureFixture,
    *,
    stream: bool,
    hold_at: int,
) -> None:
    router.weak.hold_at = hold_at
    asked = asyncio.create_task(served.ask(stream=stream))
    await router.weak.gate.until(waiting=1)
    asked.cancel()
    with suppress(asyncio.CancelledError):
        await asked
    await router.weak.gate.until(waiting=0)
    await counted(served)
    assert router.weak.left == 1
    assert router.ledger.outcomes == ["CANCELLED"]
    assert router.idle
    assert served.statuses == [499]
    assert not failures(caplog)


@pytest.mark.parametrize("error", [None, BrokenOff("it died")], ids=["at the end", "as the engine dies"])
async def test_a_caller_that_leaves_just_before_the_last_event_is_no_failure_of_ours(
    served: OverHttp,
    router: RouterOnFakes,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    error: Error | None,
) -> None:
    router.fail(error, after=2)

    def closed(_: Record) -> None:  # the last that happens before the last event
        served.lose()

    monkeypatch.setattr(router.ledger, "closed", closed)
    with pytest.raises(aiohttp.ClientError):
        await served.ask(stream=True)
    await counted(served)
    assert served.statuses == [499]
    assert not failures(caplog)


async def test_a_stream_in_progress_is_finished_when_the_server_goes(router: RouterOnFakes) -> None:
    router.weak.hold_at = 2
    stack = AsyncExitStack()
    served = await stack.enter_async_context(over_http(router))
    url = served.url
    asked = asyncio.create_task(served.ask(stream=True))
    await router.weak.gate.until(waiting=1)
    leaving = asyncio.create_task(stack.aclose())

    async def closed() -> bool:
        try:
            await fetch(f"{url}/healthz")
        except aiohttp.ClientConnectorError:
            return True
        return False

    await until(closed, seconds=5, pause=0.005)
    router.weak.gate.open()
    assert events(await asked) == [*(chunk for piece in hello()[:3] for chunk in piece), b"[DONE]"]
    await leaving


@pytest.mark.parametrize(
    "sent",
    [
        b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n{}{}",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["no gzip", "no chunk"],
)
async def test_a_body_that_cannot_be_read_is_the_callers_fault(
    served: OverHttp, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    host, port = served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n" + sent)
    status = (await asyncio.wait_for(reader.readline(), 5)).split()[1]
    writer.close()
    await writer.wait_closed()
    assert status == b"400"
    assert not failures(caplog)
    assert set(served.statuses) <= {400}


async def connected(served: OverHttp, sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which the beginning of a chat completion was sent, after its request line."""
    host, port = served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n" + sent)
    await writer.drain()
    return reader, writer


async def test_a_body_that_does_not_come_in_time_is_refused_and_has_a_slot_until_then() -> None:
    router = await router_on_fakes(max_in_flight=1)
    async with over_http(router, seconds=0.5) as served:
        reader, writer = await connected(served, b"Content-Length: 100\r\n\r\n{")

        async def read() -> bool:
            return router.routing.shares.running == 1

        await until(read, seconds=5, pause=0.005)
        assert (await served.ask()).status == 429
        status = (await asyncio.wait_for(reader.readline(), 5)).split()[1]
        assert status == b"408"
        assert (await served.ask()).status == 200
        writer.close()
        await writer.wait_closed()
    assert router.idle


async def test_a_caller_that_does_not_read_its_stream_is_left_when_its_time_is_over(
    router: RouterOnFakes,
) -> None:
    router.weak.pieces = [[chunk("x" * 1_000_000)] for _ in range(100)]
    async with over_http(router, seconds=0.5) as served:
        data = body(stream=True)
        reader, writer = await connected(served, b"Content-Length: %d\r\n\r\n%b" % (len(data), data))
        reader._transport.pause_reading()  # type: ignore[attr-defined]  # the caller reads nothing at all
        await counted(served)
        assert served.statuses == [499]
        assert router.idle
        writer.transport.abort()
