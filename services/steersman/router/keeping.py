"""Wires what is kept of prompts: nothing, unless there is a file of keys to seal them with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from steersman.openai_api.body import ChatBody
from steersman.router.accounting import Captures, Record
from steersman.router.adapters.redis_captures import Keep, RedisCaptures
from steersman.router.capture_metrics import CaptureMetrics
from steersman.router.capturing import Capturing
from steersman.router.settings import RouterSettings
from steersman.runtime.tasks import BackgroundTasks
from steersman.runtime.tls import Wire
from steersman.runtime.watched_file import WatchedFile

_TIMEOUT_SECONDS: Final = 1.0
"""Of a batch that is written; nobody waits for it."""


class NothingKept:
    """No prompt is kept, for want of keys; implements `steersman.router.accounting.Captures`."""

    def __init__(self, metrics: CaptureMetrics) -> None:
        self._metrics = metrics

    def offer(self, record: Record, body: ChatBody, rates: Mapping[str, float]) -> None:
        """See `steersman.router.accounting.Captures`; that a policy file asks for what cannot be is counted."""
        del body
        if record.decision is not None and rates.get(record.decision.policy.name):
            self._metrics.counted("no_key", 1)


@dataclass(frozen=True, slots=True)
class Kept:
    """What takes prompts, and what has to be done beside it again and again."""

    captures: Captures
    work: Mapping[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)

    def start(self, tasks: BackgroundTasks) -> None:
        """Begin with it."""
        for name, work in self.work.items():
            tasks.start(name, work)


async def prompt_capture(
    stack: AsyncExitStack, settings: RouterSettings, metrics: CaptureMetrics, *, wire: Wire
) -> Kept:
    """What takes prompts, as the settings have it, for as long as the stack is.

    To be called before there are background tasks, so that what they leave is written when they have ended.

    Raises:
        OSError: There is no file of keys where there should be one.
        NotUsable: It is not valid.
    """
    capture = settings.capture
    if capture.key_file is None:
        return Kept(NothingKept(metrics))
    from steersman.captures import key_file  # noqa: PLC0415 - 6 MB of cryptography that others should not pay
    from steersman.captures.seals import SealKey, Seals  # noqa: PLC0415 - as above

    keep = Keep(capture.ttl_seconds, capture.entries, capture.max_bytes)
    store = RedisCaptures(settings.cache.url, timeout=_TIMEOUT_SECONDS, keep=keep, wire=wire)
    found = list[Capturing]()

    async def apply(keys: tuple[SealKey, ...]) -> None:
        if found:
            await found[0].take(Seals(keys))
            return
        found.append(
            Capturing(
                store=store,
                sealer=Seals(keys),
                longest=capture.longest_bytes,
                queue=capture.queue,
                on_prompts=metrics.counted,
            )
        )

    file = WatchedFile("file of capture keys", capture.key_file, key_file.parse, apply, metrics.keys_reloaded)
    await file.load()
    await stack.enter_async_context(store)
    await stack.enter_async_context(found[0])
    return Kept(found[0], {"capture keys": file.watch, "captured prompts": found[0].write})
