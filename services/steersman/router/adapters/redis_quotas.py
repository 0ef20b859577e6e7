"""The token buckets of tenants in Redis or Valkey: one script, which takes of all buckets of a tenant or of none.

It is the arithmetic of `steersman.router.quotas.take` in Lua, by Redis' own clock, so that replicas need not agree on
the time. A tenant's buckets are one hash, which ends when all of them would be full. Keys hold a hash of the tenant's
name.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Final, Self

from redis.exceptions import RedisError

from steersman.router.ports import StoreUnavailable
from steersman.router.quotas import Amounts, Quota, Taken
from steersman.router.redis_client import redis_client
from steersman.runtime.breaker import Breaker
from steersman.runtime.tls import PLAIN, Wire

_PREFIX: Final = "steersman:quota:1:"
_NOT_ASKED: Final = ""
_SCRIPT: Final = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local owed = ARGV[1] == '1'
local buckets, longest, short = {}, 1, -1
for first = 2, #ARGV, 4 do
  local name, most, seconds = ARGV[first], tonumber(ARGV[first + 1]), tonumber(ARGV[first + 2])
  local claim = tonumber(ARGV[first + 3])
  local level = most
  local kept = redis.call('HGET', KEYS[1], name)
  if kept then
    local had, at = string.match(kept, '^(%S+) (%S+)$')
    level = math.min(most, tonumber(had) + math.max(0, now - tonumber(at)) * most / seconds)
  end
  if short < 0 and not owed and claim and (level < claim or level <= 0) then
    short = #buckets
  end
  buckets[#buckets + 1] = {name = name, level = level, claim = claim or 0}
  longest = math.max(longest, (most - level + (claim or 0)) * seconds / most)
end
local told = {tostring(short)}
for _, bucket in ipairs(buckets) do
  if short < 0 then
    bucket.level = bucket.level - bucket.claim
    redis.call('HSET', KEYS[1], bucket.name, string.format('%.17g %.6f', bucket.level, now))
  end
  told[#told + 1] = string.format('%.17g', bucket.level)
end
if short < 0 then
  redis.call('EXPIRE', KEYS[1], math.ceil(longest) + 1)
end
return told
"""


class RedisQuotas:
    """See `steersman.router.ports.QuotaStore`.

    Args:
        url: Where Redis is.
        timeout: Seconds that it has to answer.
        breaker: Opens when it does not.
        wire: How this process speaks.
    """

    def __init__(self, url: str, *, timeout: float, breaker: Breaker, wire: Wire = PLAIN) -> None:
        self._timeout = timeout
        self._breaker = breaker
        self._client = redis_client(url, timeout=timeout, wire=wire)
        self._script = self._client.register_script(_SCRIPT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def take(self, tenant: str, quotas: tuple[Quota, ...], amounts: Amounts, *, owed: bool) -> Taken:
        """See `steersman.router.ports.QuotaStore.take`."""
        arguments: list[str | float] = ["1" if owed else "0"]
        for quota, amount in zip(quotas, amounts, strict=True):
            arguments += [quota.name, quota.amount, quota.seconds, _NOT_ASKED if amount is None else amount]
        short, *levels = map(float, await self._run(tenant, arguments))
        return Taken(tuple(levels), None if short < 0 else int(short))

    async def _run(self, tenant: str, arguments: list[str | float]) -> list[bytes]:
        if not self._breaker.allow():
            raise StoreUnavailable
        try:
            async with asyncio.timeout(self._timeout):
                told: list[bytes] = await self._script(keys=[_key(tenant)], args=arguments)
        except (RedisError, OSError, TimeoutError) as error:
            self._breaker.failure()
            raise StoreUnavailable from error
        except asyncio.CancelledError:
            self._breaker.cancel()
            raise
        self._breaker.success()
        return told


def _key(tenant: str) -> str:
    return _PREFIX + hashlib.sha256(tenant.encode()).hexdigest()
