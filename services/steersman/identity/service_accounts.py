"""Kubernetes ServiceAccounts as callers: what can be told from a token alone, and whose requests it makes. Pure.

Nothing here says that a token is genuine; that only the API server can. It is read so that what cannot be genuine
costs the API server nothing.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

_USER: Final = "system:serviceaccount:"
_LONGEST: Final = 8192
"""Characters of a token; those of Kubernetes have some 1,200."""
_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """Whose requests some ServiceAccounts make.

    Args:
        namespace: Name, or a pattern with `*`.
        name: The same of the ServiceAccount.
        tenant: The tenant; the namespace's name where empty.
    """

    namespace: str
    name: str
    tenant: str = ""

    def covers(self, account: Account) -> bool:
        """Whether the rule is about an account."""
        return fnmatchcase(account.namespace, self.namespace) and fnmatchcase(account.name, self.name)


@dataclass(frozen=True, slots=True)
class Account:
    """A ServiceAccount."""

    namespace: str
    name: str


def account_of(user: str) -> Account | None:
    """The ServiceAccount of a user's name, as the API server writes it; None for any other user."""
    namespace, _, name = user.removeprefix(_USER).partition(":")
    return Account(namespace, name) if user.startswith(_USER) and namespace and name else None


def tenant_of(account: Account, rules: Sequence[Rule]) -> str | None:
    """The tenant by the first rule that covers an account; None where there is none."""
    for rule in rules:
        if rule.covers(account):
            return rule.tenant or account.namespace
    return None


def is_token(text: str) -> bool:
    """Whether a bearer's text has the form of a token, a JWT, which no API key has."""
    return text.startswith("eyJ") and text.count(".") == _PARTS - 1 and len(text) <= _LONGEST


def expiry(token: str, *, audience: str) -> float | None:
    """When a token ends, in seconds since the epoch; None where it cannot be valid for the audience at any time."""
    claims = _claims(token)
    audiences, ends = claims.get("aud"), claims.get("exp")
    named = [audiences] if isinstance(audiences, str) else audiences
    if not isinstance(named, list) or audience not in named:
        return None
    return _moment(ends) if isinstance(ends, int | float) else None


def _moment(told: float) -> float | None:
    """None where it is none: JSON knows whole numbers of any length, and Python's reader infinity and NaN too."""
    try:
        moment = float(told)
    except OverflowError:
        return None
    return moment if math.isfinite(moment) else None


def _claims(token: str) -> dict[str, Any]:
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, LookupError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
