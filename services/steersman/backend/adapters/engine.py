"""The engine port over OpenAI's HTTP API, and what can be learnt about an engine from it.

llama.cpp tells slots and context window at `/props`. vLLM tells its context window at `/v1/models` and its slots
nowhere, so they are a setting. What was learnt is kept while the engine is away: it most likely comes back the same.

An engine that hangs answers no question about itself either, which is how it is told from one that takes long over a
prompt: what waits for the first byte of the one is given up, so that another backend can be asked in time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final, TypeVar

from steersman.backend.model import ServedModel
from steersman.openai_api import refusals
from steersman.openai_api.client import EngineClient, Timeouts
from steersman.runtime.errors import Error, Overloaded, Refused, Unavailable

log = logging.getLogger(__name__)

A = TypeVar("A")

_ASK_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = 1.0
_FAILURES_UNTIL_AWAY: Final = 3
"""A busy engine may be late once or twice; it is then not away."""
_NO_ANSWER: Final = frozenset({refusals.UNREACHABLE, refusals.TIMEOUT, refusals.BROKE_OFF})
"""What an engine fails with that says nothing at all."""


class OpenAIEngine:
    """An engine that speaks OpenAI's API.

    Args:
        client: Its connections.
        timeouts: How long it may take for what.
        refresh_seconds: How often it is asked about itself while it is there.
    """

    def __init__(self, client: EngineClient, *, timeouts: Timeouts, refresh_seconds: float) -> None:
        self._client = client
        self._timeouts = timeouts
        self._refresh_seconds = refresh_seconds
        self._served: ServedModel | None = None
        self._failures = _FAILURES_UNTIL_AWAY
        self._unbegun: set[asyncio.Timeout] = set()
        """Of the answers that are waited for."""

    @property
    def served(self) -> ServedModel | None:
        """What it serves, as last learnt; None before it was first reached."""
        return self._served

    @property
    def reachable(self) -> bool:
        """Whether it answered lately when asked about itself."""
        return self._failures < _FAILURES_UNTIL_AWAY

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self._client.address

    async def generate(
        self, body: bytes, *, stream: bool, headers: Mapping[str, str]
    ) -> AsyncGenerator[list[bytes], None]:
        """Have an answer generated; see the port."""
        if not stream:
            yield [
                await self._unless_it_hangs(
                    self._client.complete(body, timeouts=self._timeouts, headers=headers)
                )
            ]
            return
        answer = self._client.generate(body, timeouts=self._timeouts, headers=headers)
        async with aclosing(answer):
            chunks = await self._unless_it_hangs(anext(answer, []))
            while chunks:
                yield chunks
                chunks = await anext(answer, [])

    async def watch(self, on_news: Callable[[], Awaitable[None]]) -> None:
        """Ask about it for ever.

        Args:
            on_news: Called after each time, with `served` and `reachable` up to date.
        """
        while True:
            await self.refresh()
            await on_news()
            await asyncio.sleep(_RETRY_SECONDS if self._failures else self._refresh_seconds)

    async def refresh(self) -> None:
        """Ask about it once; that it does not answer is news too."""
        was_reachable = self.reachable
        try:
            self._served = await self._learn()
            self._failures = 0
        except Overloaded as error:  # it is there
            self._failures = 0
            reason = error.reason
        except Error as error:
            self._failures += 1
            reason = error.reason
            if not self.reachable:
                self._give_up_unbegun()
        else:
            reason = ""
        if was_reachable is not self.reachable:
            log.info("engine reachable" if self.reachable else "engine away", extra={"reason": reason})

    async def _unless_it_hangs(self, beginning: Awaitable[A]) -> A:
        """The beginning of an answer.

        Raises:
            Unavailable: Also when the engine turns out to hang.
        """
        try:
            async with asyncio.timeout(None) as limit:
                self._unbegun.add(limit)
                try:
                    return await beginning
                finally:
                    self._unbegun.discard(limit)
        except TimeoutError:
            raise Unavailable("the engine does not answer any more", reason=refusals.TIMEOUT) from None

    def _give_up_unbegun(self) -> None:
        now = asyncio.get_running_loop().time()
        for limit in self._unbegun:
            if not limit.expired():
                limit.reschedule(now)

    async def _learn(self) -> ServedModel:
        try:
            props = await self._client.get_json("/props", timeout=_ASK_SECONDS)
        except Refused:  # not llama.cpp
            props = {}
        except Unavailable as error:
            if error.reason in _NO_ANSWER:
                raise
            props = {}  # nor is it, where its gateway has other words for a path that it does not know
        models = await self._client.get_json("/v1/models", timeout=_ASK_SECONDS)
        return served_model(props, models)


def served_model(props: Any, models: Any) -> ServedModel:
    """What `/props` and `/v1/models` tell together.

    Raises:
        Unavailable: They tell no model.
    """
    listed = [each for each in _list(_at(models, "data")) if isinstance(_at(each, "id"), str)]
    if not listed:
        raise Unavailable("the engine lists no model", reason=refusals.GARBAGE)
    aliases = [name for each in listed for name in _list(_at(each, "aliases")) if isinstance(name, str)]
    names = dict.fromkeys([each["id"] for each in listed] + aliases)
    owner = _at(listed[0], "owned_by")
    return ServedModel(
        names=tuple(names),
        provider=owner if isinstance(owner, str) and owner else "unknown",
        context_window=_count(_at(props, "default_generation_settings", "n_ctx"))
        or _count(_at(listed[0], "max_model_len"))
        or 0,
        slots=_count(_at(props, "total_slots")),
    )


def _at(value: Any, *path: str) -> Any:
    """What is at a path of keys, or None where there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and 0 < value < 2**31 else None
