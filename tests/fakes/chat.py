"""A fake model to ask: replies what the test says, when the test lets it, and remembers what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from steersman.labelling.model import Messages, Reply


def reply(
    text: str = "an answer", *, usd: float = 1.0, finish_reason: str = "stop", metered: bool = True
) -> Reply:
    return Reply(
        text=text,
        finish_reason=finish_reason,
        prompt_tokens=10,
        completion_tokens=4,
        metered=metered,
        usd=usd,
    )


@dataclass
class FakeChat:
    """Implements `steersman.labelling.ports.Chat`; what `says` returns is the reply, or is raised."""

    model: str = "fake-model"
    says: Callable[[Messages], Reply | Exception] = lambda _: reply()
    most: float = 1.0
    held: asyncio.Event | None = None
    """Replies wait for it."""
    asked: list[Messages] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, *, running: int) -> None:
        """Wait for so many calls under way."""
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: self.running == running)

    def most_usd(self, messages: Messages) -> float:
        del messages
        return self.most

    def expected_usd(self, messages: Messages, *, completion_tokens: float) -> float:
        return len(messages) * completion_tokens

    async def ask(self, messages: Messages) -> Reply:
        self.asked.append(messages)
        await self._change(1)
        self.most_running = max(self.most_running, self.running)
        try:
            if self.held is not None:
                await self.held.wait()
            said = self.says(messages)
        finally:
            await self._change(-1)
        if isinstance(said, Exception):
            raise said
        return said

    async def _change(self, running: int) -> None:
        async with self._changed:
            self.running += running
            self._changed.notify_all()
