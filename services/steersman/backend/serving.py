"""The use case: a request waits for its turn, the engine answers, and the load is known at any time.

A slot is given back, and the engine stopped, however a request ends: complete, failed, or left by its caller.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

from steersman.backend import openai_body, spans
from steersman.backend.metrics import BackendMetrics
from steersman.backend.model import Ending, Load, ServedModel
from steersman.backend.openai_body import TAIL_CHUNKS, Request
from steersman.backend.ports import Engine
from steersman.backend.slots import QUEUE_TIMEOUT, Slots
from steersman.backend.throughput import Throughput
from steersman.openai_api import refusals
from steersman.runtime import telemetry
from steersman.runtime.errors import DeadlineExceeded, Error, Overloaded, Unavailable

DRAINING: Final = "DRAINING"
"""Reason of the error for requests that come while the process is about to end."""


class Serving:
    """Serves requests from one engine.

    Args:
        engine: Who answers.
        slots: The queue in front of it.
        metrics: Where waits, errors and tokens are counted.
        tier: Name of this backend's tier.
        max_wait: Seconds that a request may wait for a slot.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        slots: Slots,
        metrics: BackendMetrics,
        tier: str,
        max_wait: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tier = tier
        self._engine = engine
        self._slots = slots
        self._metrics = metrics
        self._max_wait = max_wait
        self._clock = clock
        self._throughput = Throughput(clock=clock)
        self._draining = False

    def drain(self) -> None:
        """Refuse new requests from now on; those that wait or run are finished."""
        self._draining = True

    def load(self) -> Load:
        """How busy this backend is."""
        return Load(
            waiting=self._slots.waiting,
            running=self._slots.running,
            slots=self._slots.total,
            tokens_per_second=self._throughput.per_second(),
            draining=self._draining,
        )

    def model(self) -> ServedModel:
        """What the engine serves.

        Raises:
            Unavailable: The engine has not been reached yet.
        """
        if self._engine.served is None:
            raise Unavailable("the engine has not been reached yet", reason=refusals.UNREACHABLE)
        return self._engine.served

    async def generate(
        self, request: Request, *, seconds_left: float | None, tenant: str = "", weight: float = 1.0
    ) -> AsyncGenerator[list[bytes], None]:
        """Have a request answered, in its turn.

        Args:
            request: What to answer.
            seconds_left: Until the caller's deadline, or None where it has none.
            tenant: Whose it is.
            weight: The tenant's, more than 0.

        Yields:
            As `Engine.generate`.

        Raises:
            Error: From the engine; or Overloaded, Unavailable (draining), DeadlineExceeded while waiting.
        """
        waited = await self._wait(seconds_left, tenant, weight)
        account = _Account(self._metrics, self._throughput, self._clock, stream=request.stream)
        seconds: float | None = None
        try:
            with spans.engine_call(self._engine, tier=self.tier, waited=waited) as span:
                answer = self._engine.generate(
                    request.addressed_to(self._engine.served),
                    stream=request.stream,
                    headers=telemetry.headers_of(span),
                )
                async with aclosing(answer):
                    async for chunks in answer:
                        account.note(chunks)
                        yield chunks
                spans.ended(span, account.close())
            seconds = account.seconds
        except Error as error:
            self._metrics.failed(error.reason)
            raise
        finally:
            self._slots.release(seconds=seconds)

    async def _wait(self, seconds_left: float | None, tenant: str, weight: float) -> float:
        """Wait for a slot; returns how long that took, in seconds."""
        if self._draining:
            raise Unavailable("this backend is about to end", reason=DRAINING)
        patience = self._max_wait if seconds_left is None else min(self._max_wait, seconds_left)
        started = self._clock()
        try:
            await self._slots.acquire(patience=patience, tenant=tenant, weight=weight)
        except Overloaded as error:
            if patience < self._max_wait and error.reason == QUEUE_TIMEOUT:
                raise DeadlineExceeded("the deadline passed while waiting for a slot") from error
            raise
        waited = self._clock() - started
        self._metrics.queue_wait.observe(waited)
        return waited


class _Account:
    """What one answer adds to the metrics and the throughput, from the moment that the engine is asked.

    A chunk counts as a token when it comes, so that the throughput moves with the stream; the engine's own count,
    where it gives one, puts that right in the end.
    """

    __slots__ = ("_clock", "_counted", "_metrics", "_started", "_stream", "_tail", "_throughput")

    def __init__(
        self, metrics: BackendMetrics, throughput: Throughput, clock: Callable[[], float], *, stream: bool
    ) -> None:
        self._metrics = metrics
        self._throughput = throughput
        self._clock = clock
        self._stream = stream
        self._tail: list[bytes] = []
        self._counted = 0
        self._started = clock()

    @property
    def seconds(self) -> float:
        """Time since the engine was asked."""
        return self._clock() - self._started

    def note(self, chunks: list[bytes]) -> None:
        """Chunks have come."""
        if self._stream:
            if not self._tail:
                self._metrics.first_byte.observe(self.seconds)
            self._counted += len(chunks)
            self._throughput.add(len(chunks))
        self._tail = [*self._tail, *chunks][-TAIL_CHUNKS:]

    def close(self) -> Ending:
        """The answer is complete."""
        ending = openai_body.ending(self._tail)
        self._metrics.ended(ending)
        if ending.output_tokens is not None:
            self._throughput.add(ending.output_tokens - self._counted)
        return ending
