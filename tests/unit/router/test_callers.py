from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from steersman.identity.keys import Keyring, make
from steersman.identity.shown import Shown
from steersman.router.callers import Anybody, KeyHolders
from steersman.router.model import Caller
from steersman.runtime.errors import Unauthenticated

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TEXT, KEY = make("search", created=NOW)
EXPIRED_TEXT, EXPIRED = make("search", created=NOW, expires=NOW)


@dataclass
class Door:
    """Holders of two keys, and why others were refused."""

    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.holders = KeyHolders(self.refused.append, lambda: NOW, Keyring.of([KEY, EXPIRED]))

    async def refusal(self, shown: str | None) -> str:
        with pytest.raises(Unauthenticated) as told:
            await self.holders.identify(Shown(shown))
        return told.value.message


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
async def test_the_tenant_of_a_caller_is_that_of_its_key(scheme: str) -> None:
    assert await Door().holders.identify(Shown(scheme + TEXT)) == Caller("search", KEY.id)


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (None, "missing"),
        ("", "missing"),
        pytest.param(TEXT, "missing", id="without its scheme"),
        ("Basic c2VhcmNoOng=", "missing"),
        ("Bearer ", "unknown"),
        ("Bearer sk-another-shop", "unknown"),
        pytest.param(f"Bearer {TEXT[:-1]}", "unknown", id="cut"),
        pytest.param(f"Bearer {EXPIRED_TEXT}", "expired", id="expired"),
    ],
)
async def test_whatever_is_wrong_is_counted_apart_and_told_alike(shown: str | None, why: str) -> None:
    door = Door()
    assert await door.refusal(shown) == await door.refusal("Bearer nothing of worth")
    assert door.refused[0] == why


async def test_a_key_that_is_revoked_is_of_no_use_from_then_on() -> None:
    door = Door()
    ended = Keyring.of(
        [type(KEY)(KEY.id, KEY.tenant, KEY.sha256, KEY.created, revoked=NOW - timedelta(seconds=1))]
    )
    await door.holders.take(ended)
    await door.refusal(f"Bearer {TEXT}")
    assert door.refused == ["revoked"]


async def test_where_callers_are_not_told_apart_whatever_they_show_is_the_one_tenant() -> None:
    assert await Anybody("default").identify(Shown("Bearer anything")) == Caller("default")
