"""What the client makes of engines that do not answer, or not as they should."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import orjson
import pytest

from fakes.engine import FakeEngine
from fixtures.asking import PATIENT, ask, body
from steersman.openai_api.client import EngineClient, Timeouts
from steersman.runtime import errors

HASTY = Timeouts(first_byte=0.05, idle=0.05, whole=0.05)
BEFORE: list[Any] = [
    pytest.param({"status": 400}, errors.Refused, "ENGINE_REFUSED", id="its refusal"),
    pytest.param({"status": 404}, errors.Refused, "ENGINE_REFUSED", id="a model it does not know"),
    pytest.param({"status": 401}, errors.Unavailable, "ENGINE_UNAUTHORIZED", id="our key is wrong"),
    pytest.param({"status": 403}, errors.Unavailable, "ENGINE_UNAUTHORIZED", id="our key is not enough"),
    pytest.param({"status": 429}, errors.Overloaded, "ENGINE_OVERLOADED", id="a rate limit"),
    pytest.param({"status": 500}, errors.Unavailable, "ENGINE_FAILED", id="its failure"),
    pytest.param({"status": 503}, errors.Unavailable, "ENGINE_FAILED", id="its loading"),
    pytest.param({"status": 302}, errors.Unavailable, "ENGINE_GARBAGE", id="a redirect"),
    pytest.param({"status": 204}, errors.Unavailable, "ENGINE_GARBAGE", id="a success that is none"),
    pytest.param({"content_type": "text/html"}, errors.Unavailable, "ENGINE_GARBAGE", id="a web page"),
    pytest.param({"die_before_answer": True}, errors.Unavailable, "ENGINE_UNREACHABLE", id="a reset"),
]
AFTER: list[Any] = [
    pytest.param({"reset_after": 2}, "ENGINE_BROKE_OFF", id="a reset"),
    pytest.param({"end_after": 2}, "ENGINE_BROKE_OFF", id="an early end"),
    pytest.param({"end_after": 4}, "ENGINE_BROKE_OFF", id="an end before the finish reason"),
    pytest.param({"error_after": 2}, "ENGINE_FAILED", id="an error object"),
    pytest.param({"hold_after": 2}, "ENGINE_STALLED", id="silence"),
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("knobs", "kind", "reason"), BEFORE)
async def test_before_the_first_chunk_it_fails_with(
    client: EngineClient,
    engine: FakeEngine,
    *,
    knobs: dict[str, Any],
    kind: type[errors.Error],
    reason: str,
    stream: bool,
) -> None:
    for name, value in knobs.items():
        setattr(engine, name, value)
    with pytest.raises(kind) as caught:
        await ask(client, stream=stream)
    assert type(caught.value) is kind
    assert caught.value.reason == reason


async def test_a_refusal_carries_the_engines_own_words(client: EngineClient, engine: FakeEngine) -> None:
    engine.status = 422
    with pytest.raises(errors.Refused) as caught:
        await ask(client)
    assert caught.value.status == 422
    assert orjson.loads(caught.value.body)["error"]["message"] == "as the test wishes"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0.5", 0.5), ("soon", 1), ("nan", 1), ("-3", 0), ("1e9", 3600), (None, 1)],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_the_engine_says_when_to_come_back(
    client: EngineClient, engine: FakeEngine, *, status: int, header: str | None, seconds: float
) -> None:
    engine.status, engine.retry_after = status, header
    with pytest.raises((errors.Overloaded, errors.Unavailable)) as caught:
        await ask(client)
    assert caught.value.retry_after_seconds == seconds


async def test_an_enormous_error_body_is_cut(client: EngineClient, engine: FakeEngine) -> None:
    engine.status, engine.raw_body = 400, b"x" * 1_000_000
    with pytest.raises(errors.Refused) as caught:
        await ask(client)
    assert len(caught.value.body) == 64 * 1024


@pytest.mark.parametrize(
    "raw",
    [b"not json", b"", b"[]", b'{"choices": [', b"   "],
    ids=["words", "nothing", "list", "cut", "space"],
)
async def test_a_whole_answer_that_is_no_object_is_garbage(
    client: EngineClient, engine: FakeEngine, raw: bytes
) -> None:
    engine.raw_body = raw
    with pytest.raises(errors.Unavailable) as caught:
        await ask(client, stream=False)
    assert caught.value.reason == "ENGINE_GARBAGE"


@pytest.mark.parametrize("raw", [b'{"error": {"code": 400, "message": "no"}}', b' {"error":{"code":400}} '])
async def test_an_error_object_with_status_200_is_an_error(
    client: EngineClient, engine: FakeEngine, raw: bytes
) -> None:
    engine.raw_body = raw
    with pytest.raises(errors.Refused):
        await ask(client, stream=False)


@pytest.mark.parametrize(
    "raw",
    [
        b'{\n  "error": {"message": "out of memory", "code": 500}\n}',
        b'{"id": null, "error": {"message": "out of memory"}}',
        b'{"object": "error", "message": "out of memory", "code": 50002}',
    ],
    ids=["indented", "not first", "as FastChat has it"],
)
async def test_an_error_with_status_200_is_known_however_it_is_written(
    client: EngineClient, engine: FakeEngine, raw: bytes
) -> None:
    engine.raw_body = raw
    with pytest.raises(errors.Unavailable) as caught:
        await ask(client, stream=False)
    assert caught.value.reason == "ENGINE_FAILED"


async def test_a_whole_answer_without_choices_is_garbage(client: EngineClient, engine: FakeEngine) -> None:
    engine.raw_body = b'{"object": "chat.completion"}'
    with pytest.raises(errors.Unavailable) as caught:
        await ask(client, stream=False)
    assert caught.value.reason == "ENGINE_GARBAGE"


async def test_a_whole_answer_is_bounded(engine: FakeEngine) -> None:
    engine.tokens = ["x" * 3000]
    async with EngineClient(url=engine.url, max_body_bytes=2000) as client:
        with pytest.raises(errors.Unavailable) as caught:
            await ask(client, stream=False)
    assert caught.value.reason == "ENGINE_GARBAGE"


async def test_an_event_is_bounded(engine: FakeEngine) -> None:
    engine.tokens = ["x" * 3000]
    engine.hold_after = 1
    async with EngineClient(url=engine.url, max_event_bytes=2000) as client:
        answer = client.generate(body(stream=True), timeouts=PATIENT)
        assert len(await anext(answer)) == 1
        engine.release()
        with pytest.raises(errors.BrokenOff) as caught:
            await anext(answer)
    assert caught.value.reason == "ENGINE_GARBAGE"


@pytest.mark.parametrize("stream", [True, False])
async def test_nothing_in_time_is_a_timeout_after_which_another_may_be_asked(
    client: EngineClient, engine: FakeEngine, *, stream: bool
) -> None:
    engine.hold_before_answer = True
    with pytest.raises(errors.Unavailable) as caught:
        await ask(client, stream=stream, timeouts=HASTY)
    assert caught.value.reason == "ENGINE_TIMEOUT"
    await engine.until(running=0, disconnects=1)


@pytest.mark.parametrize(("knobs", "reason"), AFTER)
async def test_after_the_first_chunk_it_breaks_off_with(
    client: EngineClient, engine: FakeEngine, *, knobs: dict[str, Any], reason: str
) -> None:
    for name, value in knobs.items():
        setattr(engine, name, value)
    chunks: list[bytes] = []
    with pytest.raises(errors.BrokenOff) as caught:
        await ask(client, timeouts=Timeouts(first_byte=5, idle=0.1, whole=5), into=chunks)
    assert caught.value.reason == reason
    assert chunks


@pytest.mark.parametrize("knobs", [{"end_after": 0}, {"tokens": (), "send_finish": False, "end_after": 0}])
async def test_a_stream_that_ends_before_its_first_chunk_lets_another_be_asked(
    client: EngineClient, engine: FakeEngine, knobs: dict[str, Any]
) -> None:
    for name, value in knobs.items():
        setattr(engine, name, value)
    with pytest.raises(errors.Unavailable) as caught:
        await ask(client)
    assert caught.value.reason == "ENGINE_BROKE_OFF"


async def test_an_error_as_the_first_chunk_lets_another_be_asked(
    client: EngineClient, engine: FakeEngine
) -> None:
    engine.error_after = 0
    with pytest.raises(errors.Unavailable) as caught:
        await ask(client)
    assert caught.value.reason == "ENGINE_FAILED"


async def test_nobody_there_is_unreachable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    async with EngineClient(url=url) as client:
        with pytest.raises(errors.Unavailable) as caught:
            await ask(client)
        assert caught.value.reason == "ENGINE_UNREACHABLE"
        with pytest.raises(errors.Unavailable):
            await client.get_json("/props", timeout=1)


async def test_a_name_that_does_not_resolve_is_unreachable() -> None:
    async with EngineClient(url="http://engine.invalid", connect_timeout=1) as client:
        with pytest.raises(errors.Unavailable) as caught:
            await ask(client)
    assert caught.value.reason == "ENGINE_UNREACHABLE"


async def test_something_that_is_not_http_is_garbage() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with EngineClient(url=f"http://127.0.0.1:{port}") as client:
            with pytest.raises(errors.Unavailable) as caught:
                await ask(client)
    assert caught.value.reason == "ENGINE_GARBAGE"


async def test_the_key_and_the_url_are_in_no_error_and_no_log(
    engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "sk-very-secret"  # noqa: S105 - a made-up key
    async with EngineClient(url=engine.url, api_key=secret) as client:
        for status in (400, 401, 429, 500):
            engine.status = status
            with pytest.raises(errors.Error) as caught:
                await ask(client)
            text = f"{caught.value} {caught.value!r} {caplog.text}"
            assert secret not in text
            assert engine.url not in text


async def test_json_that_is_none_is_garbage(client: EngineClient, engine: FakeEngine) -> None:
    with pytest.raises(errors.Refused):
        await client.get_json("/nothing", timeout=5)
    engine.model = "x"
    assert (await client.get_json("/health", timeout=5)) == {"status": "ok"}
