"""Wires what a router shares with the other replicas: scores, sessions and decisions, in one Redis."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, TypeVar

from steersman.router.adapters.redis import SCORES, SESSIONS, Kind, RedisOptions, RedisStore
from steersman.router.adapters.redis_quotas import RedisQuotas
from steersman.router.metrics import RouterMetrics
from steersman.router.model import Assessment, Session
from steersman.router.settings import RouterSettings
from steersman.runtime.breaker import Breaker
from steersman.runtime.tasks import BackgroundTasks
from steersman.runtime.tls import Wire

V = TypeVar("V")

DECISIONS: Final = Kind(b"steersman:decision:1:", bytes, bytes)
"""As they are, since who decides keeps them as bytes too."""


@dataclass(frozen=True, slots=True)
class Stores:
    """What is shared with the other replicas."""

    scores: RedisStore[Assessment]
    sessions: RedisStore[Session]
    decisions: RedisStore[bytes]
    quotas: RedisQuotas


async def open_stores(
    stack: AsyncExitStack,
    tasks: BackgroundTasks,
    settings: RouterSettings,
    metrics: RouterMetrics,
    *,
    replica: str,
    wire: Wire,
) -> Stores:
    """Open them, for as long as the stack is, with tasks that read and write."""
    cache = settings.cache
    breaker = Breaker(threshold=cache.breaker_failures, cooldown=cache.breaker_cooldown_seconds)
    metrics.watch_breakers("cache", lambda: [breaker])

    async def opened(name: str, kind: Kind[V], ttl: int, on_dropped: Callable[[int], None]) -> RedisStore[V]:
        options = RedisOptions(
            cache.url, cache.timeout_seconds, ttl, cache.read_queue, cache.write_queue, wire
        )
        store = RedisStore(kind, options, breaker=breaker, on_dropped=on_dropped)
        await stack.enter_async_context(store)
        tasks.start(f"{name} reads", store.read)
        tasks.start(f"{name} writes", store.write)
        return store

    quotas = RedisQuotas(
        cache.url, replica=replica, timeout=cache.timeout_seconds, breaker=breaker, wire=wire
    )
    await stack.enter_async_context(quotas)
    return Stores(
        await opened("cache", SCORES, cache.ttl_seconds, metrics.cache_writes_dropped),
        await opened("session", SESSIONS, settings.sessions.ttl_seconds, metrics.session_writes_dropped),
        await opened("decision", DECISIONS, settings.decisions.ttl_seconds, metrics.decision_writes_dropped),
        quotas,
    )
