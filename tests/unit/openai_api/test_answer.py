from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st

from fakes.upstream import USAGE, chunk, completion, hello, usage_chunk
from steersman.openai_api.answer import Reading, StreamReading, text_of_chunk, text_of_completion
from steersman.runtime.errors import BrokenOff

DETAILED = {**USAGE, "prompt_tokens_details": {"cached_tokens": 5}}
STREAM = [each for piece in hello() for each in piece]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def counts(reading: Reading) -> tuple[int, int, int]:
    return reading.prompt_tokens, reading.completion_tokens, reading.cached_tokens


def of_body(body: bytes) -> Reading:
    reading = Reading()
    reading.of_body(body)
    return reading


def shown(*chunks: bytes, show_usage: bool = False) -> tuple[list[bytes], StreamReading]:
    reading = StreamReading(show_usage=show_usage)
    return [each for each in chunks for each in reading.visible([each])], reading


def test_a_completion_is_read() -> None:
    reading = of_body(completion(usage=DETAILED))
    assert counts(reading) == (7, 3, 5)
    assert (reading.finish_reason, reading.model) == ("stop", "fake-model")


def test_a_completion_without_usage_has_none() -> None:
    assert counts(of_body(completion(usage=None))) == (0, 0, 0)


def test_counts_that_an_engine_leaves_out_are_none() -> None:
    assert counts(of_body(completion(usage={"prompt_tokens": None, "prompt_tokens_details": None}))) == (
        0,
        0,
        0,
    )


def test_a_stream_is_read_to_its_end() -> None:
    _, reading = shown(*STREAM)
    assert counts(reading) == (7, 3, 0)
    assert (reading.finish_reason, reading.model) == ("stop", "fake-model")


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter"])
def test_every_finish_reason_is_read(reason: str) -> None:
    _, reading = shown(chunk("x"), chunk(finish_reason=reason))
    assert reading.finish_reason == reason


def test_the_usage_is_taken_out_where_nobody_asked_for_it() -> None:
    chunks, _ = shown(*STREAM)
    assert chunks == STREAM[:-1]


def test_the_usage_is_kept_where_the_caller_asked_for_it() -> None:
    chunks, reading = shown(*STREAM, show_usage=True)
    assert chunks == STREAM
    assert counts(reading) == (7, 3, 0)


def test_a_usage_in_a_chunk_with_text_is_taken_out_of_it() -> None:
    (only,), reading = shown(chunk("Hello", usage=USAGE))
    assert orjson.loads(only) == orjson.loads(chunk("Hello"))
    assert counts(reading) == (7, 3, 0)


def test_the_nulls_that_openai_sends_in_place_of_a_usage_are_taken_out_too() -> None:
    chunks, _ = shown(chunk("a", usage=None), chunk("b", usage=None), usage_chunk())
    assert [orjson.loads(each) for each in chunks] == [orjson.loads(chunk("a")), orjson.loads(chunk("b"))]


def test_chunks_that_only_carry_text_are_handed_on_as_they_came() -> None:
    odd = b'{"choices": [ {"delta" : {"content":"\\u0041"}, "finish_reason" : null} ] }'
    assert shown(chunk("first"), odd)[0][1] is odd


def test_several_chunks_at_once_are_read_alike() -> None:
    reading = StreamReading(show_usage=False)
    assert list(reading.visible(STREAM)) == STREAM[:-1]
    assert counts(reading) == (7, 3, 0)


def test_words_in_the_text_are_not_taken_for_fields() -> None:
    text = 'the field "usage" and "finish_reason": "stop"'
    chunks, reading = shown(chunk("first"), chunk(text))
    assert chunks == [chunk("first"), chunk(text)]
    assert reading.finish_reason == ""


