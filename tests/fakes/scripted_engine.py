"""A fake of the backend's `Engine` port: answers what the test wrote down, when the test lets it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field

from steersman.backend.model import ServedModel

SERVED = ServedModel(names=("the-model", "an-adapter"), provider="fake", context_window=100, slots=1)


@dataclass
class ScriptedEngine:
    """Yields `script` step by step; a step that is an exception is raised, one that is an event is waited for."""

    script: Sequence[list[bytes] | Exception | asyncio.Event] = ([b"{}"],)
    served: ServedModel | None = SERVED
    address: tuple[str, int] = ("engine.example", 8000)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    running: int = 0
    most_running: int = 0

    async def generate(
        self, body: bytes, *, stream: bool, headers: Mapping[str, str]
    ) -> AsyncGenerator[list[bytes], None]:
        del stream
        self.bodies.append(body)
        self.headers.append(headers)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            for step in self.script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    yield step
        finally:
            self.running -= 1
