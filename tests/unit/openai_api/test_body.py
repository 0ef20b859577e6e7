from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st

from steersman.openai_api.body import ChatBody, of_data, parse
from steersman.runtime.errors import InvalidRequest

HELLO = {"role": "user", "content": "Hello"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
FILE = {"type": "file", "file": {"file_id": "file-1"}}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def raw(*messages: Any, **fields: Any) -> bytes:
    return orjson.dumps({"messages": list(messages) or [HELLO], **fields})


def read(*messages: Any, **fields: Any) -> ChatBody:
    return parse(raw(*messages, **fields), max_messages=100)


def refusal(body: bytes, max_messages: int = 100) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        parse(body, max_messages=max_messages)
    return refused.value


def field_of(body: bytes) -> str:
    return refusal(body).violations[0].field


def nested(depth: int) -> bytes:
    """A good request with a field of so many arrays, one in the other."""
    return b'{"messages":[{"role":"user","content":"Hello"}],"x":' + b"[" * depth + b"]" * depth + b"}"


def test_a_conversation_is_read_as_turns() -> None:
    body = read({"role": "system", "content": "Be brief."}, HELLO)
    assert body.turns == [("system", "Be brief."), ("user", "Hello")]
    assert (body.images, body.media) == (False, False)


def test_parts_of_text_are_joined() -> None:
    parts = [{"type": "text", "text": "Hello"}, {"type": "text", "text": "there"}]
    assert read({"role": "user", "content": parts}).turns == [("user", "Hello\nthere")]


def test_an_image_is_noticed_and_its_text_read() -> None:
    body = read({"role": "user", "content": [{"type": "text", "text": "What is this?"}, IMAGE]})
    assert (body.images, body.media) == (True, True)
    assert body.turns == [("user", "What is this?")]


@pytest.mark.parametrize("part", [IMAGE, SOUND, FILE], ids=lambda part: part["type"])
def test_what_is_no_text_needs_none(part: dict[str, Any]) -> None:
    asked = {"role": "user", "content": [part]}
    assert read(asked).turns == [("user", "")]
    assert read({"role": "system", "content": "Answer."}, asked).turns[-1] == ("user", "")


def test_parts_of_unknown_kinds_are_the_engines_business() -> None:
    body = read({"role": "user", "content": [{"type": "text", "text": "Transcribe"}, SOUND]})
    assert body.turns == [("user", "Transcribe")]
    assert (body.images, body.media) == (False, True)


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant", "tool", "function"])
def test_every_role_is_taken(role: str) -> None:
    assert read(HELLO, {"role": role, "content": "x"}).turns[-1] == (role, "x")


@pytest.mark.parametrize("role", ["assistant", "tool", "function"])
def test_a_turn_may_consist_of_tool_calls_alone(role: str) -> None:
    assert read(HELLO, {"role": role, "content": None, "tool_calls": []}).turns[-1] == (role, "")
    assert read(HELLO, {"role": role, "tool_calls": []}).turns[-1] == (role, "")


def test_an_earlier_user_turn_may_be_empty() -> None:
    assert read({"role": "user", "content": ""}, HELLO).turns == [("user", ""), ("user", "Hello")]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param(b"", "", id="nothing"),
        pytest.param(b"hello", "", id="words"),
        pytest.param(raw()[:-1], "", id="cut off"),
        pytest.param(raw() + b"x", "", id="more than JSON"),
        pytest.param(b'{"messages": NaN}', "", id="NaN"),
        pytest.param(b'{"a": 1e400}', "", id="a number beyond all numbers"),
        pytest.param(b'"\xff"', "", id="not UTF-8"),
        pytest.param(raw().decode().encode("utf-16"), "", id="UTF-16"),
        pytest.param(b'{"messages":[{"role":"user","content":"\\ud800"}]}', "", id="a lone surrogate"),
        pytest.param(b'{"messages":[{"role":"user","content":"\xed\xa0\x80"}]}', "", id="the same in bytes"),
        pytest.param(b'{"messages":[{"role":"user","content":"a\x00b"}]}', "", id="a bare NUL"),
        pytest.param(nested(100_000), "", id="nested without end"),
        pytest.param(b"[]", "", id="an array"),
        pytest.param(b"null", "", id="null"),
        pytest.param(b'"Hello"', "", id="a string"),
        pytest.param(b"{}", "messages", id="no messages"),
        pytest.param(b'{"messages": null}', "messages", id="messages null"),
        pytest.param(b'{"messages": []}', "messages", id="no message"),
        pytest.param(b'{"messages": {}}', "messages", id="messages an object"),
        pytest.param(b'{"messages": "Hello"}', "messages", id="messages a string"),
        pytest.param(raw(None), "messages[0]", id="a message null"),
        pytest.param(raw(HELLO, "Hello"), "messages[1]", id="a message a string"),
        pytest.param(raw({"content": "x"}), "messages[0].role", id="no role"),
        pytest.param(raw({"role": "pirate", "content": "x"}), "messages[0].role", id="an unknown role"),
        pytest.param(raw({"role": ["user"], "content": "x"}), "messages[0].role", id="a role in an array"),
        pytest.param(raw({"role": "user"}), "messages[0].content", id="no content"),
        pytest.param(raw({"role": "user", "content": None}), "messages[0].content", id="content null"),
        pytest.param(
            raw(HELLO, {"role": "user", "content": 5}), "messages[1].content", id="content a number"
        ),
        pytest.param(raw({"role": "user", "content": {}}), "messages[0].content", id="content an object"),
        pytest.param(
            raw({"role": "assistant", "content": 5}), "messages[0].content", id="the assistants too"
        ),
        pytest.param(raw({"role": "user", "content": ["x"]}), "messages[0].content[0]", id="a part a string"),
        pytest.param(
            raw({"role": "user", "content": [IMAGE, {"text": "x"}]}),
            "messages[0].content[1]",
            id="a part without a type",
        ),
        pytest.param(
            raw({"role": "user", "content": [{"type": 5}]}), "messages[0].content[0]", id="a type a number"
        ),
        pytest.param(
            raw({"role": "user", "content": [{"type": "text"}]}),
            "messages[0].content[0].text",
            id="a part of text without text",
        ),
        pytest.param(
            raw({"role": "user", "content": [{"type": "text", "text": None}]}),
            "messages[0].content[0].text",
            id="a part of text with null",
        ),
        pytest.param(raw({"role": "user", "content": "a\0b"}), "messages[0].content", id="NUL"),
        pytest.param(
            raw({"role": "user", "content": [{"type": "text", "text": "\0"}]}),
            "messages[0].content",
            id="NUL in a part",
        ),
        pytest.param(raw({"role": "user", "content": ""}), "messages", id="empty text"),
        pytest.param(raw({"role": "user", "content": " \n\t"}), "messages", id="white space"),
        pytest.param(raw({"role": "user", "content": []}), "messages", id="no parts"),
        pytest.param(
            raw({"role": "user", "content": [{"type": "refusal", "refusal": "No."}]}),
            "messages",
            id="a refusal alone",
        ),
        pytest.param(
            raw(HELLO, {"role": "user", "content": " "}), "messages[1].content", id="an empty last turn"
        ),
        pytest.param(raw({"role": "assistant", "tool_calls": []}), "messages", id="no text anywhere"),
        pytest.param(raw(model=5), "model", id="model"),
        pytest.param(raw(model=["auto"]), "model", id="model in an array"),
        pytest.param(raw(stream="yes"), "stream", id="stream"),
        pytest.param(raw(stream=1), "stream", id="stream a number"),
        pytest.param(raw(stream_options=True), "stream_options", id="stream_options"),
        pytest.param(raw(tools={}), "tools", id="tools"),
        pytest.param(raw(functions="f"), "functions", id="functions"),
        pytest.param(raw(response_format="json"), "response_format", id="response_format"),
        pytest.param(raw(max_tokens="many"), "max_tokens", id="max_tokens"),
        pytest.param(raw(max_tokens=0), "max_tokens", id="no tokens"),
        pytest.param(raw(max_tokens=1.5), "max_tokens", id="half a token"),
        pytest.param(raw(max_tokens=True), "max_tokens", id="max_tokens true"),
        pytest.param(raw(max_completion_tokens=-1), "max_completion_tokens", id="less than no tokens"),
    ],
)
def test_what_is_malformed_is_refused_with_the_field_named(body: bytes, field: str) -> None:
    assert field_of(body) == field


