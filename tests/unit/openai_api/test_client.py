"""What the client makes of engines that answer."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, closing, suppress
from typing import Any

import aiohttp
import orjson
import pytest

from fakes.engine import FakeEngine
from fixtures.asking import PATIENT, ask, body, said
from steersman.openai_api.client import EngineClient
from steersman.runtime import errors


async def test_a_stream_is_its_chunks_without_done(client: EngineClient) -> None:
    chunks = await ask(client)
    assert said(chunks) == "Hello there!"
    assert b"[DONE]" not in chunks


@pytest.mark.parametrize("piece_bytes", [1, 7, 1000])
async def test_a_stream_may_be_cut_anywhere(
    client: EngineClient, engine: FakeEngine, piece_bytes: int
) -> None:
    engine.piece_bytes = piece_bytes
    assert said(await ask(client)) == "Hello there!"


async def test_chunks_that_came_together_are_handed_out_together(
    client: EngineClient, engine: FakeEngine
) -> None:
    engine.tokens = ["x"] * 50
    engine.hold_after = 1
    answer = client.generate(body(stream=True), timeouts=PATIENT)
    async with aclosing(answer):
        assert len(await anext(answer)) == 1
        engine.release()
        await engine.until(running=0)
        sizes = [len(each) async for each in answer]
    assert sum(sizes) == 51
    assert len(sizes) < 10


async def test_a_whole_answer_is_one_body(client: EngineClient) -> None:
    (answer,) = await ask(client, stream=False)
    assert orjson.loads(answer)["choices"][0]["message"]["content"] == "Hello there!"


async def test_the_body_and_headers_reach_the_engine_unchanged(
    client: EngineClient, engine: FakeEngine
) -> None:
    sent = body(unknown={"a": [1, 2.5, None]})
    traced = {"traceparent": "00-aa-bb-01"}
    await client.complete(sent, timeouts=PATIENT, headers=traced)
    (seen,) = engine.seen
    assert seen.body == sent
    assert seen.headers["authorization"] == "Bearer key-of-ours"
    assert seen.headers["traceparent"] == "00-aa-bb-01"
    assert seen.headers["content-type"] == "application/json"


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
async def test_the_url_may_be_written_with_its_version_or_without(engine: FakeEngine, suffix: str) -> None:
    async with EngineClient(url=engine.url + suffix) as client:
        assert said(await ask(client)) == "Hello there!"
        assert await client.get_json("/props", timeout=5) == {
            "total_slots": 2,
            "default_generation_settings": {"n_ctx": 2048},
        }
        assert (await client.get_json("/v1/models", timeout=5))["data"][0]["id"] == "fake-model"
    assert "authorization" not in engine.seen[0].headers


@pytest.mark.parametrize("stream", [True, False])
async def test_connections_are_used_again(client: EngineClient, engine: FakeEngine, *, stream: bool) -> None:
    for _ in range(5):
        await ask(client, stream=stream)
    assert len(engine.connections) == 1


async def test_a_stream_without_done_is_complete_after_a_finish_reason(
    client: EngineClient, engine: FakeEngine
) -> None:
    engine.send_done = False
    assert said(await ask(client)) == "Hello there!"


async def test_a_stream_in_which_another_choice_goes_on_is_not_complete(engine: FakeEngine) -> None:
    parts = [(0, "Hel", None), (1, "Hel", None), (0, "lo", "stop"), (1, "l", None)]
    chunks = [
        orjson.dumps({"choices": [{"index": index, "delta": {"content": text}, "finish_reason": finish}]})
        for index, text, finish in parts
    ]
    engine.raw_body = b"".join(b"data: %b\n\n" % chunk for chunk in chunks)
    engine.content_type = "text/event-stream"
    async with EngineClient(url=engine.url) as client:
        with pytest.raises(errors.BrokenOff):
            await ask(client)


async def test_the_word_error_in_an_answer_is_no_error(client: EngineClient, engine: FakeEngine) -> None:
    engine.tokens = ['{"error": {"code": 500}}', '"error"']
    assert said(await ask(client)) == '{"error": {"code": 500}}"error"'
    assert len(await ask(client, stream=False)) == 1


async def test_closing_the_answer_makes_the_engine_stop(client: EngineClient, engine: FakeEngine) -> None:
    engine.hold_after = 1
    answer = client.generate(body(stream=True), timeouts=PATIENT)
    await anext(answer)
    await answer.aclose()
    await engine.until(running=0, disconnects=1)


@pytest.mark.parametrize("stream", [True, False])
async def test_cancelling_who_waits_makes_the_engine_stop(
    client: EngineClient, engine: FakeEngine, *, stream: bool
) -> None:
    engine.hold_before_answer = True
    asked = asyncio.create_task(ask(client, stream=stream))
    await engine.until(running=1)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await engine.until(running=0, disconnects=1)


async def test_a_connection_that_the_engine_had_closed_is_not_the_callers_trouble() -> None:
    body = b'{"choices": []}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    answer = head % len(body) + body
    requests = 0

    async def answer_one_then_hang_up_on_the_next(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal requests
        for number in range(2):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            requests += 1
            if number == 0:
                writer.write(answer)
        writer.close()

    async with await asyncio.start_server(answer_one_then_hang_up_on_the_next, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with EngineClient(url=f"http://127.0.0.1:{port}") as client:
            assert await ask(client, stream=False) == [body]
            assert await ask(client, stream=False) == [body]
    assert requests == 3


def test_aiohttp_is_not_leaked() -> None:
    assert not issubclass(errors.Error, aiohttp.ClientError)


async def test_when_an_engine_closes_all_its_connections_each_request_is_sent_again() -> None:
    body = b'{"choices": []}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    old: set[object] = set()
    connections: list[Any] = []
    hangs_up = asyncio.Event()
    all_ask = asyncio.Barrier(4)

    async def answer_until_it_hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        connections.append(asyncio.current_task())
        with closing(writer), suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(asked.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
                if hangs_up.is_set() and peer in old:
                    return
                if not hangs_up.is_set():
                    old.add(peer)
                    await all_ask.wait()
                writer.write(head + body)

    async with await asyncio.start_server(answer_until_it_hangs_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with EngineClient(url=f"http://127.0.0.1:{port}") as client:
            for _ in range(2):
                answers = await asyncio.gather(*(ask(client, stream=False) for _ in range(4)))
                assert answers == [[body]] * 4
                hangs_up.set()
        await asyncio.gather(*connections)
    assert (len(old), len(connections)) == (4, 8)


async def test_a_client_outside_its_context_says_so() -> None:
    with pytest.raises(RuntimeError):
        await ask(EngineClient(url="http://127.0.0.1:1"))
