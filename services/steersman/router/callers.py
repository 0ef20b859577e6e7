"""Who calls: from what a caller shows to the tenant whose request it is.

The tenant comes from here and from nowhere else; nothing that a caller writes can change it. All that is wrong with a
key is told in the same words, so that nobody learns from an answer whether a key is unknown, expired or revoked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from steersman.identity.keys import Keyring
from steersman.identity.service_accounts import is_token
from steersman.identity.shown import Shown
from steersman.router.model import Caller
from steersman.runtime.errors import Unauthenticated

_SCHEME: Final = "bearer "


Refuse = Callable[[str], Unauthenticated]
"""Makes the error for a caller who is not known, and counts why."""


class Callers(Protocol):
    """Knows callers."""

    async def identify(self, shown: Shown) -> Caller:
        """Who shows this; waits for others only where nobody here knows it.

        Raises:
            Unauthenticated: Nobody who is known.
        """
        ...


@dataclass(frozen=True, slots=True)
class Anybody:
    """Callers are not told apart: all are the one tenant, whatever they show."""

    tenant: str

    async def identify(self, _shown: Shown) -> Caller:
        """See `Callers`."""
        return Caller(self.tenant)


@dataclass(slots=True)
class KeyHolders:
    """Callers are known by their API keys.

    Args:
        on_refused: Told why a caller was refused: `missing`, `unknown`, `expired`, `revoked`, or `token` where it has
            shown one that is not valid.
        now: The time.
        keyring: The keys; replaced as a whole when they change.
    """

    on_refused: Callable[[str], None]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    keyring: Keyring = field(default_factory=Keyring)

    async def take(self, keyring: Keyring) -> None:
        """Go by these keys from now on."""
        self.keyring = keyring

    async def identify(self, shown: Shown) -> Caller:
        """See `Callers`."""
        text = bearer(shown)
        if text is None:
            raise self.refuse("missing")
        key = self.keyring.owner(text)
        if key is None:
            raise self.refuse("unknown")
        if not key.works_at(self.now()):
            raise self.refuse("expired" if key.revoked is None else "revoked")
        return Caller(key.tenant, key.id)

    def refuse(self, why: str) -> Unauthenticated:
        """The error for a caller who is not known: the same, whatever it is that is wrong."""
        self.on_refused(why)
        return Unauthenticated("a valid API key is needed, as `Authorization: Bearer KEY`")


class TokenHolders(Protocol):
    """Knows callers by tokens that somebody else has made."""

    async def identify(self, token: str) -> Caller:
        """Whose token it is.

        Raises:
            Unauthenticated: Nobody's who is known.
            Unavailable: Nobody says.
        """
        ...


@dataclass(frozen=True, slots=True)
class Bearers:
    """Callers are known by their API keys, or by tokens, which look otherwise."""

    keys: KeyHolders
    tokens: TokenHolders

    async def identify(self, shown: Shown) -> Caller:
        """See `Callers`."""
        text = bearer(shown)
        if text is not None and is_token(text):
            return await self.tokens.identify(text)
        return await self.keys.identify(shown)


def bearer(shown: Shown) -> str | None:
    """The text of a bearer's authorization; None where something else is shown, or nothing."""
    authorization = shown.authorization
    if not authorization or not authorization.lower().startswith(_SCHEME):
        return None
    return authorization[len(_SCHEME) :].strip()
