"""What the user of the local system can choose, by environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from steersman.runtime import plaintext
from steersman.runtime.settings import Tls

TIERS: Final = ("weak", "strong")
"""Tiers of the local system in order of cost."""
_PRIVATE: Final = Tls(folder=Path())
"""Asks nobody in the clear."""


class BadOption(Exception):
    """A variable has a value that cannot be used; the message says which."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An OpenAI-compatible server that answers for a tier instead of an engine on this machine.

    Attributes:
        url: Its base, with the path that ends in `/v1`.
        model: The model to ask it for; empty for the first that it lists.
        api_key: Its key, None where it wants none.
    """

    url: str
    model: str
    api_key: str | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What the user chose.

    Attributes:
        tiny: Keep to the smallest model, in both tiers.
        elsewhere: Servers that answer for a tier, by the tier's name.
        tls: Whether the processes speak TLS.
    """

    tiny: bool = False
    elsewhere: Mapping[str, Elsewhere] = field(default_factory=dict)
    tls: bool = False


def read(environment: Mapping[str, str]) -> Options:
    """Read what the user chose from environment variables."""
    engines = environment.get("ENGINES", "")
    if engines not in {"", "tiny"}:
        raise BadOption(f"ENGINES is {engines!r}: the only choice is tiny")
    tls = environment.get("TLS", "")
    if tls not in {"", "0", "1"}:
        raise BadOption(f"TLS is {tls!r}: the only choice is 1")
    named = {tier: _elsewhere(tier, environment, tls=tls == "1") for tier in TIERS}
    return Options(
        tiny=engines == "tiny",
        elsewhere={tier: server for tier, server in named.items() if server is not None},
        tls=tls == "1",
    )


def _elsewhere(tier: str, environment: Mapping[str, str], *, tls: bool) -> Elsewhere | None:
    prefix = tier.upper()
    url = environment.get(f"{prefix}_URL", "").rstrip("/")
    if not url:
        return None
    if not url.startswith(("http://", "https://")):
        raise BadOption(f"{prefix}_URL is {url!r}: it must begin with http:// or https://")
    if tls and plaintext.refusal(url, _PRIVATE) is not None:
        raise BadOption(
            f"{prefix}_URL is {url!r}: with TLS=1 it must begin with https://, or be on this machine"
        )
    return Elsewhere(
        url=url if url.endswith("/v1") else f"{url}/v1",
        model=environment.get(f"{prefix}_MODEL", ""),
        api_key=environment.get(f"{prefix}_API_KEY") or None,
    )
