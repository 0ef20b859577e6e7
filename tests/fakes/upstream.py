"""A fake upstream: it answers in OpenAI's form, and fails, stalls and breaks off on demand.

The chunks are those of `fakes.engine`, without the wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from fakes.gate import Gate
from steersman.router.ports import Dispatch, Load
from steersman.runtime.errors import DeadlineExceeded, Overloaded, Refused, Unavailable

DOWN: Final = Unavailable("nobody is there", reason="ENGINE_UNREACHABLE")
FULL: Final = Overloaded("no room", reason="QUEUE_FULL", retry_after_seconds=4.0)
NO: Final = Refused("the engine refused the request (422)", status=422, body=b"{}")
USAGE: Final = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def chunk(text: str | None = None, *, finish_reason: str | None = None, **fields: Any) -> bytes:
    """One chunk of a streamed answer."""
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    whole = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "model": "fake-model"}
    return orjson.dumps({**whole, "choices": [choice], **fields})


def usage_chunk(usage: dict[str, Any] | None = None) -> bytes:
    """The chunk that ends a stream whose usage was asked for."""
    return chunk(choices=[], usage=usage or USAGE)


def completion(text: str = "Hello there!", **fields: Any) -> bytes:
    """An answer that is not streamed."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    whole = {"id": "chatcmpl-fake", "object": "chat.completion", "model": "fake-model", "usage": USAGE}
    return orjson.dumps({**whole, "choices": [choice], **fields})


def hello() -> list[list[bytes]]:
    """The pieces of a streamed answer, two of whose chunks come together."""
    return [
        [chunk("Hello")],
        [chunk(" there"), chunk("!")],
        [chunk(finish_reason="stop")],
        [usage_chunk()],
    ]


@dataclass
class FakeUpstream:
    """Implements `steersman.router.ports.Upstream`; its knobs are plain attributes."""

    address: str = "fake:1"
    pieces: Sequence[Sequence[bytes]] = field(default_factory=hello)
    """A streamed answer."""
    whole: bytes = field(default_factory=completion)
    """An answer that is not streamed."""
    error: Exception | None = None
    error_at: int = 0
    """After how many pieces `error` is raised."""
    hold_at: int | None = None
    """After how many pieces the gate stands, which is closed from the start."""
    gate: Gate = field(default_factory=Gate)
    seen: list[Dispatch] = field(default_factory=list)
    running: int = 0
    left: int = 0
    """Answers that the caller did not wait for to the end."""
    closed: int = 0
    says: Load | None = None
    """How busy it says that it is."""

    async def generate(self, dispatch: Dispatch) -> AsyncGenerator[Sequence[bytes], None]:
        """See `steersman.router.ports.Upstream.generate`."""
        with self._asked(dispatch):
            for number in range(len(self.pieces) + 1):
                await self._trouble(number, dispatch.timeout)
                if number < len(self.pieces):
                    yield self.pieces[number]

    async def complete(self, dispatch: Dispatch) -> bytes:
        """See `steersman.router.ports.Upstream.complete`."""
        with self._asked(dispatch):
            await self._trouble(0, dispatch.timeout)
            return self.whole

    async def load(self) -> Load | None:
        """See `steersman.router.ports.Upstream.load`."""
        return self.says

    async def close(self) -> None:
        """See `steersman.router.ports.Upstream.close`."""
        self.closed += 1

    @contextmanager
    def _asked(self, dispatch: Dispatch) -> Iterator[None]:
        self.seen.append(dispatch)
        self.running += 1
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            self.left += 1
            raise
        finally:
            self.running -= 1

    async def _trouble(self, number: int, timeout: float) -> None:  # noqa: ASYNC109 - as the port has it
        if number == self.hold_at:
            self.gate.close()
            self.hold_at = None
            try:
                async with asyncio.timeout(timeout):
                    await self.gate.passed()
            except TimeoutError:
                raise DeadlineExceeded("no time is left") from None
        if self.error is not None and number == self.error_at:
            raise self.error
