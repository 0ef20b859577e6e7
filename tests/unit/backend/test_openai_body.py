from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st

from fakes.scripted_engine import SERVED
from steersman.backend.model import Ending
from steersman.backend.openai_body import ending, parse
from steersman.runtime.errors import InvalidRequest


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "openai_body"),
        (b"{", "openai_body"),
        (b"[]", "openai_body"),
        (b"null", "openai_body"),
        (b'{"messages": "\xff"}', "openai_body"),
        (b'{"stream": 1}', "openai_body.stream"),
        (b'{"stream": "yes"}', "openai_body.stream"),
        (b'{"model": 3}', "openai_body.model"),
    ],
)
def test_what_cannot_be_read_is_refused_by_field(body: bytes, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(body)
    assert caught.value.violations[0].field == field


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(body: bytes) -> None:
    try:
        parsed = parse(body)
    except InvalidRequest:
        return
    assert isinstance(parsed.stream, bool)


@pytest.mark.parametrize(
    ("fields", "stream"), [({}, False), ({"stream": None}, False), ({"stream": True}, True)]
)
def test_whether_to_stream_is_the_bodys_word(fields: dict[str, Any], *, stream: bool) -> None:
    assert parse(orjson.dumps(fields)).stream is stream


@pytest.mark.parametrize("model", ["the-model", "an-adapter"])
def test_a_model_that_the_engine_serves_is_left_alone(model: str) -> None:
    body = b'{ "model":"%s", "x": 1.0 }' % model.encode()
    assert parse(body).addressed_to(SERVED) is body


@pytest.mark.parametrize("fields", [{"model": "auto"}, {"model": None}, {}])
def test_another_name_becomes_the_engines_own_and_nothing_else_changes(fields: dict[str, Any]) -> None:
    rest = {"messages": [{"role": "user", "content": "ü \u0000 😀"}], "unknown": {"a": [1, 2.5, None]}}
    sent = parse(orjson.dumps({**fields, **rest})).addressed_to(SERVED)
    assert orjson.loads(sent) == {"model": "the-model", **rest}


def test_the_body_is_left_alone_while_the_engines_models_are_unknown() -> None:
    body = b'{"model":"auto"}'
    assert parse(body).addressed_to(None) is body


def test_a_body_nested_beyond_what_can_be_written_is_refused() -> None:
    deep = parse(b'{"model":"auto","deep":' + b"[" * 400 + b"]" * 400 + b"}")
    with pytest.raises(InvalidRequest):
        deep.addressed_to(SERVED)


def test_a_stream_ends_with_its_reason_and_usage() -> None:
    assert ending(
        [
            b'{"choices":[{"finish_reason":null,"delta":{"content":"x"}}]}',
            b'{"choices":[{"finish_reason": "stop","index":0,"delta":{}}]}',
            b'{"choices":[],"usage":{"completion_tokens": 3,"prompt_tokens":31,"total_tokens":34}}',
        ]
    ) == Ending(finish_reasons=("stop",), input_tokens=31, output_tokens=3)


def test_an_answer_without_usage_has_no_counts() -> None:
    assert ending([b'{"choices":[{"finish_reason":"length"}],"usage":null}']) == Ending(
        ("length",), None, None
    )


def test_nothing_tells_nothing() -> None:
    assert ending([]) == Ending((), None, None)


def test_what_the_model_says_is_not_taken_for_what_the_engine_says() -> None:
    said = '"usage":{"completion_tokens":999} "finish_reason":"fooled"'
    body = orjson.dumps(
        {
            "choices": [{"message": {"content": said}, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": 1,
                "completion_tokens": 2,
                "completion_tokens_details": {"reasoning_tokens": 77},
            },
        }
    )
    assert ending([body]) == Ending(("stop",), 1, 2)