GARBAGE = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"Hello", id="words"),
    pytest.param(b'{"choices": [', id="cut off"),
    pytest.param(b"\xff", id="not UTF-8"),
    pytest.param(b"[]", id="an array"),
    pytest.param(b"null", id="null"),
    pytest.param(b'{"choices": 5, "usage": {}}', id="choices a number"),
    pytest.param(b'{"choices": ["x"], "usage": {}}', id="a choice a string"),
    pytest.param(b'{"choices": [null], "usage": {}}', id="a choice null"),
    pytest.param(b'{"usage": [1]}', id="usage an array"),
    pytest.param(b'{"usage": "none"}', id="usage a string"),
    pytest.param(b'{"usage": {"prompt_tokens": "many"}}', id="tokens a string"),
    pytest.param(b'{"usage": {"prompt_tokens": {}, "completion_tokens": [1]}}', id="tokens an array"),
    pytest.param(b'{"usage": {"prompt_tokens": 1.5}}', id="half a token"),
    pytest.param(b'{"usage": {"completion_tokens": -1}}', id="less than no tokens"),
    pytest.param(b'{"usage": {"completion_tokens": true}}', id="tokens true"),
    pytest.param(b'{"usage": {"completion_tokens": 1e30}}', id="more tokens than there are numbers"),
    pytest.param(b'{"usage": {"completion_tokens": 18446744073709551615}}', id="more than the API can tell"),
    pytest.param(b'{"usage": {"prompt_tokens_details": [1]}}', id="details an array"),
    pytest.param(b'{"usage": {"prompt_tokens_details": {"cached_tokens": "x"}}}', id="cached a string"),
    pytest.param(b'{"model": 5, "usage": {}}', id="model a number"),
    pytest.param(b'{"model": ["m"], "usage": {}}', id="model an array"),
    pytest.param(b'{"choices": [{"finish_reason": ["stop"]}], "usage": {}}', id="finish reason an array"),
    pytest.param(b'{"choices": [{"finish_reason": 5}], "usage": {}}', id="finish reason a number"),
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_what_is_no_completion_is_an_answer_that_broke_off(garbage: bytes) -> None:
    with pytest.raises(BrokenOff) as told:
        of_body(garbage)
    assert told.value.reason == "ENGINE_GARBAGE"


def test_a_chunk_that_is_nested_too_deeply_to_be_written_again_is_no_chunk() -> None:
    deep = b"[" * 500 + b"]" * 500
    with pytest.raises(BrokenOff):
        shown(b'{"choices": [{"delta": {"content": "x", "deep": %b}}], "usage": {"prompt_tokens": 1}}' % deep)


@pytest.mark.parametrize("garbage", GARBAGE)
def test_what_is_no_chunk_is_an_answer_that_broke_off(garbage: bytes) -> None:
    with pytest.raises(BrokenOff):
        shown(garbage)


def test_an_error_does_not_repeat_what_the_engine_sent() -> None:
    with pytest.raises(BrokenOff) as told:
        of_body(b'{"usage": "secret sauce"}')
    assert "sauce" not in str(told.value)


@given(st.dictionaries(st.sampled_from(["model", "choices", "usage", "x"]), json_values))
def test_whatever_comes_is_read_or_refused(data: dict[str, Any]) -> None:
    try:
        reading = of_body(orjson.dumps(data))
    except BrokenOff:
        return
    assert min(counts(reading)) >= 0
    assert isinstance(reading.model + reading.finish_reason, str)


@given(st.binary(max_size=100))
def test_no_bytes_do_more_than_be_refused(raw: bytes) -> None:
    with suppress(BrokenOff):
        assert of_body(raw) == Reading()


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        pytest.param(chunk("Hello"), "Hello", id="text"),
        pytest.param(chunk(), "", id="an empty delta"),
        pytest.param(chunk(finish_reason="stop"), "", id="the end"),
        pytest.param(usage_chunk(), "", id="the usage"),
        pytest.param(b'{"choices": [{"delta": {"content": null}}]}', "", id="null"),
        pytest.param(b'{"choices": [{"delta": {"tool_calls": []}}]}', "", id="tool calls"),
        pytest.param(b'{"choices": [{}]}', "", id="no delta"),
        pytest.param(b"{}", "", id="no choices"),
    ],
)
def test_the_text_of_a_chunk_is_what_it_adds(raw: bytes, text: str) -> None:
    assert text_of_chunk(raw) == text


def test_the_text_of_a_completion_is_its_first_choices() -> None:
    assert text_of_completion(completion("Hello there!")) == "Hello there!"
    assert text_of_completion(completion(choices=[])) == ""


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b'{"choices": 5}', b'{"choices": ["x"]}', b'{"choices": {"a": 1}}']
)
def test_text_cannot_be_had_of_garbage(raw: bytes) -> None:
    with pytest.raises(BrokenOff):
        text_of_chunk(raw)
    with pytest.raises(BrokenOff):
        text_of_completion(raw)
