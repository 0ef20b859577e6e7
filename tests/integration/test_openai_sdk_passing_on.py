"""The openai SDK before engines that record and fail: nothing is lost on the way there, no failure on the way back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import orjson
import pytest

from fakes.engine import FakeEngine
from fixtures.callers import fetch, openai_sdk
from fixtures.router_process import NOWHERE, Router, StartRouter, direct, policies

MESSAGES: Any = [{"role": "user", "content": "What is the weather in Paris?"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a place",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
        "strict": True,
    },
}
SCHEMA: Any = {
    "type": "json_schema",
    "json_schema": {"name": "city", "strict": True, "schema": {"type": "object", "properties": {}}},
}
IMAGE: Any = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        ],
    }
]
AFTER_A_TOOL: Any = [
    *MESSAGES,
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": '{"rain": true}'},
]
REQUESTS: list[Any] = [
    pytest.param({"tools": [WEATHER], "tool_choice": "required"}, id="tools"),
    pytest.param(
        {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "weather"}}},
        id="one tool",
    ),
    pytest.param(
        {"messages": AFTER_A_TOOL, "tools": [WEATHER], "parallel_tool_calls": False}, id="tool's result"
    ),
    pytest.param({"response_format": SCHEMA}, id="JSON schema"),
    pytest.param({"logprobs": True, "top_logprobs": 5, "logit_bias": {"42": -100}}, id="log probabilities"),
    pytest.param({"messages": IMAGE}, id="image"),
    pytest.param({"n": 2, "stop": ["\n", "é"], "seed": -1, "temperature": 0.1, "top_p": 1e-7}, id="sampling"),
    pytest.param({"user": "naïve ☃ \U0001f600", "metadata": {"a": "b"}, "service_tier": "auto"}, id="about"),
    pytest.param(
        {"extra_body": {"from_the_future": {"deep": [1, None, {"x": 1.5}]}, "min_p": 0.05, "big": 2**53 + 1}},
        id="unknown fields",
    ),
]


@pytest.fixture
async def sdk(router: Router) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai_sdk(router.http) as client:
        yield client


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("request_", REQUESTS)
async def test_every_field_arrives_at_the_engine_unchanged(
    router: Router, engines: dict[str, FakeEngine], *, request_: dict[str, Any], stream: bool
) -> None:
    given = {"model": "strong", "messages": MESSAGES, "stream": stream, **request_}
    sent: list[Any] = []

    async def remember(request: Any) -> None:
        sent.append(orjson.loads(request.content))

    http = openai.DefaultAsyncHttpxClient(event_hooks={"request": [remember]})
    async with openai_sdk(router.http, http_client=http) as sdk:
        answer: Any = await sdk.chat.completions.create(**given)
        if stream:
            assert [chunk async for chunk in answer]
    (seen,) = engines["strong"].seen
    expected = {**sent[0], "model": "strong-model"}
    if stream:
        expected["stream_options"] = {"include_usage": True}
    assert seen.json == expected


async def test_the_keys_of_a_caller_are_not_given_to_an_engine(
    sdk: openai.AsyncOpenAI, engines: dict[str, FakeEngine]
) -> None:
    await sdk.chat.completions.create(
        model="weak", messages=MESSAGES, extra_headers={"Cookie": "secret=1", "X-Anything": "secret"}
    )
    (seen,) = engines["weak"].seen
    assert "authorization" not in seen.headers
    assert "secret" not in str(seen.headers)


@pytest.mark.parametrize(
    ("asked", "shown"), [({}, 0), ({"include_usage": False}, 0), ({"include_usage": True, "more": 1}, 1)]
)
async def test_usage_is_always_asked_of_the_engine_and_shown_to_who_asked(
    sdk: openai.AsyncOpenAI, engines: dict[str, FakeEngine], *, asked: Any, shown: int
) -> None:
    chunks = [
        chunk
        async for chunk in await sdk.chat.completions.create(
            model="weak", messages=MESSAGES, stream=True, stream_options=asked
        )
    ]
    (seen,) = engines["weak"].seen
    assert seen.json["stream_options"] == {**asked, "include_usage": True}
    assert sum(chunk.usage is not None for chunk in chunks) == shown


async def test_a_picture_goes_to_the_tier_that_can_see(
    sdk: openai.AsyncOpenAI, engines: dict[str, FakeEngine]
) -> None:
    response = await sdk.chat.completions.with_raw_response.create(
        model="auto", messages=IMAGE, extra_headers={"x-steersman-threshold": "1"}
    )
    assert response.headers["x-steersman-reason"] == "CAPABILITY"
    assert response.headers["x-steersman-tier"] == "strong"
    assert not engines["weak"].seen


async def test_a_long_conversation_goes_to_the_tier_that_holds_it_and_a_longer_one_nowhere(
    sdk: openai.AsyncOpenAI, engines: dict[str, FakeEngine]
) -> None:
    create = sdk.chat.completions.with_raw_response.create
    response = await create(
        model="auto",
        messages=[{"role": "user", "content": "word " * 4000}],
        extra_headers={"x-steersman-threshold": "1"},
    )
    assert response.headers["x-steersman-reason"] == "CAPABILITY"
    assert len(engines["strong"].seen) == 1
    with pytest.raises(openai.BadRequestError) as caught:
        await create(model="auto", messages=[{"role": "user", "content": "word " * 8000}])
    assert caught.value.code == "capability"
    assert "context window" in caught.value.message


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_what_the_engine_refuses_is_passed_on_with_its_body(
    sdk: openai.AsyncOpenAI, engines: dict[str, FakeEngine], status: int
) -> None:
    engines["weak"].status = status
    engines["weak"].raw_body = b'{"error":{"message":"no such knob","type":"theirs","param":"x","code":77}}'
    with pytest.raises(openai.APIStatusError) as caught:
        await sdk.chat.completions.create(model="weak", messages=MESSAGES)
    assert caught.value.status_code == status
    assert caught.value.response.content == engines["weak"].raw_body
    assert caught.value.type == "theirs"


@pytest.mark.parametrize("status", [401, 403, 500, 502])
async def test_an_engine_that_fails_is_503_without_its_words(
    sdk: openai.AsyncOpenAI, engines: dict[str, FakeEngine], status: int
) -> None:
    engines["weak"].status = status
    engines["weak"].raw_body = b'{"error":{"message":"key sk-123 at 10.0.0.7"}}'
    with pytest.raises(openai.InternalServerError) as caught:
        await sdk.chat.completions.create(model="weak", messages=MESSAGES)
    assert caught.value.status_code == 503
    assert int(caught.value.response.headers["Retry-After"]) >= 1
    assert "sk-123" not in caught.value.response.text


async def test_an_engine_without_room_is_a_rate_limit_error_with_its_own_wait(
    sdk: openai.AsyncOpenAI, engines: dict[str, FakeEngine]
) -> None:
    engines["weak"].status, engines["weak"].retry_after = 429, "7"
    with pytest.raises(openai.RateLimitError) as caught:
        await sdk.chat.completions.create(model="weak", messages=MESSAGES)
    assert caught.value.response.headers["Retry-After"] == "7"
    assert caught.value.type == "rate_limit_error"


BREAKS: list[Any] = [
    pytest.param({"reset_after": 3}, "engine_broke_off", id="reset"),
    pytest.param({"end_after": 3}, "engine_broke_off", id="ended early"),
    pytest.param({"error_after": 3}, "engine_failed", id="reported an error"),
    pytest.param({"hold_after": 3}, "engine_stalled", id="hung"),
]


@pytest.mark.parametrize(("knobs", "code"), BREAKS)
async def test_an_engine_that_fails_in_the_middle_makes_the_sdk_raise_after_what_had_come(
    sdk: openai.AsyncOpenAI, engines: dict[str, FakeEngine], *, knobs: dict[str, Any], code: str
) -> None:
    for name, value in knobs.items():
        setattr(engines["weak"], name, value)
    stream = await sdk.chat.completions.create(model="weak", messages=MESSAGES, stream=True)
    said = ""
    with pytest.raises(openai.APIError) as caught:  # noqa: PT012 - it raises in the middle
        async for chunk in stream:
            said += chunk.choices[0].delta.content or ""
    assert said == "Hello there"
    assert caught.value.code == code


async def test_a_stream_that_broke_off_has_no_done(router: Router, engines: dict[str, FakeEngine]) -> None:
    engines["weak"].reset_after = 3
    answer = await fetch(
        f"{router.http}/v1/chat/completions",
        data=orjson.dumps({"model": "weak", "messages": MESSAGES, "stream": True}),
    )
    assert answer.status == 200
    last = answer.body.strip().split(b"\n\n")[-1]
    assert orjson.loads(last.removeprefix(b"data: "))["error"]["code"] == "engine_broke_off"
    assert b"[DONE]" not in answer.body


async def test_an_engine_that_sends_no_done_still_ends_with_one(
    router: Router, engines: dict[str, FakeEngine]
) -> None:
    engines["weak"].send_done = False
    answer = await fetch(
        f"{router.http}/v1/chat/completions",
        data=orjson.dumps({"model": "weak", "messages": MESSAGES, "stream": True}),
    )
    assert answer.body.endswith(b"data: [DONE]\n\n")


async def test_a_full_router_is_a_rate_limit_error_and_then_has_room_again(
    start_router: StartRouter, engines: dict[str, FakeEngine]
) -> None:
    tier = direct(engines["weak"].url)
    router = await start_router(policies(tier, tier), settings={"REQUESTS__MAX_IN_FLIGHT": 2})
    engines["weak"].hold_before_answer = True
    async with openai_sdk(router.http) as sdk, asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(sdk.chat.completions.create(model="weak", messages=MESSAGES))
        await engines["weak"].until(running=2)
        with pytest.raises(openai.RateLimitError) as caught:
            await sdk.chat.completions.create(model="weak", messages=MESSAGES)
        assert caught.value.code == "router_full"
        assert int(caught.value.response.headers["Retry-After"]) >= 1
        engines["weak"].release()
    async with openai_sdk(router.http) as sdk:
        assert (await sdk.chat.completions.create(model="weak", messages=MESSAGES)).choices


async def test_no_tier_at_all_is_503_with_a_time_to_come_back(start_router: StartRouter) -> None:
    tier = direct(f"http://{NOWHERE}")
    router = await start_router(policies(tier, tier))
    async with openai_sdk(router.http) as sdk:
        for stream in (False, True):
            with pytest.raises(openai.InternalServerError) as caught:
                await sdk.chat.completions.create(model="auto", messages=MESSAGES, stream=stream)
            assert caught.value.status_code == 503
            assert int(caught.value.response.headers["Retry-After"]) >= 1
            assert caught.value.type == "server_error"


async def test_the_sdk_that_may_try_again_gets_through_once_the_engine_is_back(
    router: Router, engines: dict[str, FakeEngine]
) -> None:
    engine = engines["weak"]
    engine.status = 503

    async def recover() -> None:
        while not engine.seen:  # noqa: ASYNC110 - the fake tells of requests in progress only
            await asyncio.sleep(0.01)
        engine.status = 200

    async with openai_sdk(router.http, max_retries=2) as sdk, asyncio.TaskGroup() as tasks:
        tasks.create_task(recover())
        assert (await sdk.chat.completions.create(model="weak", messages=MESSAGES)).choices
    assert len(engine.seen) == 2
