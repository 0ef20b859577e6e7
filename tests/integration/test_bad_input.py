"""Bad input over HTTP: a precise 400, nothing crashed, nothing leaked, and the next request unharmed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from fakes.engine import FakeEngine
from fixtures.callers import Answer, body, fetch, metric
from fixtures.router_process import Router


def message(content: Any, **fields: Any) -> bytes:
    return orjson.dumps({"model": "auto", "messages": [{"role": "user", "content": content, **fields}]})


def with_messages(messages: Any) -> bytes:
    return orjson.dumps({"model": "auto", "messages": messages})


BODIES: list[Any] = [
    pytest.param(b"", None, "not_json", id="nothing"),
    pytest.param(b"{", None, "not_json", id="half a JSON"),
    pytest.param(b"hello", None, "not_json", id="no JSON"),
    pytest.param(body()[:-1] + b",}", None, "not_json", id="comma too many"),
    pytest.param(body() + b"{}", None, "not_json", id="two JSONs"),
    pytest.param(b"\xff\xfe" + body(), None, "not_json", id="not UTF-8"),
    pytest.param(body().replace(b"France", b"\xc3\x28"), None, "not_json", id="not UTF-8 in a string"),
    pytest.param(body().replace(b"France", b"\\ud800"), None, "not_json", id="lone surrogate"),
    pytest.param(b"\x00" * 100, None, "not_json", id="NULs"),
    pytest.param(b"[" * 100_000, None, "not_json", id="deep nesting"),
    pytest.param(b'{"a":' * 100_000, None, "not_json", id="deep nesting of objects"),
    pytest.param(b'{"messages": NaN}', None, "not_json", id="NaN"),
    pytest.param(b"null", None, "invalid_request", id="null"),
    pytest.param(b"[]", None, "invalid_request", id="array"),
    pytest.param(b'"text"', None, "invalid_request", id="string"),
    pytest.param(b"{}", "messages", "invalid_request", id="no messages"),
    pytest.param(with_messages([]), "messages", "invalid_request", id="empty messages"),
    pytest.param(with_messages("hi"), "messages", "invalid_request", id="messages no array"),
    pytest.param(with_messages({}), "messages", "invalid_request", id="messages an object"),
    pytest.param(with_messages(["hi"]), "messages[0]", "invalid_request", id="message no object"),
    pytest.param(with_messages([None]), "messages[0]", "invalid_request", id="message null"),
    pytest.param(with_messages([{}]), "messages[0].role", "invalid_request", id="no role"),
    pytest.param(
        with_messages([{"role": ["user"], "content": "hi"}]),
        "messages[0].role",
        "invalid_request",
        id="role an array",
    ),
    pytest.param(message(None), "messages[0].content", "invalid_request", id="no content"),
    pytest.param(message(7), "messages[0].content", "invalid_request", id="content a number"),
    pytest.param(message({"text": "hi"}), "messages[0].content", "invalid_request", id="content an object"),
    pytest.param(message(["hi"]), "messages[0].content[0]", "invalid_request", id="part a string"),
    pytest.param(
        message([{"text": "hi"}]), "messages[0].content[0]", "invalid_request", id="part without type"
    ),
    pytest.param(
        message([{"type": "text", "text": 1}]),
        "messages[0].content[0].text",
        "invalid_request",
        id="text a number",
    ),
    pytest.param(message("hi", role="oracle"), "messages[0].role", "invalid_request", id="unknown role"),
    pytest.param(message(""), "messages", "invalid_request", id="empty text"),
    pytest.param(message(" \n\t "), "messages", "invalid_request", id="blank text"),
    pytest.param(message([]), "messages", "invalid_request", id="no parts"),
    pytest.param(
        with_messages([{"role": "user", "content": "hi"}, {"role": "user", "content": ""}]),
        "messages[1].content",
        "invalid_request",
        id="empty last turn",
    ),
    pytest.param(message("a\0b"), "messages[0].content", "invalid_request", id="NUL in text"),
    pytest.param(
        message([{"type": "text", "text": "\0"}]),
        "messages[0].content",
        "invalid_request",
        id="NUL in a part",
    ),
    pytest.param(
        with_messages([{"role": "user", "content": "hi"}] * 10_000),
        "messages",
        "invalid_request",
        id="10,000 messages",
    ),
    pytest.param(body(model="nobody"), "model", "model_not_found", id="unknown model"),
    pytest.param(body(model="../../etc/passwd\n" * 1000), "model", "model_not_found", id="enormous model"),
    pytest.param(body(model=7), "model", "invalid_request", id="model a number"),
    pytest.param(body(model=["auto"]), "model", "invalid_request", id="model an array"),
    pytest.param(body(stream="yes"), "stream", "invalid_request", id="stream a string"),
    pytest.param(body(stream=1), "stream", "invalid_request", id="stream a number"),
    pytest.param(body(stream_options=[]), "stream_options", "invalid_request", id="stream_options an array"),
    pytest.param(body(tools={}), "tools", "invalid_request", id="tools an object"),
    pytest.param(body(response_format="json"), "response_format", "invalid_request", id="format a string"),
    pytest.param(body(max_tokens=-1), "max_tokens", "invalid_request", id="negative max_tokens"),
    pytest.param(body(max_tokens="4"), "max_tokens", "invalid_request", id="max_tokens a string"),
    pytest.param(body(max_tokens=1.5), "max_tokens", "invalid_request", id="half a token"),
    pytest.param(body(max_tokens=True), "max_tokens", "invalid_request", id="max_tokens true"),
    pytest.param(body(max_completion_tokens=0), "max_completion_tokens", "invalid_request", id="no tokens"),
    pytest.param(body(max_tokens=10**9), "messages", "capability", id="more tokens than any window"),
    pytest.param(message("word " * 100_000), "messages", "capability", id="enormous text"),
]
THRESHOLDS = [
    "nan",
    "-nan",
    "inf",
    "-inf",
    "-0.1",
    "1.0000001",
    "2",
    "",
    "half",
    "0.5,0.6",
    "0x1p-1",
    "1e999",
]


pytestmark = pytest.mark.usefixtures("sound")


@pytest.fixture
async def sound(router: Router, engines: dict[str, FakeEngine]) -> AsyncIterator[None]:
    """After the test a good request is answered, by the same process, which has had no failure of its own."""
    yield
    answer = await post(router, body())
    assert answer.status == 200
    assert answer.json["choices"][0]["message"]["content"] == "Hello there!"
    assert sum(len(engine.seen) for engine in engines.values()) == 1, "nothing else has come through"
    assert router.process.running
    for status in ("500", "502"):
        assert await metric(router.metrics, "steersman_http_responses_total", status=status) == 0
    assert not await metric(router.metrics, "steersman_background_failures_total")
    assert b"unforeseen" not in router.process.log.read_bytes()


async def post(router: Router, data: bytes, **headers: str) -> Answer:
    return await fetch(f"{router.http}/v1/chat/completions", data=data, headers=headers)


@pytest.mark.parametrize(("data", "param", "code"), BODIES)
async def test_a_malformed_body_is_400_and_names_the_field(
    router: Router, *, data: bytes, param: str | None, code: str
) -> None:
    answer = await post(router, data)
    error = answer.json["error"]
    assert (answer.status, error["param"], error["code"]) == (400, param, code)
    assert error["type"] == "invalid_request_error"
    assert len(answer.body) < 1000


@pytest.mark.parametrize("threshold", THRESHOLDS)
async def test_a_threshold_that_is_none_is_400(router: Router, threshold: str) -> None:
    answer = await post(router, body(), **{"x-steersman-threshold": threshold})
    assert answer.status == 400
    assert "threshold" in answer.json["error"]["param"]


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
async def test_a_body_over_the_limit_is_413(router: Router, *, chunked: bool) -> None:
    whole = body("x" * (9 << 20))
    host, port = router.http.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(whole)}"
    writer.write(f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n".encode())
    writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(whole), whole) if chunked else whole)
    assert (await asyncio.wait_for(reader.readline(), 10)).split()[1] == b"413"
    writer.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/v1/chat/completions"), ("POST", "/v1/embeddings"), ("GET", "/v1/models/%00"),
     ("GET", "/v1/models/..%2f..%2fetc"), ("GET", "//"), ("GET", "/" + "a" * 5000)],
)  # fmt: skip
async def test_an_unknown_path_is_404_in_openais_shape(router: Router, *, method: str, path: str) -> None:
    answer = await fetch(router.http + path, data=b"{}" if method == "POST" else None)
    assert answer.status == 404
    assert answer.json["error"]["type"] == "invalid_request_error"
    assert len(answer.body) < 1000


GARBAGE: list[Any] = [
    pytest.param(b"\x00" * 4096, id="NULs"),
    pytest.param(bytes(range(256)) * 64, id="every byte"),
    pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x11" * 500, id="TLS"),
    pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 1000, id="broken HTTP/2"),
    pytest.param(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 10_000 + b"\r\n", id="10,000 headers"),
    pytest.param(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: -5\r\n\r\n", id="negative length"),
    pytest.param(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        id="broken chunk",
    ),
    pytest.param(b"*1\r\n$4\r\nPING\r\n", id="another protocol"),
    pytest.param(b"", id="nothing at all"),
]


@pytest.mark.parametrize("port", ["http", "grpc"])
@pytest.mark.parametrize("garbage", GARBAGE)
async def test_garbage_on_a_port_ends_that_connection_alone(
    router: Router, *, port: str, garbage: bytes
) -> None:
    host, number = getattr(router, port).removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(number))
    try:
        writer.write(garbage)
        writer.write_eof()
        said = await asyncio.wait_for(reader.read(), 10)
    except OSError:  # it is closed already
        said = b""
    finally:
        writer.close()
    assert b" 200 " not in said
    assert b" 500 " not in said
    assert b"Traceback" not in said


async def test_a_caller_that_announces_more_than_it_sends_harms_nobody(router: Router) -> None:
    host, port = router.http.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def test_metrics_have_bounded_labels_whatever_callers_send(router: Router) -> None:
    for name in ("a", "b", "c"):
        await post(router, body(model=f"invented-{name}"))
        await fetch(f"{router.http}/invented-{name}")
    assert b"invented" not in (await fetch(router.metrics)).body
