"""Rules by which certificates belong to tenants, and their file: YAML, which operators write and routers follow.

    certificates:
      - {uri: "spiffe://cluster.local/ns/search/sa/*", tenant: search}
      - {subject: "CN=nightly,O=Mail", tenant: mail}

The first rule that holds decides. A `*` in a URI stands for anything but a slash; a subject is compared as a whole, in
the form of RFC 4514.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints, model_validator

from steersman.identity.key_file import TENANT_PATTERN
from steersman.identity.shown import Peer
from steersman.runtime import told_file
from steersman.runtime.settings import Group

_ANYTHING: Final = "[^/]*"


@dataclass(frozen=True, slots=True)
class Rule:
    """Whose certificates are a tenant's.

    Args:
        tenant: The tenant.
        uri: URI that the certificate has, with `*` for anything but a slash; any where empty.
        subject: Subject that it has; any where empty.
    """

    tenant: str
    uri: str = ""
    subject: str = ""
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = (re.escape(part) for part in self.uri.split("*"))
        object.__setattr__(self, "_pattern", re.compile(_ANYTHING.join(parts)))

    def holds(self, peer: Peer) -> bool:
        """Whether it is about this peer."""
        by_uri = not self.uri or any(self._pattern.fullmatch(uri) for uri in peer.uris)
        return by_uri and (not self.subject or self.subject == peer.subject)


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules, in order."""

    rules: tuple[Rule, ...] = ()

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> Self:
        """These rules."""
        return cls(tuple(rules))

    def tenant(self, peer: Peer) -> str | None:
        """Whose a peer is; None where no rule is about it."""
        return next((rule.tenant for rule in self.rules if rule.holds(peer)), None)


class RulesFileError(ValueError):
    """The file cannot be used; says where and why."""


class _Rule(Group):
    tenant: Annotated[str, StringConstraints(pattern=TENANT_PATTERN)]
    uri: str = ""
    subject: str = ""

    @model_validator(mode="after")
    def _about_somebody(self) -> Self:
        if not (self.uri or self.subject):
            raise ValueError("give a uri or a subject: a rule about every certificate is none")
        return self


class _File(Group):
    certificates: Annotated[tuple[_Rule, ...], Field(default=())]


def parse(text: bytes) -> Rules:
    """Read a file.

    Raises:
        RulesFileError: It is not valid; every fault is named.
    """
    try:
        file = told_file.read(text, _File)
    except told_file.Faulty as error:
        raise RulesFileError(str(error)) from error
    return Rules.of(Rule(each.tenant, each.uri, each.subject) for each in file.certificates)