def test_a_body_that_is_no_json_says_so_and_does_not_repeat_it() -> None:
    refused = refusal(b'{"secret sauce": ')
    assert refused.reason == "NOT_JSON"
    assert "sauce" not in str(refused)
    assert refused.__cause__ is None


def test_ten_thousand_messages_are_too_many() -> None:
    refused = refusal(raw(*[HELLO] * 10_000), max_messages=2048)
    assert refused.violations[0].field == "messages"
    assert "2048" in refused.message
    assert "10000" in refused.message


def test_as_many_messages_as_are_allowed_are_taken() -> None:
    assert len(parse(raw(*[HELLO] * 100), max_messages=100).turns) == 100


def test_an_enormous_text_is_read_like_any_other() -> None:
    body = read({"role": "user", "content": "x" * 4_000_000})
    assert body.tokens > 1_000_000


@pytest.mark.parametrize("name", ["model", "stream", "stream_options", "tools", "max_tokens", "unknown"])
def test_null_is_as_good_as_absent(name: str) -> None:
    body = read(**{name: None})
    assert (body.model, body.stream, body.wants_usage, body.tools) == ("", False, False, False)
    assert body.tokens == read().tokens


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(body: bytes) -> None:
    assert refusal(body).violations


@given(st.dictionaries(st.sampled_from(["messages", "model", "stream", "tools", "x"]), json_values))
def test_no_json_does_more_than_be_refused(data: dict[str, Any]) -> None:
    assert refusal(orjson.dumps(data)).violations


