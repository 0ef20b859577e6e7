"""Who may call, by the names in the certificate that a gRPC client has shown.

An authority vouches for more than one kind of process. That a certificate is by it says who somebody is, not that it
may ask a backend for work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from steersman.runtime.errors import Forbidden
from steersman.runtime.settings import Tls

_NAMES: Final = "x509_subject_alternative_name"


@dataclass(frozen=True, slots=True)
class ClientNames:
    """The names that may call.

    Args:
        names: DNS names or URIs, as they stand in certificates.
        open_services: Services that look after themselves who calls.
    """

    names: frozenset[str]
    open_services: frozenset[str] = frozenset()

    @classmethod
    def by(cls, settings: Tls, *, open_services: Collection[str] = ()) -> Self | None:
        """Those of the settings; None where anybody may call."""
        if settings.folder is None or not settings.verify_clients or not settings.client_names:
            return None
        return cls(frozenset(settings.client_names), frozenset(open_services))

    def guards(self, method: str) -> bool:
        """Whether a method, as `/SERVICE/METHOD`, is for these names only."""
        return method.rpartition("/")[0].removeprefix("/") not in self.open_services

    def check(self, shown: Mapping[str, Iterable[bytes]]) -> None:
        """Look at what a connection has shown.

        Raises:
            Forbidden: Its certificate is for none of the names.
        """
        if not any(name.decode(errors="replace") in self.names for name in shown.get(_NAMES, ())):
            raise Forbidden("the client's certificate is for no name that may call", reason="CLIENT_NAME")
