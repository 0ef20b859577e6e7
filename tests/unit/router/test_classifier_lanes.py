"""How texts gather into calls; the calls themselves are the contract suite's, against a real server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from fakes.addresses import FakeAddresses
from fakes.garbage import GARBAGE, says
from steersman.router.adapters.triton import TritonClassifier, TritonOptions
from steersman.router.model import Assessment
from steersman.runtime.breaker import Breaker
from steersman.runtime.tasks import BackgroundTasks

ANSWER = Assessment(0.5, 0.5, 0.5, truncated=False)


class Calls:
    """Stands in for the server: each call is answered when the test says so."""

    def __init__(self) -> None:
        self.texts: list[Sequence[str]] = []
        self.began = asyncio.Condition()
        self.answered: list[asyncio.Event] = []

    async def ask(self, texts: Sequence[str], _headers: dict[str, str]) -> Sequence[Assessment]:
        done = asyncio.Event()
        async with self.began:
            self.texts.append(texts)
            self.answered.append(done)
            self.began.notify_all()
        await done.wait()
        return [ANSWER] * len(texts)

    async def number(self, wanted: int) -> None:
        async with asyncio.timeout(5), self.began:
            await self.began.wait_for(lambda: len(self.texts) >= wanted)


@asynccontextmanager
async def classifier(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TritonClassifier]:
    options = TritonOptions("nowhere:1", "model", "1", timeout=5.0, queue=8, refresh_seconds=5.0)
    found = TritonClassifier(
        options, source=FakeAddresses([]), breaker=lambda: Breaker(threshold=5, cooldown=1.0)
    )
    monkeypatch.setattr(found, "_ask", calls.ask)
    async with BackgroundTasks(on_failure=pytest.fail) as tasks:
        for number in range(2):
            tasks.start(f"lane {number}", found.serve_lane)
        yield found


async def test_texts_that_come_during_a_call_go_together_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls()
    async with classifier(calls, monkeypatch) as subject:
        first = asyncio.ensure_future(subject.assess("first"))
        await calls.number(1)
        others = [asyncio.ensure_future(subject.assess(text)) for text in ("second", "third")]
        await asyncio.sleep(0)
        calls.answered[0].set()
        assert await first == ANSWER
        await calls.number(2)
        calls.answered[1].set()
        assert await asyncio.gather(*others) == [ANSWER, ANSWER]
    assert calls.texts == [["first"], ["second", "third"]]


async def test_a_call_that_hangs_holds_up_the_next_one_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = Calls()
    async with classifier(calls, monkeypatch) as subject:
        hung = asyncio.ensure_future(subject.assess("hung"))
        await calls.number(1)
        other = asyncio.ensure_future(subject.assess("other"))
        await calls.number(2)
        calls.answered[1].set()
        assert await other == ANSWER
        assert not hung.done()
        calls.answered[0].set()
        assert await hung == ANSWER


async def test_a_server_whose_answer_is_no_message_keeps_no_router_from_starting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL, "grpc")  # which logs a traceback
    async with says("inference.GRPCInferenceService/ModelConfig", GARBAGE, streams=False) as address:
        options = TritonOptions(address, "static_head", "1", timeout=1.0, refresh_seconds=1.0, queue=1)
        source = FakeAddresses((address,))
        async with TritonClassifier(
            options, source=source, breaker=lambda: Breaker(threshold=1, cooldown=1.0)
        ) as found:
            assert found.identity is None
