"""Conversations before real engines: two routers, two backends, and llama.cpp's own count of cached tokens."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

import openai
import pytest

from fixtures.callers import fetch
from fixtures.real_parts import Engine, StartEngine
from fixtures.router_process import Router, StartBackend, StartRouter, behind, policies
from steersman.local.system import System

pytestmark = pytest.mark.slow  # two engines of its own

TURNS: Final = 3
CONVERSATIONS: Final = 6
STORY: Final = "The captain kept a log of winds, currents and stars, and read it aloud each evening. " * 12
"""Long enough that its tokens are most of a prompt."""


@dataclass
class Chat:
    """One conversation, and what its engine told of each turn."""

    number: int
    messages: list[Any] = field(default_factory=list)
    prompt_tokens: list[int] = field(default_factory=list)
    cached_tokens: list[int] = field(default_factory=list)

    async def turn(self, router: Router) -> None:
        """Ask once more, of this router."""
        asked = f"Log {self.number}. {STORY}" if not self.messages else "And what came next?"
        self.messages.append({"role": "user", "content": asked})
        async with openai.AsyncOpenAI(base_url=f"{router.http}/v1", api_key="none", max_retries=0) as sdk:
            answer = await sdk.chat.completions.create(
                model="auto", messages=self.messages, max_tokens=4, temperature=0
            )
        assert answer.usage is not None
        details = answer.usage.prompt_tokens_details
        self.messages.append({"role": "assistant", "content": answer.choices[0].message.content or "..."})
        self.prompt_tokens.append(answer.usage.prompt_tokens)
        self.cached_tokens.append((details and details.cached_tokens) or 0)


async def chats(routers: list[Router]) -> list[Chat]:
    """Conversations held at once, each turn of one at the next router."""
    all_chats = [Chat(number) for number in range(CONVERSATIONS)]
    for turn in range(TURNS):
        router = routers[turn % len(routers)]
        await asyncio.gather(*(chat.turn(router) for chat in all_chats))
    return all_chats


async def predicted(engine: Engine) -> float:
    """Tokens that an engine has made, by its own count."""
    lines = (await fetch(f"{engine.url}/metrics")).body.decode().splitlines()
    (line,) = (line for line in lines if line.startswith("llamacpp:tokens_predicted_total "))
    return float(line.split()[-1])


async def test_a_conversation_finds_its_tokens_in_the_engines_cache_whichever_router_it_comes_to(
    system: System, start_router: StartRouter, start_backend: StartBackend, start_engine: StartEngine
) -> None:
    engines = [await start_engine(name=f"engine-{number}", slots=CONVERSATIONS) for number in range(2)]
    backends = [await start_backend(engine.url) for engine in engines]
    weak = behind(*(backend.grpc for backend in backends), context_window=2048)
    routers = [
        await start_router(
            policies(weak, weak, threshold=1.0, sticky={"moves": "upward"}),
            classifier=system.addresses.triton_grpc,
            cache=system.addresses.redis,
            settings={"CACHE__HMAC_KEY": "shared by both"},
        )
        for _ in range(2)
    ]
    held = await chats(routers)
    for chat in held:
        for before, cached in zip(chat.prompt_tokens, chat.cached_tokens[1:], strict=False):
            assert cached >= 0.8 * before, chat
    made = [await predicted(engine) for engine in engines]
    assert min(made) >= sum(made) / 4
