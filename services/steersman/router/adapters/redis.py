"""What all replicas share, in Redis or Valkey: scores, and where conversations stand.

A score is fourteen bytes of numbers, a session the name of a tier and an address; there is no text of a caller's in
either, and what another version wrote, or somebody else, is as good as nothing. Reads and writes each go through a
bounded queue, from which a background task sends what has gathered as one command: two connections serve any number of
requests, and a burst costs fewer round trips, not more connections. A breaker keeps an absent Redis from costing each
request its timeout.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Self, TypeVar

from redis.exceptions import RedisError

from steersman.router.model import Assessment, Session
from steersman.router.ports import StoreUnavailable
from steersman.router.redis_client import redis_client
from steersman.runtime.breaker import Breaker
from steersman.runtime.gathering import gathered
from steersman.runtime.tls import PLAIN, Wire

V = TypeVar("V")

_VALUE: Final = struct.Struct("<Bfff?")
_FORMAT: Final = 1
_LONGEST_SESSION: Final = 1024
_BATCH: Final = 256
_TTL_JITTER: Final = 0.1
_WRITE: Final = """
for i, key in ipairs(KEYS) do
  redis.call('SET', key, ARGV[2 * i - 1], 'EX', ARGV[2 * i])
end
"""
"""One command for a whole batch: each one of a pipeline would have to be packed and its answer read."""
_WRITE_SECONDS: Final = 0.05
"""Pause between two batches of writes: nobody waits for them, and larger ones cost less."""
_READ_SECONDS: Final = 0.004
"""Pause after a batch of several reads, so that the next one is larger under load; who asks alone does not meet it."""


@dataclass(frozen=True, slots=True)
class RedisOptions:
    """How Redis is used for one kind of entries.

    Args:
        url: Where it is.
        timeout: Seconds that a command may take.
        ttl: Seconds that an entry is kept, plus up to a tenth.
        read_queue: Look-ups that may wait to be sent.
        write_queue: Entries that may wait to be written.
        wire: How this process speaks.
    """

    url: str
    timeout: float
    ttl: int
    read_queue: int
    write_queue: int
    wire: Wire = PLAIN


@dataclass(frozen=True, slots=True)
class Kind(Generic[V]):
    """One kind of entries.

    Args:
        prefix: Of their keys.
        encode: From a value to what is stored.
        decode: Back; None for anything that this version did not write.
    """

    prefix: bytes
    encode: Callable[[V], bytes]
    decode: Callable[[bytes], V | None]


class RedisStore(Generic[V]):
    """See `steersman.router.ports.SharedStore`.

    Args:
        kind: What is stored.
        options: How Redis is used.
        breaker: Opens when Redis does not answer.
        on_dropped: Told how many entries were not written.
    """

    def __init__(
        self,
        kind: Kind[V],
        options: RedisOptions,
        *,
        breaker: Breaker,
        on_dropped: Callable[[int], None],
    ) -> None:
        self._kind = kind
        self._options = options
        self._breaker = breaker
        self._on_dropped = on_dropped
        self._reads: asyncio.Queue[tuple[bytes, asyncio.Future[V | None]]] = asyncio.Queue(options.read_queue)
        self._writes: asyncio.Queue[tuple[bytes, V]] = asyncio.Queue(options.write_queue)
        self._client = redis_client(options.url, timeout=options.timeout, wire=options.wire)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(self, key: bytes) -> V | None:
        """See `steersman.router.ports.SharedStore.get`."""
        if not self._breaker.ready:
            raise StoreUnavailable
        found: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        try:
            self._reads.put_nowait((key, found))
            async with asyncio.timeout(self._options.timeout):
                return await found
        except (asyncio.QueueFull, TimeoutError) as error:
            raise StoreUnavailable from error

    def put(self, key: bytes, value: V) -> None:
        """See `steersman.router.ports.SharedStore.put`."""
        try:
            self._writes.put_nowait((key, value))
        except asyncio.QueueFull:
            self._on_dropped(1)

    async def read(self) -> None:
        """Look up what is asked for, again and again; for a background task."""
        while True:
            batch = [ask for ask in await gathered(self._reads, _BATCH) if not ask[1].done()]
            if batch:
                await self._read(batch)
            if len(batch) > 1:
                await asyncio.sleep(_READ_SECONDS)

    async def write(self) -> None:
        """Write what waits, again and again; for a background task."""
        while True:
            await asyncio.sleep(_WRITE_SECONDS)
            batch = await gathered(self._writes, _BATCH)
            if not await self._write(batch):
                self._on_dropped(len(batch))

    async def _read(self, batch: Sequence[tuple[bytes, asyncio.Future[V | None]]]) -> None:
        try:
            values = await self._look_up([key for key, _ in batch])
        except StoreUnavailable as error:
            for _, found in batch:
                if not found.done():
                    found.set_exception(error)
            return
        for (_, found), value in zip(batch, values, strict=True):
            if not found.done():
                found.set_result(self._kind.decode(value) if isinstance(value, bytes) else None)

    async def _look_up(self, keys: Sequence[bytes]) -> Sequence[object]:
        if not self._breaker.allow():
            raise StoreUnavailable
        try:
            values: Sequence[object] = await self._client.mget([self._kind.prefix + key for key in keys])
        except (RedisError, OSError) as error:
            self._breaker.failure()
            raise StoreUnavailable from error
        except asyncio.CancelledError:
            self._breaker.cancel()
            raise
        self._breaker.success()
        return values

    async def _write(self, batch: list[tuple[bytes, V]]) -> bool:
        if not self._breaker.ready:
            return False
        keys: list[bytes] = []
        rest: list[bytes | int] = []
        for key, value in batch:
            keys.append(self._kind.prefix + key)
            rest += [self._kind.encode(value), self._ttl()]
        try:
            await self._client.eval(_WRITE, len(keys), *keys, *rest)
        except (RedisError, OSError):
            return False
        return True

    def _ttl(self) -> int:
        return round(self._options.ttl * (1 + random.random() * _TTL_JITTER))  # noqa: S311 - spreads expiry


def _encode_score(assessment: Assessment) -> bytes:
    return _VALUE.pack(
        _FORMAT, assessment.score, assessment.win_probability, assessment.novelty, assessment.truncated
    )


def _decode_score(value: bytes) -> Assessment | None:
    if len(value) != _VALUE.size or value[0] != _FORMAT or value[-1] > 1:
        return None
    assessment = Assessment(*_VALUE.unpack(value)[1:])
    return assessment if assessment.valid else None


def _encode_session(session: Session) -> bytes:
    return f"{session.tier}\0{session.address}".encode()


def _decode_session(value: bytes) -> Session | None:
    try:
        tier, address = value[:_LONGEST_SESSION].decode().split("\0")
    except ValueError:
        return None
    return Session(tier, address)


SCORES: Final = Kind(b"steersman:score:1:", _encode_score, _decode_score)
SESSIONS: Final = Kind(b"steersman:session:1:", _encode_session, _decode_session)
