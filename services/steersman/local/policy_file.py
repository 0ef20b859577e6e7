"""The tier catalogue and policies of the local system, as the YAML file that the router reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from steersman.local.engine import Model
from steersman.local.options import TIERS, Elsewhere

POLICY: Final = "auto"
THRESHOLD: Final = 0.7
PRICES: Final = {"weak": 0.02, "strong": 0.40}
"""US dollars for a million tokens: what hosted models of about 1 and about 70 billion parameters cost. Local engines
cost nothing; these make the comparison with an always-strong deployment."""
_CONTEXT_ELSEWHERE: Final = 32_768
"""Context window assumed of a server elsewhere, which does not tell it."""


@dataclass(frozen=True, slots=True)
class Local:
    """A tier whose engine runs on this machine.

    Attributes:
        model: What the engine serves.
        backend: Address of the backend in front of it.
    """

    model: Model
    backend: str


Tier = Local | Elsewhere


def write(path: Path, tiers: Mapping[str, Tier]) -> None:
    """Write the file."""
    content = {
        "tiers": {name: _tier(name, tiers[name]) for name in TIERS},
        "policies": {
            POLICY: {"tiers": list(TIERS), "threshold": THRESHOLD, "fallback": "proportional"},
        },
        "default_policy": POLICY,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def key_variable(tier: str) -> str:
    """The environment variable of the router that holds the key of a server elsewhere."""
    return f"{tier.upper()}_API_KEY"


def _tier(name: str, tier: Tier) -> dict[str, object]:
    price = PRICES[name]
    prices = {"input_usd_per_million_tokens": price, "output_usd_per_million_tokens": price}
    return {**(_here(tier) if isinstance(tier, Local) else _elsewhere(name, tier)), "price": prices}


def _here(tier: Local) -> dict[str, object]:
    return {
        "model": tier.model.name,
        "upstream": {"kind": "backend", "target": tier.backend},
        "capabilities": {
            "context_window": tier.model.context_window,
            "images": False,
            "tools": tier.model.tools,
            "json_schema": True,
        },
    }


def _elsewhere(name: str, server: Elsewhere) -> dict[str, object]:
    upstream: dict[str, object] = {"kind": "openai", "url": server.url}
    if server.api_key is not None:
        upstream["api_key_env"] = key_variable(name)
    return {
        "model": server.model,
        "upstream": upstream,
        "capabilities": {
            "context_window": _CONTEXT_ELSEWHERE,
            "images": True,
            "tools": True,
            "json_schema": True,
        },
    }
