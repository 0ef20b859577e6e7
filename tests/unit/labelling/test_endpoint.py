from __future__ import annotations

from typing import Any

import orjson
import pytest

from fakes.engine import FakeEngine, fake_engine
from steersman.labelling.endpoint import LONGEST_WAIT, TRIES, Endpoint, OpenAIChat
from steersman.labelling.model import Reply
from steersman.router.model import Price
from steersman.runtime.errors import Error, Overloaded, Refused, Unavailable

MESSAGES = [{"role": "user", "content": "How deep is the sea?"}]
KEY = "sk-secret"


class Waits:
    """Takes the place of sleeping: notes how long, and turns the engine's knobs."""

    def __init__(self, engine: FakeEngine, **knobs: Any) -> None:
        self.seconds: list[float] = []
        self._engine, self._knobs = engine, knobs

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        for name, value in self._knobs.items():
            setattr(self._engine, name, value)


async def ask(engine: FakeEngine, waits: Waits | None = None, **options: Any) -> Reply:
    given = {"price": Price(1e6, 2e6), **options}
    endpoint = Endpoint(url=engine.url, model="the-model", api_key=KEY, **given)
    async with OpenAIChat(endpoint, sleep=waits or Waits(engine)) as chat:
        return await chat.ask(MESSAGES)


async def test_a_reply_comes_with_its_tokens_and_its_cost() -> None:
    async with fake_engine(api_key=KEY) as engine:
        reply = await ask(engine)
    assert (reply.text, reply.finish_reason) == ("Hello there!", "stop")
    assert (reply.prompt_tokens, reply.completion_tokens, reply.usd) == (7, 3, 13.0)
    assert reply.metered
    assert engine.seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert engine.seen[0].json == {
        "model": "the-model",
        "messages": MESSAGES,
        "max_tokens": 1024,
        "temperature": 0.0,
        "stream": False,
    }


async def test_fields_of_the_request_can_be_set_and_taken_out() -> None:
    parameters = {"temperature": None, "max_tokens": None, "max_completion_tokens": 9}
    async with fake_engine() as engine:
        await ask(engine, parameters=parameters)
    assert {"temperature", "max_tokens"}.isdisjoint(engine.seen[0].json)
    endpoint = Endpoint(url=engine.url, model="m", price=Price(0.0, 1e6), parameters=parameters)
    assert OpenAIChat(endpoint).most_usd(MESSAGES) == 9


async def test_without_usage_tokens_are_estimated() -> None:
    said = {"choices": [{"message": {"content": "four by four it is"}, "finish_reason": "stop"}]}
    async with fake_engine(raw_body=orjson.dumps(said)) as engine:
        reply = await ask(engine)
    assert not reply.metered
    assert (reply.prompt_tokens, reply.completion_tokens) == (9, 8)


async def test_the_servers_wait_is_heeded() -> None:
    async with fake_engine(status=429, retry_after="17") as engine:
        waits = Waits(engine, status=200)
        assert (await ask(engine, waits)).text
    assert waits.seconds == [17.0]


async def test_tries_are_few_and_pauses_grow() -> None:
    async with fake_engine(status=500, retry_after="0") as engine:
        waits = Waits(engine)
        with pytest.raises(Unavailable):
            await ask(engine, waits)
    assert len(engine.seen) == TRIES
    assert waits.seconds == sorted(waits.seconds)
    assert len(waits.seconds) == TRIES - 1


@pytest.mark.parametrize(
    ("knobs", "error"),
    [
        pytest.param({"status": 400}, Refused, id="refused"),
        pytest.param({"status": 401}, Unavailable, id="key not accepted"),
        pytest.param({"status": 429, "retry_after": str(LONGEST_WAIT + 1)}, Overloaded, id="too long a wait"),
    ],
)
async def test_what_will_not_pass_is_not_tried_again(knobs: dict[str, Any], error: type[Error]) -> None:
    async with fake_engine(**knobs) as engine:
        waits = Waits(engine)
        with pytest.raises(error) as caught:
            await ask(engine, waits)
    assert (len(engine.seen), waits.seconds) == (1, [])
    assert KEY not in str(caught.value)


async def test_a_reply_has_a_deadline() -> None:
    async with fake_engine(hold_before_answer=True) as engine:
        with pytest.raises(Unavailable, match="did not begin its answer in time"):
            await ask(engine, timeout=0.05)


async def test_garbage_is_no_reply() -> None:
    async with fake_engine(raw_body=b'{"choices": 3}') as engine:
        with pytest.raises(Error):
            await ask(engine)


def test_a_key_is_not_shown() -> None:
    endpoint = Endpoint(url="http://localhost", model="m", price=Price(0.0, 0.0), api_key=KEY)
    assert KEY not in repr(endpoint)
