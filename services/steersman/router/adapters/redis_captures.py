"""Captured prompts in Redis or Valkey: sealed there, bounded by tenant, and found by tenant and by caller.

One hash holds what a tenant's callers asked in a 24th of the time for which prompts are kept, and ends as a whole: no
prompt is there for longer than that time. Its fields begin with the caller's mark, so that the hash is its own index:
nothing can be lost of the one and not of the other. Beside the prompts it holds their size in bytes, so that one script
can see whether more of the tenant's would be too many.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self, cast

from redis.exceptions import RedisError

from steersman.captures.place import Place
from steersman.router.ports import SealedPrompt, StoreUnavailable
from steersman.router.redis_client import redis_client
from steersman.runtime.tls import PLAIN, Wire

_PREFIX: Final = "steersman:capture:1:"
_HASH: Final = re.compile(rf"{_PREFIX}(?P<tenant>[^:]+):(?P<begins>\d+)")
_HASHES: Final = 24
_SIZE: Final = b"size"
"""The field that is no prompt; the names of those have a colon."""
_SCANNED: Final = 1000
_ADD: Final = """
local entries, bytes = 0, 0
for _, key in ipairs(KEYS) do
  local size = redis.call('HGET', key, 'size')
  if size then
    entries = entries + redis.call('HLEN', key) - 1
    bytes = bytes + tonumber(size)
  end
end
local most, most_bytes, stored, size = tonumber(ARGV[1]), tonumber(ARGV[2]), 0, 0
for at = 4, #ARGV, 2 do
  local length = #ARGV[at + 1]
  if entries >= most or bytes + size + length > most_bytes then
    break
  end
  if redis.call('HSETNX', KEYS[1], ARGV[at], ARGV[at + 1]) == 1 then
    entries, size = entries + 1, size + length
  end
  stored = stored + 1
end
if size > 0 then
  redis.call('HINCRBY', KEYS[1], 'size', size)
  redis.call('EXPIREAT', KEYS[1], ARGV[3])
end
return stored
"""
_DELETE_OF_CALLER: Final = """
local deleted, size = 0, 0
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, #ARGV[1]) == ARGV[1] then
    size = size + redis.call('HSTRLEN', KEYS[1], field)
    deleted = deleted + redis.call('HDEL', KEYS[1], field)
  end
end
if deleted > 0 and redis.call('HLEN', KEYS[1]) == 1 then
  redis.call('DEL', KEYS[1])
elseif deleted > 0 then
  redis.call('HINCRBY', KEYS[1], 'size', -size)
end
return deleted
"""


@dataclass(frozen=True, slots=True)
class Keep:
    """How much of a tenant's is kept, and for how long.

    Args:
        seconds: Longest time; a prompt may go up to a 24th of it earlier.
        entries: Most prompts at a time.
        size: Most bytes of them, sealed.
    """

    seconds: int
    entries: int
    size: int


@dataclass(frozen=True, slots=True)
class Held:
    """How much there is of a tenant's."""

    tenant: str
    prompts: int
    size: int
    since: float
    """Not younger than the oldest, in seconds since the epoch."""


class RedisCaptures:
    """See `steersman.router.ports.CaptureStore`; and what an operator does with captured prompts.

    Args:
        url: Where Redis is.
        timeout: Seconds that a command may take.
        wire: How this process speaks.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        keep: Keep | None = None,
        wire: Wire = PLAIN,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._timeout = timeout
        self._keep = keep or Keep(1, 0, 0)
        self._now = now
        self._client = redis_client(url, timeout=timeout, wire=wire)
        self._add = self._client.register_script(_ADD)
        self._delete_of_caller = self._client.register_script(_DELETE_OF_CALLER)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def add(self, tenant: str, prompts: Sequence[SealedPrompt]) -> int:
        """See `steersman.router.ports.CaptureStore.add`."""
        keep, now = self._keep, int(self._now())
        span = math.ceil(keep.seconds / _HASHES)
        begins = now // span * span
        keys = [_key(tenant, begins - number * span) for number in range(_HASHES + 1)]
        arguments: list[str | int | bytes] = [keep.entries, keep.size, begins + keep.seconds]
        for prompt in prompts:
            arguments += [f"{prompt.place.mark}:{prompt.place.decision_id}", prompt.sealed]
        return int(await self._asked(self._add(keys=keys, args=arguments)))

    async def held(self) -> list[Held]:
        """How much there is of each tenant's, by name.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        found: dict[str, Held] = {}
        async for key, tenant, begins in self._hashes(None):
            size = int(await self._asked(self._client.hget(key, _SIZE)) or 0)
            prompts = max(0, await self._asked(self._client.hlen(key)) - 1)
            so_far = found.get(tenant, Held(tenant, 0, 0, math.inf))
            found[tenant] = Held(
                tenant, so_far.prompts + prompts, so_far.size + size, min(so_far.since, begins)
            )
        return [found[tenant] for tenant in sorted(found)]

    async def prompts(self, *, tenant: str | None, mark: str | None) -> AsyncIterator[SealedPrompt]:
        """All that there are, of one tenant or of all, of one caller or of all.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        async for key, owner, _ in self._hashes(tenant):
            pages = self._client.hscan_iter(key, match=f"{mark or '*'}:*", count=_SCANNED)
            async for field, sealed in self._pages(pages):
                of, _, decision_id = field.decode().partition(":")
                yield SealedPrompt(Place(owner, of, decision_id), sealed)

    async def delete(self, *, tenant: str | None, mark: str | None) -> int:
        """Delete those of a tenant, of a caller, or of a caller of a tenant; says how many.

        Raises:
            StoreUnavailable: Redis did not answer; some may be gone.
        """
        deleted = 0
        async for key, *_ in self._hashes(tenant):
            if mark is not None:
                deleted += int(await self._asked(self._delete_of_caller(keys=[key], args=[f"{mark}:"])))
                continue
            deleted += max(0, await self._asked(self._client.hlen(key)) - 1)
            await self._asked(self._client.unlink(key))
        return deleted

    async def _hashes(self, tenant: str | None) -> AsyncIterator[tuple[bytes, str, int]]:
        """Key, tenant and beginning of each hash, in the order of time."""
        pages = self._client.scan_iter(match=f"{_PREFIX}{tenant or '*'}:*", count=_SCANNED)
        keys = {key async for key in self._pages(pages)}  # a scan may tell a key twice
        found = [_HASH.fullmatch(key.decode(errors="replace")) for key in keys]
        for each in sorted(filter(None, found), key=lambda match: int(match["begins"])):
            yield each[0].encode(), each["tenant"], int(each["begins"])

    async def _pages(self, pages: AsyncIterator[Any]) -> AsyncIterator[Any]:
        with _translated():
            async for each in pages:
                yield each

    async def _asked(self, answer: Awaitable[Any] | Any) -> Any:
        with _translated():
            async with asyncio.timeout(self._timeout):
                return await cast("Awaitable[Any]", answer)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreUnavailable(str(error)) from error


def _key(tenant: str, begins: int) -> str:
    return f"{_PREFIX}{tenant}:{begins}"
