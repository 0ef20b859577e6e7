"""A model behind any OpenAI-compatible URL: each call has a deadline, tries are few, and the server's wait is heeded.

Tokens come from the usage that the server reports, and are estimated from characters where it reports none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import orjson

from steersman.labelling.model import Messages, Reply
from steersman.openai_api import body, refusals
from steersman.openai_api.answer import Reading, text_of_completion
from steersman.openai_api.client import EngineClient, Timeouts
from steersman.router.model import Price
from steersman.runtime.backoff import Backoff
from steersman.runtime.errors import BrokenOff, Error, Overloaded, Unavailable

TRIES: Final = 4
LONGEST_WAIT: Final = 120.0
"""Seconds; a server that wants to be left alone for longer is given up."""

_PASSING: Final = (Overloaded, Unavailable, BrokenOff)
"""Errors after which the same call may succeed."""
_FIRST_PAUSE: Final = 1.0
_MOST_MESSAGES: Final = 4096


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is, how it is asked, and what it costs."""

    url: str
    model: str
    price: Price
    api_key: str | None = field(default=None, repr=False)
    max_tokens: int = 1024
    """Longest reply that is asked for."""
    temperature: float = 0.0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the request; null takes one of the above out of it."""
    timeout: float = 120.0
    """Seconds for a reply."""

    def request(self, messages: Messages) -> Mapping[str, Any]:
        """The body of a chat completion request."""
        fields = {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            **self.parameters,
            "messages": list(messages),
            "stream": False,
        }
        return {name: value for name, value in fields.items() if value is not None}


class OpenAIChat:
    """Asks an endpoint; implements `steersman.labelling.ports.Chat`.

    Args:
        endpoint: Who is asked.
        sleep: Waits between tries.
    """

    def __init__(
        self, endpoint: Endpoint, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._endpoint = endpoint
        self._client = EngineClient(url=endpoint.url, api_key=endpoint.api_key)
        self._timeouts = Timeouts(first_byte=endpoint.timeout, idle=endpoint.timeout, whole=endpoint.timeout)
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    @property
    def model(self) -> str:
        """See `Chat`."""
        return self._endpoint.model

    def most_usd(self, messages: Messages) -> float:
        """See `Chat`."""
        request = self._endpoint.request(messages)
        longest = (
            request.get("max_completion_tokens") or request.get("max_tokens") or self._endpoint.max_tokens
        )
        return self.expected_usd(messages, completion_tokens=float(longest))

    def expected_usd(self, messages: Messages, *, completion_tokens: float) -> float:
        """See `Chat`."""
        return self._endpoint.price.usd(_prompt_tokens(messages), round(completion_tokens))

    async def ask(self, messages: Messages) -> Reply:
        """See `Chat`."""
        request = orjson.dumps(self._endpoint.request(messages))
        backoff = Backoff(shortest=_FIRST_PAUSE, longest=LONGEST_WAIT)
        for _ in range(TRIES - 1):
            try:
                return await self._once(request, messages)
            except _PASSING as error:
                pause = max(backoff.next(), error.retry_after_seconds or 0.0)
                if not _may_pass(error) or pause > LONGEST_WAIT:
                    raise
                await self._sleep(pause)
        return await self._once(request, messages)

    async def _once(self, request: bytes, messages: Messages) -> Reply:
        return self._reply(await self._client.complete(request, timeouts=self._timeouts), messages)

    def _reply(self, whole: bytes, messages: Messages) -> Reply:
        reading, text = Reading(), text_of_completion(whole)
        reading.of_body(whole)
        metered = bool(reading.prompt_tokens)
        prompt = reading.prompt_tokens if metered else _prompt_tokens(messages)
        completion = reading.completion_tokens if metered else body.tokens_of([("assistant", text)])
        return Reply(
            text=text,
            finish_reason=reading.finish_reason,
            prompt_tokens=prompt,
            completion_tokens=completion,
            metered=metered,
            usd=self._endpoint.price.usd(prompt, completion),
        )


def _prompt_tokens(messages: Messages) -> int:
    return body.tokens_of(body.of_data({"messages": list(messages)}, max_messages=_MOST_MESSAGES).turns)


def _may_pass(error: Error) -> bool:
    """Whether another try can help: a key that is not accepted stays so."""
    return error.reason != refusals.UNAUTHORIZED
