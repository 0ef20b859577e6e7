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
from steersman.identity.shown import Shown
from steersman.router.model import Caller
from steersman.runtime.errors import Unauthenticated

_SCHEME: Final = "bearer "


class Callers(Protocol):
    """Knows callers."""

    def identify(self, shown: Shown) -> Caller:
        """Who shows this.

        Raises:
            Unauthenticated: Nobody who is known.
        """
        ...


@dataclass(frozen=True, slots=True)
class Anybody:
    """Callers are not told apart: all are the one tenant, whatever they show."""

    tenant: str

    def identify(self, _shown: Shown) -> Caller:
        """See `Callers`."""
        return Caller(self.tenant)


@dataclass(slots=True)
class KeyHolders:
    """Callers are known by their API keys.

    Args:
        on_refused: Told why a caller was refused: `missing`, `unknown`, `expired` or `revoked`.
        now: The time.
        keyring: The keys; replaced as a whole when they change.
    """

    on_refused: Callable[[str], None]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    keyring: Keyring = field(default_factory=Keyring)

    async def take(self, keyring: Keyring) -> None:
        """Go by these keys from now on."""
        self.keyring = keyring

    def identify(self, shown: Shown) -> Caller:
        """See `Callers`."""
        authorization = shown.authorization
        if not authorization or not authorization.lower().startswith(_SCHEME):
            raise self._refuse("missing")
        key = self.keyring.owner(authorization[len(_SCHEME) :].strip())
        if key is None:
            raise self._refuse("unknown")
        if not key.works_at(self.now()):
            raise self._refuse("expired" if key.revoked is None else "revoked")
        return Caller(key.tenant, key.id)

    def _refuse(self, why: str) -> Unauthenticated:
        self.on_refused(why)
        return Unauthenticated("a valid API key is needed, as `Authorization: Bearer KEY`")
