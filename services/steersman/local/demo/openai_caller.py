"""Asks with the official openai SDK, streamed or whole; the decision is in the response's headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast

from steersman.local.demo.answers import Answer
from steersman.local.demo.queries import Messages

if TYPE_CHECKING:
    import openai
    from openai.types.chat import ChatCompletionMessageParam
    from openai.types.completion_usage import CompletionUsage

_STAGE: Final = re.compile(r"(\w+);dur=([\d.]+)")


class OpenAiCaller:
    """A user of the openai SDK.

    Args:
        client: Pointed at the router.
        max_tokens: Most tokens of an answer.
    """

    def __init__(self, client: openai.AsyncOpenAI, *, max_tokens: int) -> None:
        self._completions = client.chat.completions.with_raw_response
        self._max_tokens = max_tokens

    async def unary(self, messages: Messages, headers: Mapping[str, str]) -> Answer:
        """Ask for the whole answer."""
        response = await self._completions.create(
            model="auto",
            messages=_typed(messages),
            max_tokens=self._max_tokens,
            extra_headers=headers,
        )
        completion = response.parse()
        return _answer(completion.choices[0].message.content or "", response.headers, completion.usage)

    async def stream(self, messages: Messages, headers: Mapping[str, str]) -> Answer:
        """Ask for a stream."""
        response = await self._completions.create(
            model="auto",
            messages=_typed(messages),
            max_tokens=self._max_tokens,
            stream=True,
            stream_options={"include_usage": True},
            extra_headers=headers,
        )
        text, usage = "", None
        async for chunk in response.parse():
            text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
            usage = chunk.usage or usage
        return _answer(text, response.headers, usage)


def _typed(messages: Messages) -> list[ChatCompletionMessageParam]:
    return cast("list[ChatCompletionMessageParam]", messages)


def _answer(text: str, headers: Mapping[str, str], usage: CompletionUsage | None) -> Answer:
    def said(name: str) -> str:
        return headers.get(f"x-steersman-{name}", "")

    return Answer(
        text=text,
        tier=said("tier"),
        reason=said("reason"),
        score=float(said("score")) if said("score") else None,
        threshold=float(said("threshold")) if said("threshold") else None,
        cache=said("cache"),
        stages_ms={stage: float(ms) for stage, ms in _STAGE.findall(headers.get("server-timing", ""))},
        input_tokens=usage.prompt_tokens if usage else 0,
        output_tokens=usage.completion_tokens if usage else 0,
    )
