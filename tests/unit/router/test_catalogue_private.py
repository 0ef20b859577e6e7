"""Which engines a policy file may name where hops are private."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import orjson
import pytest

from steersman.router.catalogue import CatalogueError, Refusal, parse
from steersman.runtime.plaintext import refusal
from steersman.runtime.settings import Tls


def private(*allowed: str) -> Refusal:
    return partial(refusal, settings=Tls(folder=Path("/certificates"), plaintext_to=allowed))


def asking(url: str) -> bytes:
    """A policy file with one tier, whose engine is there."""
    tier = {"model": "gpt-5", "upstream": {"kind": "openai", "url": url}}
    tiers = {"strong": {**tier, "capabilities": {"context_window": 128_000}}}
    return orjson.dumps({"tiers": tiers, "policies": {"all": {"tiers": ["strong"]}}, "default_policy": "all"})


def test_an_engine_in_the_clear_is_a_fault() -> None:
    said = "tiers.strong.upstream.url: with TLS on, api.example:8000 would be asked in the clear"
    with pytest.raises(CatalogueError, match=re.escape(said)):
        parse(asking("http://api.example:8000/v1"), environment={}, refused=private())


@pytest.mark.parametrize(
    "url", ["https://api.example/v1", "http://localhost:8000/v1", "http://allowed:8000/v1"]
)
def test_an_engine_by_tls_or_on_the_loopback_or_named_on_purpose_is_none(url: str) -> None:
    read = parse(asking(url), environment={}, refused=private("allowed:8000"))
    assert read.tiers["strong"].upstream.target == url
