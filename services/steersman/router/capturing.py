"""Keeps some prompts for labelling, where their tenant's operator wants it: sealed, off the request's path, bounded.

Which ones is decided by the last digits of the decision's id, as for the decision log, so that what is captured is
logged too where the log's sample is no smaller. A prompt goes into a bounded queue, from which a background task seals
and stores what has gathered. Whatever cannot be kept is dropped and counted: a request never waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, Self

import orjson

from steersman.captures.place import Place, mark_of
from steersman.openai_api.body import ChatBody
from steersman.router.accounting import Record
from steersman.router.decision_log import Closed, fields, sampled
from steersman.router.ports import CaptureStore, SealedPrompt, StoreUnavailable
from steersman.runtime.gathering import gathered

Outcome = Literal["written", "too_large", "queue_full", "tenant_full", "not_written"]
"""What became of a prompt."""

_BATCH: Final = 64
_WRITE_SECONDS: Final = 0.05
"""Pause between two batches: nobody waits for them."""
_CLOSING_SECONDS: Final = 2.0


class Sealer(Protocol):
    """See `steersman.captures.seals.Seals`."""

    def seal(self, content: bytes, place: Place) -> bytes:
        """The content as nobody can read it without the key, and nobody take for another's."""
        ...


@dataclass(frozen=True, slots=True)
class _Prompt:
    place: Place
    content: bytes


class Capturing:
    """Implements `steersman.router.accounting.Captures`.

    Args:
        store: Where the sealed prompts go.
        sealer: Seals them; replaced when the keys change.
        longest: Bytes of the longest prompt that is kept, with its line of the decision log.
        queue: Prompts that wait to be written.
        on_prompts: Told how many prompts came to which end.
    """

    def __init__(
        self,
        *,
        store: CaptureStore,
        sealer: Sealer,
        longest: int,
        queue: int,
        on_prompts: Callable[[Outcome, int], None],
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._longest = longest
        self._queue: asyncio.Queue[_Prompt] = asyncio.Queue(queue)
        self._on_prompts = on_prompts
        self._under_way: Sequence[_Prompt] = ()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Write what is left, as far as that takes no longer than a moment; to store a prompt twice does no harm."""
        left = [*self._under_way, *(self._queue.get_nowait() for _ in range(self._queue.qsize()))]
        try:
            async with asyncio.timeout(_CLOSING_SECONDS):
                await self._write(left)
        except TimeoutError:
            self._on_prompts("not_written", len(left))

    async def take(self, sealer: Sealer) -> None:
        """Seal with this from now on."""
        self._sealer = sealer

    def offer(self, record: Record, body: ChatBody, rates: Mapping[str, float]) -> None:
        """See `steersman.router.accounting.Captures`."""
        decision = record.decision
        rate = 0.0 if decision is None else rates.get(decision.policy.name, 0.0)
        if decision is None or not sampled(decision.id, rate):
            return
        content = self._content(Closed(record, decision, time.time()), body, rate)
        if content is None:
            self._on_prompts("too_large", 1)
            return
        caller = record.caller
        try:
            self._queue.put_nowait(_Prompt(Place(caller.tenant, mark_of(caller.key), decision.id), content))
        except asyncio.QueueFull:
            self._on_prompts("queue_full", 1)

    async def write(self) -> None:
        """Seal and store what comes, again and again; for a background task."""
        while True:
            await asyncio.sleep(_WRITE_SECONDS)
            self._under_way = await gathered(self._queue, _BATCH)
            await self._write(self._under_way)
            self._under_way = ()

    def _content(self, closed: Closed, body: ChatBody, rate: float) -> bytes | None:
        """A line for `steersman label` and `steersman calibrate`; None where it would be too long."""
        if body.media or sum(len(text) for _, text in body.turns) > self._longest:
            return None
        line = {**fields(closed, sample_rate=rate), "messages": body.data["messages"]}
        try:
            content = orjson.dumps(line)
        except orjson.JSONEncodeError:  # it writes fewer levels than it reads
            return None
        return content if len(content) <= self._longest else None

    async def _write(self, batch: Sequence[_Prompt]) -> None:
        by_tenant = defaultdict[str, list[SealedPrompt]](list)
        for prompt in batch:
            sealed = self._sealer.seal(prompt.content, prompt.place)
            by_tenant[prompt.place.tenant].append(SealedPrompt(prompt.place, sealed))
        for tenant, prompts in by_tenant.items():
            try:
                written = await self._store.add(tenant, prompts)
            except StoreUnavailable:
                self._on_prompts("not_written", len(prompts))
                continue
            self._on_prompts("written", written)
            self._on_prompts("tenant_full", len(prompts) - written)
