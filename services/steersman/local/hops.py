"""How the processes of a local system speak with each other: in the clear, or by TLS with certificates of its own.

The authority is made when the system is planned, and its key is kept nowhere: what it has issued is all that there is.
Engines and what is between Triton and its Envoy stay in the clear, on the loopback, and Redis' is a socket in a folder
that is the user's alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

import orjson

from steersman.local.authority import LOCAL, Authority
from steersman.local.envoy import Shown

_VALID: Final = timedelta(days=30)
_CALLER: Final = "caller"


@dataclass(frozen=True, slots=True)
class Hops:
    """See above.

    Args:
        folder: Has a folder of certificates for each process; None in the clear.
    """

    folder: Path | None = None

    @classmethod
    def private(cls, folder: Path, names: Iterable[str]) -> Self:
        """By TLS, with a certificate for each process, and one for those who call.

        Args:
            folder: Where they are written; the user's alone.
            names: The processes.
        """
        folder.mkdir(mode=0o700, parents=True)
        authority = Authority("Steersman's local system")
        for name in (*names, _CALLER):
            issued = authority.issue(name, "localhost", LOCAL, common_name=name, valid=_VALID)
            issued.write(folder / name)
        return cls(folder)

    @property
    def http(self) -> str:
        """The scheme of URLs."""
        return "http" if self.folder is None else "https"

    @property
    def ca_file(self) -> Path | None:
        """What callers trust; None in the clear."""
        return None if self.folder is None else self.folder / _CALLER / "ca.crt"

    def certificates(self, name: str) -> Path | None:
        """Folder of a process' certificates; None in the clear."""
        return None if self.folder is None else self.folder / name

    def settings(self, name: str, *, callers: Sequence[str] = ()) -> Mapping[str, str]:
        """Environment of a process of ours.

        Args:
            name: The process.
            callers: Who may call it, and has to show a certificate; anybody where empty.
        """
        if self.folder is None:
            return {}
        return {
            "STEERSMAN_TLS__FOLDER": str(self.folder / name),
            "STEERSMAN_TLS__VERIFY_CLIENTS": str(bool(callers)).lower(),
            "STEERSMAN_TLS__CLIENT_NAMES": orjson.dumps(callers).decode(),
        }

    def shown(self, name: str, *, caller: str) -> Shown | None:
        """Certificates of the Envoy in front of a process that has no TLS of its own; None in the clear.

        Args:
            name: The process.
            caller: Who may call it. Its metrics are for those who call the system.
        """
        return None if self.folder is None else Shown(self.folder / name, caller, _CALLER)


PLAIN: Final = Hops()
