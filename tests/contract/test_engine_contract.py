"""What Steersman relies on in an engine, asked of the fake one and of llama.cpp with a real model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from fakes.engine import fake_engine
from fixtures.real_parts import Engine
from steersman.backend.adapters.engine import OpenAIEngine
from steersman.openai_api.client import EngineClient, Timeouts
from steersman.runtime import errors

PATIENT = Timeouts(first_byte=60, idle=60, whole=120)
HASTY = Timeouts(first_byte=0.001, idle=60, whole=0.001)
PROMPT = "Write a long story about a ship."


@dataclass
class Subject:
    """An engine under test."""

    client: EngineClient
    model: str
    slots: int
    busy: Callable[[], Awaitable[int]]
    """Requests that it works on."""
    poll_seconds: float
    """How often that may be asked."""

    def body(self, **fields: Any) -> bytes:
        messages = [{"role": "user", "content": PROMPT}]
        return orjson.dumps({"model": self.model, "messages": messages, "max_tokens": 8, **fields})

    def long(self, *, stream: bool) -> bytes:
        return self.body(stream=stream, max_tokens=2000, ignore_eos=True)

    async def ask(
        self, body: bytes | None = None, *, stream: bool, timeouts: Timeouts = PATIENT, **fields: Any
    ) -> list[bytes]:
        asked = self.body(stream=stream, **fields) if body is None else body
        if not stream:
            return [await self.client.complete(asked, timeouts=timeouts)]
        answer = self.client.generate(asked, timeouts=timeouts)
        async with aclosing(answer):
            return [chunk async for chunks in answer for chunk in chunks]

    async def until_busy(self, count: int) -> None:
        async with asyncio.timeout(20):
            while await self.busy() != count:  # noqa: ASYNC110 - an engine tells only when asked
                await asyncio.sleep(self.poll_seconds)


def said(chunks: list[bytes]) -> str:
    choices = [choice for chunk in chunks for choice in orjson.loads(chunk)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


class EngineContract:
    """The suite; a subclass says which engine is the `subject`."""

    async def test_a_stream_is_chunks_that_end_with_a_finish_reason(self, subject: Subject) -> None:
        chunks = [orjson.loads(chunk) for chunk in await subject.ask(stream=True)]
        assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
        reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
        assert reasons[-1] in ("stop", "length")
        assert set(reasons[:-1]) == {None}

    async def test_a_chunk_is_a_token_or_a_few(self, subject: Subject) -> None:
        chunks = await subject.ask(stream=True)
        assert 4 <= len(chunks) <= 11  # half a character waits for its other half

    async def test_usage_comes_last_where_it_is_asked_for(self, subject: Subject) -> None:
        chunks = await subject.ask(stream=True, stream_options={"include_usage": True})
        last = orjson.loads(chunks[-1])
        assert last["choices"] == []
        assert last["usage"]["completion_tokens"] == 8
        assert last["usage"]["prompt_tokens"] > 0
        assert not any(orjson.loads(chunk).get("usage") for chunk in chunks[:-1])

    async def test_usage_does_not_come_where_it_is_not_asked_for(self, subject: Subject) -> None:
        chunks = await subject.ask(stream=True)
        assert not any(orjson.loads(chunk).get("usage") for chunk in chunks)

    async def test_a_whole_answer_has_usage(self, subject: Subject) -> None:
        (body,) = await subject.ask(stream=False)
        answer = orjson.loads(body)
        assert answer["object"] == "chat.completion"
        assert answer["usage"]["completion_tokens"] == 8
        assert answer["choices"][0]["message"]["content"]

    async def test_a_stream_and_a_whole_answer_say_the_same(self, subject: Subject) -> None:
        (body,) = await subject.ask(stream=False, temperature=0)
        chunks = await subject.ask(stream=True, temperature=0)
        assert orjson.loads(body)["choices"][0]["message"]["content"] == said(chunks)

    @pytest.mark.parametrize("stream", [True, False])
    @pytest.mark.parametrize("body", [b'{"messages": [', b'{"messages": 5}'], ids=["no JSON", "wrong type"])
    async def test_nonsense_is_refused(self, subject: Subject, body: bytes, *, stream: bool) -> None:
        with pytest.raises(errors.Refused) as caught:
            await subject.ask(body, stream=stream)
        assert caught.value.status == 400
        assert orjson.loads(caught.value.body)["error"]["message"]

    async def test_a_prompt_over_the_context_window_is_refused(self, subject: Subject) -> None:
        messages = [{"role": "user", "content": "word " * 9000}]
        with pytest.raises(errors.Refused):
            await subject.ask(stream=True, messages=messages)

    async def test_it_says_what_it_serves(self, subject: Subject) -> None:
        adapter = OpenAIEngine(subject.client, timeouts=PATIENT, refresh_seconds=60)
        await adapter.refresh()
        assert adapter.served is not None
        assert adapter.served.name == subject.model
        assert adapter.served.slots == subject.slots
        assert adapter.served.context_window > 0

    async def test_it_stops_when_its_caller_closes_the_stream(self, subject: Subject) -> None:
        answer = subject.client.generate(subject.long(stream=True), timeouts=PATIENT)
        await anext(answer)
        assert await subject.busy() == 1
        await answer.aclose()
        await subject.until_busy(0)

    @pytest.mark.parametrize("stream", [True, False])
    async def test_it_stops_when_its_caller_is_cancelled(self, subject: Subject, *, stream: bool) -> None:
        asked = asyncio.create_task(subject.ask(subject.long(stream=stream), stream=stream))
        await subject.until_busy(1)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await subject.until_busy(0)

    @pytest.mark.parametrize("stream", [True, False])
    async def test_it_stops_when_it_is_too_slow(self, subject: Subject, *, stream: bool) -> None:
        with pytest.raises(errors.Unavailable) as caught:
            await subject.ask(subject.long(stream=stream), stream=stream, timeouts=HASTY)
        assert caught.value.reason in ("ENGINE_TIMEOUT", "ENGINE_UNREACHABLE")
        await subject.until_busy(0)

    async def test_a_path_that_it_does_not_have_is_refused(self, subject: Subject) -> None:
        with pytest.raises(errors.Refused) as caught:
            await subject.client.get_json("/no/such/path", timeout=10)
        assert caught.value.status == 404


class TestFakeEngine(EngineContract):
    """The fake keeps the contract."""

    @pytest.fixture
    async def subject(self) -> AsyncIterator[Subject]:
        words = [f" word{number}" for number in range(8)]
        async with (
            fake_engine(tokens=words, token_seconds=0.02) as engine,
            EngineClient(url=engine.url) as client,
        ):
            yield Subject(client=client, model=engine.model, slots=2, busy=engine.busy, poll_seconds=0.01)


class TestLlamaCpp(EngineContract):
    """The real one keeps it too.

    It looks whether the caller of a whole answer is still there only after a second in which no request of any kind
    made progress; being asked for its slots counts as one. So it is asked less often than that.
    """

    @pytest.fixture
    async def subject(self, engine: Engine) -> AsyncIterator[Subject]:
        async with EngineClient(url=engine.url) as client:

            async def busy() -> int:
                slots = await client.get_json("/slots", timeout=10)
                return sum(slot["is_processing"] for slot in slots)

            subject = Subject(client, engine.model, slots=engine.slots, busy=busy, poll_seconds=1.5)
            yield subject
            await subject.until_busy(0)  # it is shared, and left as it was found
