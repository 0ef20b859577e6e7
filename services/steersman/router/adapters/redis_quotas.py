"""The quotas of tenants in Redis or Valkey: one script, which meets all claims of a tenant or none.

It is the arithmetic of `steersman.router.quotas.take` in Lua, by Redis' own clock, so that replicas need not agree on
the time. All of a tenant is one hash, which ends when its buckets would be full and its slots free. A bucket is a
field; slots are a field for each replica, with how many it has and until when, so that those of one that has died come
free by themselves. Keys hold a hash of the tenant's name.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Final, Self

from redis.exceptions import RedisError

from steersman.router.ports import StoreUnavailable
from steersman.router.quotas import Ask, Kind, Taken
from steersman.router.redis_client import redis_client
from steersman.runtime.breaker import Breaker
from steersman.runtime.tls import PLAIN, Wire

_PREFIX: Final = "steersman:quota:1:"
_NOT_ASKED: Final = ""
_SCRIPT: Final = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local replica = ARGV[1]
local kept = redis.call('HGETALL', KEYS[1])
local asks, longest, short = {}, 1, -1
for first = 2, #ARGV, 7 do
  local ask = {
    slots = ARGV[first] == 'slots', name = ARGV[first + 1],
    most = tonumber(ARGV[first + 2]), seconds = tonumber(ARGV[first + 3]),
    claim = tonumber(ARGV[first + 5]), extra = tonumber(ARGV[first + 6]),
  }
  local before = tonumber(ARGV[first + 4])
  ask.level = ask.most - before
  if ask.slots then
    ask.held = before
    local prefix = ask.name .. '/'
    for at = 1, #kept, 2 do
      local field = kept[at]
      if string.sub(field, 1, #prefix) == prefix and field ~= prefix .. replica then
        local had, ends = string.match(kept[at + 1], '^(%S+) (%S+)$')
        local left = tonumber(ends) - now
        if left < 0 or left > ask.seconds + 1 then -- it has ended, or Redis's clock was set back since
          redis.call('HDEL', KEYS[1], field)
        else
          ask.level = ask.level - tonumber(had)
        end
      end
    end
  else
    for at = 1, #kept, 2 do
      if kept[at] == ask.name then
        local had, since = string.match(kept[at + 1], '^(%S+) (%S+)$')
        local came = math.max(0, now - tonumber(since)) * ask.most / ask.seconds
        ask.level = math.min(ask.most, tonumber(had) + came) - before
      end
    end
  end
  if short < 0 and ask.claim and (ask.level < ask.claim or ask.level <= 0) then
    short = #asks
  end
  asks[#asks + 1] = ask
end
local told = {tostring(short)}
for _, ask in ipairs(asks) do
  local claim, extra = 0, 0
  if short < 0 then
    claim = ask.claim or 0
    extra = math.floor(math.max(0, math.min(ask.extra, ask.level - claim)))
  end
  ask.level = ask.level - claim - extra
  if ask.slots then
    local held, field = ask.held + claim + extra, ask.name .. '/' .. replica
    if held > 0 then
      redis.call('HSET', KEYS[1], field, string.format('%.17g %.6f', held, now + ask.seconds))
      longest = math.max(longest, ask.seconds)
    else
      redis.call('HDEL', KEYS[1], field)
    end
  else
    redis.call('HSET', KEYS[1], ask.name, string.format('%.17g %.6f', ask.level, now))
    longest = math.max(longest, (ask.most - ask.level) * ask.seconds / ask.most)
  end
  told[#told + 1] = string.format('%.17g', ask.level)
  told[#told + 1] = string.format('%.17g', extra)
end
redis.call('EXPIRE', KEYS[1], math.ceil(longest) + 1)
return told
"""


class RedisQuotas:
    """See `steersman.router.ports.QuotaStore`.

    Args:
        url: Where Redis is.
        replica: Whose slots they are; no other replica's, and no earlier process's.
        timeout: Seconds that it has to answer.
        breaker: Opens when it does not.
        wire: How this process speaks.
    """

    def __init__(
        self, url: str, *, replica: str, timeout: float, breaker: Breaker, wire: Wire = PLAIN
    ) -> None:
        self._replica = replica
        self._timeout = timeout
        self._breaker = breaker
        self._client = redis_client(url, timeout=timeout, wire=wire)
        self._script = self._client.register_script(_SCRIPT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def take(self, tenant: str, asks: tuple[Ask, ...]) -> Taken:
        """See `steersman.router.ports.QuotaStore.take`."""
        arguments: list[str | float] = [self._replica]
        for ask in asks:
            quota, slots = ask.quota, ask.quota.kind is Kind.RUNNING
            arguments += [
                "slots" if slots else "bucket",
                quota.name,
                quota.amount,
                quota.seconds,
                ask.held if slots else ask.owed,
                _NOT_ASKED if ask.claim is None else ask.claim,
                ask.extra,
            ]
        short, *rest = map(float, await self._run(tenant, arguments))
        return Taken(tuple(rest[::2]), tuple(rest[1::2]), None if short < 0 else int(short))

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
