"""What Steersman relies on in an upstream, asked of the fake one, of the two adapters before servers that a test can
turn, and of an engine with a real model."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import grpc
import orjson
import pytest

from fakes.backend import fake_backend
from fakes.engine import fake_engine
from fakes.garbage import GARBAGE, says
from fakes.upstream import FakeUpstream
from fixtures.real_parts import Engine
from steersman.router.adapters.backend import BackendUpstream
from steersman.router.adapters.direct import DirectUpstream
from steersman.router.ports import Dispatch, Load, Party, Upstream
from steersman.runtime.errors import (
    BrokenOff,
    DeadlineExceeded,
    Error,
    Overloaded,
    Refused,
    Unavailable,
)

Call = Callable[[], Awaitable[None]]
TRACE = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}


def dispatch(
    *,
    stream: bool = True,
    seconds: float = 60.0,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    **fields: Any,
) -> Dispatch:
    messages = [{"role": "user", "content": "Tell a story about a ship."}]
    data = {"model": "m", "messages": messages, "stream": stream, "max_tokens": 6, **fields}
    if stream:
        data["stream_options"] = {"include_usage": True}
    return Dispatch(orjson.dumps(data) if body is None else body, seconds, headers or {})


@dataclass
class Subject:
    """An upstream under test."""

    upstream: Upstream
    until_idle: Call
    """Waits until what is behind it works on nothing."""


@dataclass
class Trouble(Subject):
    """An upstream under test whose far side can be turned."""

    fail: Callable[[str], None]
    """Fail before the first chunk: `unavailable`, `overloaded` or `refused`."""
    break_off: Callable[[int], None]
    """Fail after so many chunks."""
    hold: Callable[[int], None]
    """Say nothing more after so many chunks."""
    headers: Callable[[], dict[str, str]]
    """Of the last request, as it was seen."""
    until_busy: Call
    """Waits until what is behind it works on something."""


async def answer(upstream: Upstream, given: Dispatch | None = None) -> list[Sequence[bytes]]:
    async with aclosing(upstream.generate(given or dispatch())) as pieces:
        return [list(piece) async for piece in pieces]


async def either(upstream: Upstream, *, stream: bool, **fields: Any) -> None:
    """An answer, as a stream or as a whole."""
    if stream:
        await answer(upstream, dispatch(**fields))
    else:
        await upstream.complete(dispatch(stream=False, **fields))


class UpstreamContract:
    """The suite; a subclass says which upstream is the `subject`."""

    async def test_a_stream_comes_in_pieces_of_one_or_more_chunks(self, subject: Subject) -> None:
        pieces = await answer(subject.upstream)
        assert len(pieces) > 1
        assert all(pieces)
        chunks = [orjson.loads(chunk) for piece in pieces for chunk in piece]
        assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}

    async def test_a_stream_ends_with_its_finish_reason_and_usage(self, subject: Subject) -> None:
        chunks = [orjson.loads(chunk) for piece in await answer(subject.upstream) for chunk in piece]
        reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
        assert reasons[-1] in {"stop", "length"}
        assert chunks[-1]["usage"]["completion_tokens"] > 0

    async def test_an_answer_that_is_not_streamed_is_one_body(self, subject: Subject) -> None:
        body = await subject.upstream.complete(dispatch(stream=False))
        assert orjson.loads(body)["object"] == "chat.completion"

    async def test_several_answers_at_once_do_not_mix(self, subject: Subject) -> None:
        many = await asyncio.gather(*(answer(subject.upstream) for _ in range(4)))
        for pieces in many:
            chunks = [orjson.loads(chunk) for piece in pieces for chunk in piece]
            assert len({chunk["id"] for chunk in chunks}) == 1

    async def test_closing_the_answer_ends_the_work_behind_it(self, subject: Subject) -> None:
        pieces = subject.upstream.generate(dispatch(max_tokens=2000, ignore_eos=True))
        await anext(pieces)
        await pieces.aclose()
        await subject.until_idle()

    async def test_a_caller_who_is_cancelled_in_a_stream_ends_the_work_behind_it(
        self, subject: Subject
    ) -> None:
        begun = asyncio.Event()

        async def read() -> None:
            async with aclosing(
                subject.upstream.generate(dispatch(max_tokens=2000, ignore_eos=True))
            ) as pieces:
                async for _ in pieces:
                    begun.set()
                    await asyncio.Event().wait()

        reading = asyncio.create_task(read())
        async with asyncio.timeout(20):
            await begun.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await subject.until_idle()

    async def test_an_answer_that_was_left_does_not_harm_the_next(self, subject: Subject) -> None:
        pieces = subject.upstream.generate(dispatch())
        await anext(pieces)
        await pieces.aclose()
        assert await answer(subject.upstream)


class TroubledUpstreamContract(UpstreamContract):
    """The rest of the suite, for an upstream whose far side can be turned: the `trouble`."""

    @pytest.fixture
    def subject(self, trouble: Trouble) -> Subject:
        return trouble

    @pytest.mark.parametrize(
        ("how", "kind"),
        [("unavailable", Unavailable), ("overloaded", Overloaded), ("refused", Refused)],
    )
    @pytest.mark.parametrize("stream", [True, False])
    async def test_what_goes_wrong_before_the_first_chunk_is_told_apart(
        self, trouble: Trouble, how: str, kind: type[Error], *, stream: bool
    ) -> None:
        trouble.fail(how)
        with pytest.raises(Error) as told:
            await either(trouble.upstream, stream=stream)
        assert type(told.value) is kind

    async def test_an_overloaded_engine_says_when_to_come_back(self, trouble: Trouble) -> None:
        trouble.fail("overloaded")
        with pytest.raises(Overloaded) as told:
            await answer(trouble.upstream)
        assert told.value.retry_after_seconds == 7.0

    async def test_an_engines_own_words_are_kept(self, trouble: Trouble) -> None:
        trouble.fail("refused")
        with pytest.raises(Refused) as told:
            await answer(trouble.upstream)
        assert told.value.status == 422
        assert b"as the test wishes" in told.value.body

    @pytest.mark.parametrize("after", [1, 2])
    async def test_an_answer_that_breaks_off_gives_what_it_had_and_then_its_error(
        self, trouble: Trouble, after: int
    ) -> None:
        trouble.break_off(after)
        pieces = trouble.upstream.generate(dispatch())
        chunks: list[bytes] = []
        while len(chunks) < after:
            chunks += await anext(pieces)
        with pytest.raises(BrokenOff):
            await anext(pieces)

    @pytest.mark.parametrize("stream", [True, False])
    async def test_an_upstream_that_never_begins_is_given_up_in_time(
        self, trouble: Trouble, *, stream: bool
    ) -> None:
        trouble.hold(0)
        started = time.perf_counter()
        with pytest.raises(Error) as told:
            await either(trouble.upstream, stream=stream, seconds=0.05)
        assert isinstance(told.value, Unavailable | DeadlineExceeded)
        assert time.perf_counter() - started < 2.0
        await trouble.until_idle()

    async def test_who_is_cancelled_while_waiting_for_a_whole_answer_ends_the_work_behind_it(
        self, trouble: Trouble
    ) -> None:
        trouble.hold(0)
        waiting = asyncio.create_task(trouble.upstream.complete(dispatch(stream=False)))
        await trouble.until_busy()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await trouble.until_idle()

    async def test_the_trace_goes_along(self, trouble: Trouble) -> None:
        await answer(trouble.upstream, dispatch(headers=TRACE))
        assert trouble.headers()["traceparent"] == TRACE["traceparent"]

    async def test_no_engine_and_nobody_else_is_told_of_tenants_by_header(self, trouble: Trouble) -> None:
        await answer(trouble.upstream, replace(dispatch(), party=Party("search", 2.5)))
        assert "search" not in trouble.headers().values()


class TestFake(TroubledUpstreamContract):
    @pytest.fixture
    def trouble(self) -> Trouble:
        return turned_by(upstream := FakeUpstream(), upstream)


class TestBackend(TroubledUpstreamContract):
    @pytest.fixture
    async def trouble(self) -> AsyncIterator[Trouble]:
        async with fake_backend() as backend:
            upstream = await BackendUpstream.connect(backend.address)
            yield turned_by(backend.upstream, upstream)
            await upstream.close()

    async def test_it_is_told_whose_request_it_is(self) -> None:
        async with fake_backend() as backend:
            upstream = await BackendUpstream.connect(backend.address)
            await answer(upstream, replace(dispatch(), party=Party("search", 2.5)))
            await upstream.close()
        assert backend.upstream.seen[0].party == Party("search", 2.5)

    async def test_it_says_how_busy_it_is_where_it_knows(self) -> None:
        async with fake_backend() as backend:
            upstream = await BackendUpstream.connect(backend.address)
            assert await upstream.load() is None
            backend.upstream.says = Load(3, 4, 8, draining=True)
            assert await upstream.load() == Load(3, 4, 8, draining=True)
        assert await upstream.load() is None
        await upstream.close()

    async def test_nobody_at_an_address_is_unavailable_and_nothing_of_grpc(self) -> None:
        upstream = await BackendUpstream.connect("127.0.0.1:1")
        with pytest.raises(Unavailable) as told:
            await answer(upstream, dispatch(seconds=5.0))
        assert not isinstance(told.value, grpc.RpcError)
        assert told.value.__cause__ is None
        await upstream.close()

    @pytest.mark.parametrize(("before", "kind"), [([], Unavailable), ([b""], BrokenOff)])
    async def test_bytes_that_are_no_message_are_an_error_of_ours(
        self, before: list[bytes], kind: type[Error], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.CRITICAL, "grpc")  # which logs a traceback
        async with says("steersman.api.v1.BackendService/Generate", [*before, *GARBAGE]) as address:
            upstream = await BackendUpstream.connect(address)
            with pytest.raises(kind) as told:
                await answer(upstream)
            await upstream.close()
        assert told.value.reason == "BACKEND_GARBAGE"

    async def test_a_load_report_that_is_no_message_is_none(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.CRITICAL, "grpc")  # which logs a traceback
        async with says("steersman.api.v1.BackendService/GetLoad", GARBAGE, streams=False) as address:
            upstream = await BackendUpstream.connect(address)
            assert await upstream.load() is None
            await upstream.close()

    async def test_a_backend_that_is_killed_breaks_off_its_answers(self) -> None:
        async with fake_backend() as backend:
            backend.upstream.hold_at = 1
            upstream = await BackendUpstream.connect(backend.address)
            pieces = upstream.generate(dispatch())
            await anext(pieces)
        with pytest.raises(BrokenOff):
            await anext(pieces)
        await upstream.close()

    async def test_a_backend_that_comes_back_is_found_again(self) -> None:
        async with fake_backend() as backend:
            upstream = await BackendUpstream.connect(backend.address)
            await answer(upstream)
        with pytest.raises(Unavailable):
            await answer(upstream, dispatch(seconds=5.0))
        await upstream.close()


class TestDirect(TroubledUpstreamContract):
    @pytest.fixture
    async def trouble(self) -> AsyncIterator[Trouble]:
        async with fake_engine() as engine:
            upstream = await DirectUpstream.connect(engine.url, api_key="hush")

            def fail(how: str) -> None:
                engine.status = {"unavailable": 503, "overloaded": 429, "refused": 422}[how]
                engine.retry_after = "7"

            def break_off(after: int) -> None:
                engine.reset_after = after
                engine.token_seconds = 0.01

            def hold(after: int) -> None:
                engine.hold_before_answer = after == 0
                engine.hold_after = after or None

            yield Trouble(
                upstream,
                lambda: engine.until(running=0),
                fail,
                break_off,
                hold,
                lambda: engine.seen[-1].headers,
                lambda: engine.until(running=1),
            )
            await upstream.close()

    async def test_nobody_at_a_url_is_unavailable_and_nothing_of_aiohttp(self) -> None:
        upstream = await DirectUpstream.connect("http://127.0.0.1:1", api_key="hush")
        with pytest.raises(Unavailable) as told:
            await answer(upstream)
        assert not isinstance(told.value, aiohttp.ClientError)
        assert "hush" not in repr(told.value)
        await upstream.close()

    async def test_the_key_goes_along(self, trouble: Trouble) -> None:
        await answer(trouble.upstream)
        assert trouble.headers()["authorization"] == "Bearer hush"


class TestRealEngine(UpstreamContract):
    @pytest.fixture
    async def subject(self, engine: Engine) -> AsyncIterator[Subject]:
        upstream = await DirectUpstream.connect(engine.url, api_key=None)
        yield Subject(upstream, lambda: until_idle(engine))
        await upstream.close()

    async def test_a_request_that_the_engine_cannot_read_is_refused(self, subject: Subject) -> None:
        with pytest.raises(Refused) as told:
            await either(subject.upstream, stream=False, messages=[{"role": "user", "content": 5}])
        assert 400 <= told.value.status < 500
        assert "error" in orjson.loads(told.value.body)


def turned_by(far_side: FakeUpstream, upstream: Upstream) -> Trouble:
    """An upstream behind which there is a fake one."""

    def fail(how: str) -> None:
        far_side.error = {
            "unavailable": Unavailable("no"),
            "overloaded": Overloaded("no", retry_after_seconds=7.0),
            "refused": Refused("no", status=422, body=b'{"error": "as the test wishes"}'),
        }[how]

    def break_off(after: int) -> None:
        far_side.error, far_side.error_at = BrokenOff("it died"), after

    def hold(after: int) -> None:
        far_side.hold_at = after

    async def until(*, busy: bool) -> None:
        async with asyncio.timeout(5):
            while bool(far_side.running) is not busy:  # noqa: ASYNC110 - a number tells only when asked
                await asyncio.sleep(0.002)

    return Trouble(
        upstream,
        lambda: until(busy=False),
        fail,
        break_off,
        hold,
        lambda: dict(far_side.seen[-1].headers),
        lambda: until(busy=True),
    )


async def until_idle(engine: Engine) -> None:
    """Wait until a llama.cpp server works on nothing."""
    async with asyncio.timeout(20), aiohttp.ClientSession(engine.url) as session:
        while True:
            async with session.get("/slots") as response:
                if not any(slot["is_processing"] for slot in await response.json()):
                    return
            await asyncio.sleep(0.1)
