"""Remembers decisions for a while, so that their callers can ask why and say how good the answer was.

Each is kept under a keyed hash of its tenant and its id. Another tenant's id makes another key: it is looked for like
any, and not found like one that never was or that is forgotten, by the same work. They are kept as bytes: thousands of
records as objects would be gone through by every collection of garbage.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from steersman.router import recorded
from steersman.router.accounting import Record
from steersman.router.ids import made_at
from steersman.router.keyed_hash import KeyedHash
from steersman.router.model import Caller, Decision
from steersman.router.ports import SharedStore, StoreUnavailable
from steersman.runtime.errors import InvalidRequest, NotFound, Unavailable

_ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a caller says of an answer.

    Args:
        quality: In [0, 1]: 1 for a good answer.
    """

    caller: Caller
    decision: Decision
    quality: float


class Decisions:
    """The decisions of all tenants; implements `steersman.router.accounting.Ledger`.

    Args:
        secret: Without it nobody can tell from a key whose decision it is.
        store: What replicas share.
        entries: Most decisions that this process keeps itself.
        ttl_seconds: How long.
        on_feedback: Each is told what a caller says of an answer.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        *,
        secret: bytes,
        store: SharedStore[bytes],
        entries: int,
        ttl_seconds: float,
        on_feedback: Sequence[Callable[[Feedback], None]] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self._hash = KeyedHash(secret)
        self._store = store
        self._entries = entries
        self._ttl_seconds = ttl_seconds
        self._on_feedback = on_feedback
        self._now = now
        self._local: OrderedDict[bytes, bytes] = OrderedDict()  # the oldest first, as they come

    def closed(self, record: Record) -> None:
        """See `steersman.router.accounting.Ledger`; what is shared is written soon, and off the request's path."""
        if record.decision is None:
            return
        key = self._key(record.caller.tenant, record.decision.id)
        kept = self._local[key] = recorded.encode(record)
        if len(self._local) > self._entries:
            self._local.popitem(last=False)
        self._store.put(key, kept)

    async def find(self, decision_id: str, *, caller: Caller) -> Record:
        """The record of a decision of the caller's tenant.

        Raises:
            InvalidRequest: It is no id.
            NotFound: There is none, it is forgotten, or it is another tenant's.
            Unavailable: It is not known here, and what the other replicas know cannot be asked for.
        """
        if _ID.fullmatch(decision_id) is None:
            raise InvalidRequest("id", "must be the id of a decision, which is 32 hexadecimal digits")
        key = self._key(caller.tenant, decision_id)
        kept = self._local.get(key)
        if kept is None or made_at(decision_id) + self._ttl_seconds < self._now():
            kept = await self._shared(key)
        found = kept and recorded.decode(kept)
        if not found or found.decision is None:
            raise NotFound("no decision of yours that is still kept has this id", reason="DECISION_NOT_FOUND")
        return found

    async def rate(self, decision_id: str, quality: float | None, *, caller: Caller) -> None:
        """Take what a caller says of an answer.

        Args:
            decision_id: Which one.
            quality: In [0, 1]; None where the caller gave none.
            caller: Who says it.

        Raises:
            InvalidRequest: The id or the quality is none.
            NotFound: See `find`.
            Unavailable: See `find`.
        """
        if quality is None or not 0.0 <= quality <= 1.0:  # NaN is not
            raise InvalidRequest("quality", "must be a number from 0 to 1")
        record = await self.find(decision_id, caller=caller)
        if record.decision is not None:
            for told in self._on_feedback:
                told(Feedback(caller, record.decision, quality))

    async def _shared(self, key: bytes) -> bytes | None:
        try:
            return await self._store.get(key)
        except StoreUnavailable as error:
            raise Unavailable("decisions of other replicas cannot be looked up now") from error

    def _key(self, tenant: str, decision_id: str) -> bytes:
        return self._hash.of(("decision", tenant, decision_id))
