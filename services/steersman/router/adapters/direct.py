"""A tier's upstream that is any OpenAI-compatible server, with no backend of ours in front of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Self

from steersman.openai_api.client import EngineClient, Timeouts
from steersman.router.ports import Dispatch


class DirectUpstream:
    """One OpenAI-compatible server.

    Args:
        client: Speaks to it; entered already.
    """

    def __init__(self, client: EngineClient) -> None:
        self._client = client

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        api_key: str | None,
        ca_file: Path | None = None,
        on_reload: Callable[[str], None] = lambda _: None,
    ) -> Self:
        """An upstream for a URL; the connection itself is made when it is first needed."""
        client = EngineClient(url=url, api_key=api_key, ca_file=ca_file, on_reload=on_reload)
        return cls(await client.__aenter__())

    async def generate(self, dispatch: Dispatch) -> AsyncGenerator[Sequence[bytes], None]:
        """See `steersman.router.ports.Upstream`."""
        answer = self._client.generate(dispatch.body, timeouts=_patience(dispatch), headers=dispatch.headers)
        async with aclosing(answer):
            async for chunks in answer:
                yield chunks

    async def complete(self, dispatch: Dispatch) -> bytes:
        """See `steersman.router.ports.Upstream`."""
        return await self._client.complete(
            dispatch.body, timeouts=_patience(dispatch), headers=dispatch.headers
        )

    async def load(self) -> None:
        """Nothing: engines report no load in any way that they share."""

    async def close(self) -> None:
        """Close the connections."""
        await self._client.__aexit__(None, None, None)


def _patience(dispatch: Dispatch) -> Timeouts:
    """The time that is left for all of it: how long to wait for what is the dispatcher's to say."""
    return Timeouts(dispatch.timeout, dispatch.timeout, dispatch.timeout)
