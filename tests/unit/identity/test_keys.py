from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from steersman.identity.keys import PREFIX, Keyring, make

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TEXT, KEY = make("search", created=NOW)
RING = Keyring.of([make("other", created=NOW)[1], KEY])


def test_a_key_is_known_by_its_text() -> None:
    assert RING.owner(TEXT) is KEY


def test_nothing_of_the_secret_is_kept() -> None:
    secret = TEXT.removeprefix(PREFIX).partition("-")[2]
    assert len(secret) == 64
    assert secret not in repr(RING)


def test_each_key_is_another() -> None:
    texts = {make("search", created=NOW)[0] for _ in range(100)}
    assert len(texts) == 100


NO_KEYS = {
    "nothing": "",
    "a dash": "-",
    "the prefix": PREFIX,
    "the id alone": f"{PREFIX}{KEY.id}",
    "no secret": f"{PREFIX}{KEY.id}-",
    "no id": f"{PREFIX}-{TEXT.rpartition('-')[2]}",
    "no prefix": TEXT.removeprefix(PREFIX),
    "one letter less": TEXT[:-1],
    "one letter more": TEXT + "0",
    "capitals": TEXT.upper(),
    "the hash": f"{PREFIX}{KEY.id}-{KEY.sha256}",
    "no text": "sk-steersman-\udcff-\udcff",
    "nobody's": f"{PREFIX}nobody-{'0' * 64}",
    "long": PREFIX + "x" * 100_000,
}


@pytest.mark.parametrize("text", NO_KEYS.values(), ids=NO_KEYS)
def test_nothing_else_is_a_key(text: str) -> None:
    assert RING.owner(text) is None


def test_a_key_works_until_it_expires() -> None:
    soon = NOW + timedelta(seconds=1)
    assert KEY.works_at(NOW)
    ended = replace(KEY, expires=soon)
    assert ended.works_at(NOW)
    assert not ended.works_at(soon)


def test_a_key_that_is_revoked_does_not_work_whatever_the_clock_of_who_revoked_it() -> None:
    assert not replace(KEY, revoked=NOW + timedelta(minutes=5)).works_at(NOW)
