"""The official openai SDK before the real system: what a caller who changes only the base URL gets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from fixtures.callers import PROMPT, fetch, openai_sdk
from steersman.local.system import System

MESSAGES: Any = [{"role": "user", "content": PROMPT}]


@pytest.fixture
async def sdk(system: System) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai_sdk(system.addresses.router_http) as client:
        yield client


def said(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


async def test_an_answer_comes_whole(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.create(model="auto", messages=MESSAGES, max_tokens=6)
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 6
    assert answer.model == "SmolLM2-135M-Instruct"


async def test_an_answer_comes_as_a_stream_with_the_same_text(sdk: openai.AsyncOpenAI) -> None:
    request: Any = {"model": "weak", "messages": MESSAGES, "max_tokens": 6, "temperature": 0, "seed": 1}
    whole = await sdk.chat.completions.create(**request)
    chunks = [chunk async for chunk in await sdk.chat.completions.create(**request, stream=True)]
    assert said(chunks) == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"


def test_the_synchronous_sdk_works_as_well(system: System) -> None:
    url = f"{system.addresses.router_http}/v1"
    with openai.OpenAI(base_url=url, api_key="any", max_retries=0) as client:
        answer = client.chat.completions.create(model="auto", messages=MESSAGES, max_tokens=4)
        assert answer.choices[0].message.content
        stream = client.chat.completions.create(model="auto", messages=MESSAGES, max_tokens=4, stream=True)
        assert said(list(stream))
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="nobody", messages=MESSAGES)


async def test_a_stream_ends_with_done(system: System) -> None:
    answer = await fetch(
        f"{system.addresses.router_http}/v1/chat/completions",
        data=b'{"stream":true,"max_tokens":2,"messages":[{"role":"user","content":"Hello"}]}',
    )
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.body.endswith(b"data: [DONE]\n\n")


async def test_usage_ends_a_stream_when_it_was_asked_for(sdk: openai.AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(
        model="auto", messages=MESSAGES, max_tokens=3, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3


@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_usage": False}}])
async def test_usage_stays_out_of_a_stream_that_did_not_ask_for_it(
    sdk: openai.AsyncOpenAI, options: dict[str, Any]
) -> None:
    stream: Any = await sdk.chat.completions.create(
        model="auto", messages=MESSAGES, max_tokens=3, stream=True, **options
    )
    chunks = [chunk async for chunk in stream]
    assert said(chunks)
    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)
    assert all(chunk.choices for chunk in chunks)


async def test_log_probabilities_come_through(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.create(
        model="auto", messages=MESSAGES, max_tokens=3, logprobs=True, top_logprobs=2
    )
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert [len(each.top_logprobs) for each in logprobs.content or ()] == [2, 2, 2]


async def test_an_answer_follows_a_json_schema(sdk: openai.AsyncOpenAI) -> None:
    colour = {"type": "object", "properties": {"n": {"enum": [7]}}, "required": ["n"]}
    answer = await sdk.chat.completions.create(
        model="auto",
        messages=MESSAGES,
        max_tokens=200,  # the schema allows white space, of which a small model is fond
        temperature=0,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": {**colour, "additionalProperties": False}},
        },
    )
    assert "".join((answer.choices[0].message.content or "").split()) == '{"n":7}'


@pytest.mark.parametrize(
    ("model", "tier", "reason"),
    [
        ("auto", None, "SCORE"),
        ("weak", "weak", "OVERRIDE"),
        ("strong", "strong", "OVERRIDE"),
        ("SmolLM2-135M-Instruct", "weak", "OVERRIDE"),
    ],
)
async def test_a_model_is_a_policy_a_tier_or_what_an_engine_calls_its_model(
    sdk: openai.AsyncOpenAI, model: str, tier: str | None, reason: str
) -> None:
    response = await sdk.chat.completions.with_raw_response.create(
        model=model, messages=MESSAGES, max_tokens=1
    )
    assert response.headers["x-steersman-reason"] == reason
    assert response.headers["x-steersman-tier"] in ({tier} if tier else {"weak", "strong"})
    assert response.parse().choices


async def test_the_decision_is_in_the_headers_of_whole_and_streamed_answers(sdk: openai.AsyncOpenAI) -> None:
    create = sdk.chat.completions.with_raw_response.create
    whole = await create(model="auto", messages=MESSAGES, max_tokens=1)
    stream = await create(model="auto", messages=MESSAGES, max_tokens=1, stream=True)
    assert [chunk async for chunk in stream.parse()]
    for response in (whole, stream):
        headers = response.headers
        score, threshold = float(headers["x-steersman-score"]), float(headers["x-steersman-threshold"])
        assert headers["x-steersman-tier"] == ("strong" if score >= threshold else "weak")
        assert headers["x-steersman-policy"] == "auto"
        assert headers["x-steersman-cache"] in {"MISS", "L1_HIT", "L2_HIT"}
        assert float(headers["x-steersman-overhead-ms"]) > 0
        assert "classify;dur=" in headers["server-timing"]
    assert stream.headers["x-steersman-cache"] == "L1_HIT"
    assert whole.headers["x-steersman-decision-id"] != stream.headers["x-steersman-decision-id"]


@pytest.mark.parametrize(("threshold", "tier"), [("0", "strong"), ("1", "weak")])
async def test_a_header_moves_the_threshold_of_one_request(
    sdk: openai.AsyncOpenAI, threshold: str, tier: str
) -> None:
    response = await sdk.chat.completions.with_raw_response.create(
        model="auto", messages=MESSAGES, max_tokens=1, extra_headers={"x-steersman-threshold": threshold}
    )
    assert response.headers["x-steersman-tier"] == tier
    assert float(response.headers["x-steersman-threshold"]) == float(threshold)


async def test_policies_and_tiers_are_listed_as_models(sdk: openai.AsyncOpenAI) -> None:
    models = [model.id async for model in sdk.models.list()]
    assert models == ["auto", "weak", "strong"]
    assert (await sdk.models.retrieve("auto")).owned_by == "steersman"
    with pytest.raises(openai.NotFoundError) as caught:
        await sdk.models.retrieve("nobody")
    assert caught.value.code == "model_not_found"


async def test_an_unknown_model_is_a_bad_request_that_names_the_known_ones(sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await sdk.chat.completions.create(model="nobody", messages=MESSAGES)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert "auto, weak, strong" in caught.value.message


async def test_a_malformed_request_is_a_bad_request_that_names_the_field(sdk: openai.AsyncOpenAI) -> None:
    wrong: Any = [{"role": "user", "content": "fine"}, {"role": "nobody", "content": "hi"}]
    with pytest.raises(openai.BadRequestError) as caught:
        await sdk.chat.completions.create(model="auto", messages=wrong)
    assert caught.value.param == "messages[1].role"
    assert caught.value.type == "invalid_request_error"


async def test_a_body_over_the_limit_is_413(sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        await sdk.chat.completions.create(
            model="auto", messages=[{"role": "user", "content": "x" * (9 << 20)}]
        )
    assert caught.value.status_code == 413
    assert caught.value.code == "request_too_large"
