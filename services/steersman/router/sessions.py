"""Which conversation a request belongs to, and where it stands.

A conversation is known by the id that the caller gives it, or else by itself: what went before the assistant's last
message is what was asked at the turn before. What is kept is a keyed hash of it, the tier, and who answered; no text.
Sessions are remembered by this process and by a store that all replicas share. Without that store a conversation that
comes to another replica is taken for a new one, and its turn is decided by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from steersman.openai_api.body import Turn
from steersman.router.keyed_hash import KeyedHash
from steersman.router.model import Session
from steersman.router.ports import SessionStore, StoreUnavailable
from steersman.runtime.errors import InvalidRequest
from steersman.runtime.expiring import Expiring

Outcome = Literal["known", "unknown", "unavailable"]
"""What a look for a session came to."""

_LONGEST_ID: Final = 256
_RENEWED_AT: Final = 0.5
"""Part of its time that a session has left when it is written again, though nothing about it has changed."""
_TOOL_ROLES: Final = frozenset({"tool", "function"})


@dataclass(frozen=True, slots=True)
class Conversation:
    """A request as a part of a conversation.

    Args:
        earlier: Key of where it stood at the turn before; None for a first turn.
        now: Key of where it will stand.
        same_turn: Whether it goes on with the turn before, by bringing a tool's result.
    """

    earlier: bytes | None
    now: bytes
    same_turn: bool


class SessionKeys:
    """Makes the keys of sessions.

    Args:
        secret: Without it nobody can tell from a key what was said.
    """

    def __init__(self, secret: bytes) -> None:
        self._hash = KeyedHash(secret)

    def conversation(self, turns: Sequence[Turn], *, tenant: str, session_id: str) -> Conversation:
        """The conversation that a request belongs to.

        Args:
            turns: All of its messages.
            tenant: Whose it is; another tenant's is another conversation, whatever its id.
            session_id: The caller's own name for it; empty where it has none.
        """
        same_turn = turns[-1][0] in _TOOL_ROLES
        if session_id:
            key = self._key("id", tenant, [("", session_id)])
            return Conversation(key, key, same_turn)
        now = self._key("turns", tenant, turns)
        answered = _last_answer(turns)
        earlier = None if answered is None else self._key("turns", tenant, turns[:answered])
        return Conversation(earlier, now, same_turn)

    def _key(self, kind: str, tenant: str, turns: Sequence[Turn]) -> bytes:
        # NUL cannot occur in a tenant, a role or a text, so that no two conversations give one message.
        parts = [kind, tenant]
        for turn in turns:
            parts += turn
        return self._hash.of(parts)


class Sessions:
    """Remembers where conversations stand.

    Args:
        keys: Makes their keys.
        store: What replicas share.
        entries: Most sessions that this process keeps itself.
        ttl_seconds: How long.
        on_look: Told what each look came to.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        keys: SessionKeys,
        store: SessionStore,
        entries: int,
        ttl_seconds: float,
        on_look: Callable[[Outcome], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._store = store
        self._on_look = on_look
        self._local: Expiring[bytes, Session] = Expiring(entries, ttl_seconds, clock=clock)
        self._renewed_at = ttl_seconds * _RENEWED_AT

    def of(self, turns: Sequence[Turn], *, tenant: str, session_id: str) -> Conversation:
        """See `SessionKeys.conversation`."""
        return self._keys.conversation(turns, tenant=tenant, session_id=session_id)

    async def recall(self, conversation: Conversation) -> Session | None:
        """Where it stands; None for a new one, and for one that cannot be found out about."""
        if conversation.earlier is None:
            return None
        found = self._local.get(conversation.earlier)
        if found is not None:
            self._on_look("known")
            return found
        try:
            found = await self._store.get(conversation.earlier)
        except StoreUnavailable:
            self._on_look("unavailable")
            return None
        self._on_look("unknown" if found is None else "known")
        return found

    def remember(self, conversation: Conversation, session: Session) -> None:
        """Keep where it stands now, soon and off the request's path; what was written lately is not written again."""
        key = conversation.now
        if self._local.get(key) == session and self._local.left(key) > self._renewed_at:
            return
        self._local.put(key, session)
        self._store.put(key, session)


def checked_session_id(session_id: str, *, field: str) -> str:
    """A caller's own name of a conversation.

    Args:
        session_id: As the caller gives it.
        field: What the caller calls it.

    Raises:
        InvalidRequest: It is too long, or holds what no name holds.
    """
    if len(session_id.encode(errors="surrogatepass")) > _LONGEST_ID:
        raise InvalidRequest(field, f"must be at most {_LONGEST_ID} bytes long")
    if not session_id.isprintable():
        raise InvalidRequest(field, "must be of printable characters")
    return session_id


def _last_answer(turns: Sequence[Turn]) -> int | None:
    """Position of the assistant's last message."""
    for index in range(len(turns) - 1, 0, -1):
        if turns[index][0] == "assistant":
            return index
    return None
