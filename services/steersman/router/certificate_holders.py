"""Callers that are known by the certificate of their connection, before anything that they write is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

from steersman.identity.certificates import Rules
from steersman.identity.shown import Shown
from steersman.router.callers import Callers
from steersman.router.model import Caller


@dataclass(slots=True)
class CertificateHolders:
    """See `steersman.router.callers.Callers`.

    Args:
        others: Knows the callers that no rule is about, as those behind a gateway that has a certificate of its own.
        rules: Whose certificates are which tenant's; replaced as a whole when they change.
    """

    others: Callers
    rules: Rules = field(default_factory=Rules)

    async def take(self, rules: Rules) -> None:
        """Go by these rules from now on."""
        self.rules = rules

    async def identify(self, shown: Shown) -> Caller:
        """See `steersman.router.callers.Callers`."""
        peer = shown.peer()
        tenant = None if peer is None else self.rules.tenant(peer)
        return await self.others.identify(shown) if tenant is None else Caller(tenant)
