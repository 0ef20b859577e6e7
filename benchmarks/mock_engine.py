"""A mock engine that is never the bottleneck: OpenAI's chat completions over HTTP/1.1, fixed bytes, no framework.

It knows two paths by their first letters and reads nothing of a request but its length and whether it asks for a
stream. A stream gives one chunk an interval, as an engine does that decodes.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
from dataclasses import dataclass, field
from functools import partial
from typing import Final, cast

import orjson
import uvloop
from benchmarks.clients import content_length

MODEL: Final = "mock"
CHUNKS: Final = 64
"""Chunks of a stream that hold text."""
INTERVAL_SECONDS: Final = 0.002
"""Time between two of them."""
TEXT: Final = (
    "The short answer is that it depends on what you compare it with, and for how long you look. " * 4
)

_USAGE: Final = {"prompt_tokens": 120, "completion_tokens": 80, "total_tokens": 200}
_HEAD_END: Final = b"\r\n\r\n"
_STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_NOT_FOUND: Final = b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def completion() -> bytes:
    """The body of an answer that is not streamed."""
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return orjson.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1719400000,
            "model": MODEL,
            "choices": [choice],
            "usage": _USAGE,
        }
    )


def chunk(text: str | None, *, finish: bool = False) -> bytes:
    """The JSON of one chunk of a stream; without text and finish, the one that tells the usage."""
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": "stop" if finish else None}
    usage = text is None and not finish
    return orjson.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1719400000,
            "model": MODEL,
            "choices": [] if usage else [choice],
            **({"usage": _USAGE} if usage else {}),
        }
    )


@dataclass(frozen=True, slots=True)
class Answers:
    """Whole HTTP responses, and how a stream goes."""

    whole: bytes = field(default_factory=lambda: _response(completion()))
    models: bytes = field(default_factory=lambda: _response(orjson.dumps({"data": [{"id": MODEL}]})))
    chunks: int = CHUNKS
    interval_seconds: float = INTERVAL_SECONDS
    whole_seconds: float = 0.0
    """Mean time until a whole answer comes, from half to one and a half of it; answers that all took the same time
    would end together for ever once they had begun together."""


class Connection(asyncio.Protocol):
    """One caller."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._next: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's, which only looks like one

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the name is asyncio's
        """See `asyncio.Protocol`."""
        self._transport = None
        if self._next is not None:
            self._next.cancel()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._received += data
        head, end, body = self._received.partition(_HEAD_END)
        if not end or len(body) < (content_length(head) or 0):
            return
        self._received = b""
        if not head.startswith(b"POST /v1/chat"):
            self._write(self._answers.models if head.startswith(b"GET /v1/models") else _NOT_FOUND)
        elif b'"stream":true' in body:
            self._write(_STREAM_HEAD)
            self._write_chunk(0)
        elif self._answers.whole_seconds:
            seconds = self._answers.whole_seconds * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
            self._next = asyncio.get_running_loop().call_later(seconds, self._write, self._answers.whole)
        else:
            self._write(self._answers.whole)

    def _write_chunk(self, number: int) -> None:
        if number < self._answers.chunks:
            self._write(_event(chunk(f"word{number} ")))
            wait = self._answers.interval_seconds
            self._next = asyncio.get_running_loop().call_later(wait, self._write_chunk, number + 1)
        else:
            ending = [_event(chunk(None, finish=True)), _event(chunk(None)), _event(b"[DONE]")]
            self._write(b"".join([*ending, b"0\r\n\r\n"]))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


def _response(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body


def _event(payload: bytes) -> bytes:
    """A server-sent event as a chunk of HTTP."""
    return b"%x\r\ndata: %b\n\n\r\n" % (len(payload) + 8, payload)


async def serve(port: int, answers: Answers) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(partial(Connection, answers), "127.0.0.1", port, backlog=1024)
    async with server:
        await stop.wait()


def main() -> None:
    """Serve at the port that is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=0.0, help="mean time until a whole answer comes")
    given = parser.parse_args()
    uvloop.run(serve(given.port, Answers(whole_seconds=given.seconds)))


if __name__ == "__main__":
    main()
