"""Whose a captured prompt is: what its seal is bound to, and what it is found and deleted by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

_MARK_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class Place:
    """Where a captured prompt belongs.

    Args:
        tenant: Whose request it was.
        mark: Stands for the caller; see `mark_of`.
        decision_id: The request's decision.
    """

    tenant: str
    mark: str
    decision_id: str

    @property
    def bound(self) -> bytes:
        """What a seal is bound to. NUL cannot occur in any part, so that no two places give the same bytes."""
        return f"{self.tenant}\0{self.mark}\0{self.decision_id}".encode()


def mark_of(caller: str) -> str:
    """What stands for a caller: a hash, since the name of a ServiceAccount or a person may be in its id."""
    return hashlib.sha256(caller.encode()).hexdigest()[:_MARK_DIGITS]
