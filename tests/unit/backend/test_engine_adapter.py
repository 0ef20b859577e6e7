from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, strategies as st

from fakes.engine import FakeEngine, fake_engine
from steersman.backend.adapters.engine import OpenAIEngine, served_model
from steersman.backend.model import ServedModel
from steersman.openai_api.client import EngineClient, Timeouts
from steersman.runtime.errors import Unavailable

TIMEOUTS = Timeouts(first_byte=5, idle=5, whole=5)


@pytest.fixture
async def fake() -> AsyncIterator[FakeEngine]:
    async with fake_engine() as engine:
        yield engine


@pytest.fixture
async def adapter(fake: FakeEngine) -> AsyncIterator[OpenAIEngine]:
    async with EngineClient(url=fake.url) as client:
        yield OpenAIEngine(client, timeouts=TIMEOUTS, refresh_seconds=60)


async def test_nothing_is_known_before_the_engine_was_asked(adapter: OpenAIEngine) -> None:
    assert adapter.served is None
    assert not adapter.reachable


async def test_slots_and_context_window_are_learnt_from_llama_cpp(adapter: OpenAIEngine) -> None:
    await adapter.refresh()
    assert adapter.served == ServedModel(names=("fake-model",), provider="fake", context_window=2048, slots=2)
    assert adapter.reachable


async def test_the_context_window_is_learnt_from_vllm_and_its_slots_are_not(
    adapter: OpenAIEngine, fake: FakeEngine
) -> None:
    fake.slots, fake.context_window = None, 32768
    await adapter.refresh()
    assert adapter.served == ServedModel(
        names=("fake-model",), provider="fake", context_window=32768, slots=None
    )


async def test_an_engine_counts_as_away_after_three_failures_and_is_remembered(
    adapter: OpenAIEngine, fake: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await adapter.refresh()
    fake.api_key = "another"
    seen = []
    for _ in range(3):
        await adapter.refresh()
        seen.append(adapter.reachable)
    assert seen == [True, True, False]
    assert adapter.served is not None
    fake.api_key = None
    await adapter.refresh()
    assert adapter.reachable
    assert [record.message for record in caplog.records if record.name.startswith("steersman")] == [
        "engine reachable",
        "engine away",
        "engine reachable",
    ]


@pytest.mark.parametrize("answer", [403, 500, 200])
async def test_an_engine_with_other_words_for_a_path_it_does_not_know_is_there(
    adapter: OpenAIEngine, fake: FakeEngine, answer: int
) -> None:
    fake.props_status = answer
    await adapter.refresh()
    assert adapter.reachable
    assert adapter.served is not None
    assert adapter.served.slots is None


async def test_an_engine_that_has_no_time_to_say_what_it_serves_is_there(
    adapter: OpenAIEngine, fake: FakeEngine
) -> None:
    await adapter.refresh()
    fake.models_status = 429
    for _ in range(4):
        await adapter.refresh()
    assert adapter.reachable


async def test_watching_tells_the_news_after_each_look(adapter: OpenAIEngine) -> None:
    told = asyncio.Event()

    async def on_news() -> None:
        assert adapter.reachable
        told.set()

    watching = asyncio.create_task(adapter.watch(on_news))
    await asyncio.wait_for(told.wait(), 5)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching


async def test_it_answers(adapter: OpenAIEngine, fake: FakeEngine) -> None:
    answer = adapter.generate(b'{"messages":[]}', stream=False, headers={"traceparent": "x"})
    assert len([chunks async for chunks in answer]) == 1
    assert fake.seen[0].headers["traceparent"] == "x"


@pytest.mark.parametrize("stream", [True, False])
async def test_what_waits_for_an_engine_that_turns_out_to_hang_is_given_up(
    adapter: OpenAIEngine, fake: FakeEngine, *, stream: bool
) -> None:
    await adapter.refresh()
    fake.hold_before_answer = True
    body = b'{"stream":true,"messages":[]}' if stream else b'{"messages":[]}'
    waiting = asyncio.ensure_future(anext(adapter.generate(body, stream=stream, headers={})))
    await fake.until(running=1)
    fake.api_key = "another"
    for _ in range(3):
        assert not waiting.done()
        await adapter.refresh()
    with pytest.raises(Unavailable) as told:
        await waiting
    assert told.value.reason == "ENGINE_TIMEOUT"
    await fake.until(disconnects=1)


async def test_an_answer_that_has_begun_is_kept_when_its_engine_seems_to_hang(
    adapter: OpenAIEngine, fake: FakeEngine
) -> None:
    fake.hold_after = 1
    answer = adapter.generate(b'{"stream":true,"messages":[]}', stream=True, headers={})
    assert await anext(answer)
    fake.api_key = "another"
    for _ in range(3):
        await adapter.refresh()
    fake.release()
    assert [chunks async for chunks in answer]


def test_the_names_of_a_model_are_its_ids_and_aliases() -> None:
    models = {"data": [{"id": "a", "aliases": ["b", 3], "owned_by": "vllm"}, {"id": "c"}, {"id": 5}]}
    assert served_model({}, models) == ServedModel(
        names=("a", "c", "b"), provider="vllm", context_window=0, slots=None
    )


@pytest.mark.parametrize(
    "models", [None, [], {}, {"data": None}, {"data": []}, {"data": [{}]}, {"data": [{"id": None}]}, "models"]
)
def test_an_engine_that_lists_no_model_is_not_usable(models: Any) -> None:
    with pytest.raises(Unavailable):
        served_model({}, models)


@pytest.mark.parametrize("count", ["4", 0, -1, 2**40, 1.5, None, [4]])
def test_a_count_that_is_none_is_unknown(count: Any) -> None:
    props = {"total_slots": count, "default_generation_settings": {"n_ctx": count}}
    served = served_model(props, {"data": [{"id": "a", "max_model_len": count}]})
    assert (served.slots, served.context_window) == (None, 0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "id", "aliases", "total_slots", "n_ctx"]), inner, max_size=3
        )
    ),
)


@given(props=JSON, models=JSON)
def test_any_json_is_a_model_or_unavailable(props: Any, models: Any) -> None:
    try:
        served = served_model(props, models)
    except Unavailable:
        return
    assert served.names