@given(st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": json_values}), min_size=1))
def test_no_messages_do_more_than_be_refused(messages: list[dict[str, Any]]) -> None:
    try:
        body = read(*messages)
    except InvalidRequest as refused:
        assert refused.violations[0].field.startswith("messages")  # noqa: PT017 - it may be taken as well
    else:
        assert len(body.turns) == len(messages)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("", False, False, False, False)),
        ({"model": "auto"}, ("auto", False, False, False, False)),
        ({"stream": True}, ("", True, False, False, False)),
        ({"stream_options": {"include_usage": True}}, ("", False, True, False, False)),
        ({"stream_options": {"include_usage": "yes"}}, ("", False, False, False, False)),
        ({"tools": [{"type": "function"}]}, ("", False, False, True, False)),
        ({"tools": []}, ("", False, False, False, False)),
        ({"functions": [{"name": "f"}]}, ("", False, False, True, False)),
        ({"response_format": {"type": "json_schema"}}, ("", False, False, False, True)),
        ({"response_format": {"type": "json_object"}}, ("", False, False, False, False)),
    ],
)
def test_what_routing_needs_to_know_is_read(fields: dict[str, Any], expected: tuple[object, ...]) -> None:
    body = read(**fields)
    assert (body.model, body.stream, body.wants_usage, body.tools, body.json_schema) == expected


def test_tokens_are_estimated_from_text_turns_and_the_longest_answer() -> None:
    text = {"role": "user", "content": "x" * 400}
    assert read(text).tokens == 104
    assert read(text, text).tokens == 208
    assert read(text, max_tokens=1000).tokens == 1104
    assert read(text, max_tokens=1000, max_completion_tokens=50).tokens == 154


@given(st.dictionaries(st.text(min_size=1), json_values))
def test_unknown_fields_are_passed_on_untouched(fields: dict[str, Any]) -> None:
    known = {"model", "stream", "stream_options", "messages", "tools", "functions", "response_format"}
    fields = {name: value for name, value in fields.items() if name not in known and "max_" not in name}
    sent = orjson.loads(read(**fields).encode("engine", stream=False))
    assert sent == orjson.loads(raw(**fields, model="engine", stream=False))


def test_messages_are_passed_on_untouched() -> None:
    messages = [
        {"role": "system", "content": "Be brief.", "cache_control": {"type": "ephemeral"}},
        {"role": "user", "name": "ann", "content": [{"type": "text", "text": " \u00e9e\u0301 "}, IMAGE]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "7"},
    ]
    assert orjson.loads(read(*messages).encode("engine", stream=True))["messages"] == messages


def test_the_engine_is_told_its_own_name_of_the_model() -> None:
    assert orjson.loads(read(model="auto").encode("engine", stream=False))["model"] == "engine"


def test_usage_is_always_asked_of_a_stream() -> None:
    sent = orjson.loads(read(stream=True).encode("engine", stream=True))
    assert (sent["stream"], sent["stream_options"]) == (True, {"include_usage": True})


def test_other_options_of_a_stream_are_kept() -> None:
    options = {"include_usage": False, "include_obfuscation": False}
    sent = orjson.loads(read(stream=True, stream_options=options).encode("engine", stream=True))
    assert sent["stream_options"] == {"include_usage": True, "include_obfuscation": False}


def test_an_answer_that_is_not_streamed_has_no_options_of_a_stream() -> None:
    sent = orjson.loads(read(stream=True, stream_options={}).encode("engine", stream=False))
    assert sent["stream"] is False
    assert "stream_options" not in sent


def test_encoding_leaves_the_body_as_it_was() -> None:
    body = read(stream=True, stream_options={"include_usage": False})
    first = body.encode("one", stream=True)
    body.encode("other", stream=False)
    assert body.encode("one", stream=True) == first
    assert not body.wants_usage


@pytest.mark.parametrize("depth", [10, 200])
def test_what_is_nested_is_passed_on(depth: int) -> None:
    sent = parse(nested(depth), max_messages=1).encode("engine", stream=False)
    assert b"[" * depth + b"]" * depth in sent


@pytest.mark.parametrize("depth", [254, 300, 1000, 1020])
def test_what_is_nested_too_deeply_to_be_passed_on_is_refused(depth: int) -> None:
    body = parse(nested(depth), max_messages=1)
    with pytest.raises(InvalidRequest, match="nested too deeply"):
        body.encode("engine", stream=False)


def test_a_body_may_come_as_an_object() -> None:
    assert of_data({"messages": [HELLO]}, max_messages=1).turns == [("user", "Hello")]
    with pytest.raises(InvalidRequest):
        of_data({"messages": []}, max_messages=1)
