from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest

from steersman.captures import key_file
from steersman.captures.key_file import KeyFileError
from steersman.captures.seals import SealKey

NOW = datetime(2026, 11, 30, tzinfo=UTC)
GOOD = base64.b64encode(b"k" * 32).decode()


def test_the_newest_key_stands_first_and_those_before_stay() -> None:
    first, second = SealKey.make(), SealKey.make()
    text = key_file.with_new(key_file.with_new(None, first, created=NOW), second, created=NOW)
    assert key_file.parse(text) == (second, first)


def test_a_file_that_was_written_by_hand_will_do() -> None:
    assert key_file.parse(f"keys: [{{id: mine, key: {GOOD}}}]".encode()) == (SealKey("mine", b"k" * 32),)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "keys: Field required", id="empty"),
        pytest.param("keys: []", "at least 1", id="no keys"),
        pytest.param("keys: [{id: hush, key: aHVzaA==}]", "must have 32 bytes", id="short"),
        pytest.param("keys: [{id: a, key: '%hush%'}]", "Base64", id="no Base64"),
        pytest.param(f"keys: [{{id: a, key: {GOOD}}}, {{id: a, key: {GOOD}}}]", "twice: a", id="twice"),
        pytest.param(f"keys: [{{id: 'a b', key: {GOOD}}}]", "keys.0.id", id="no id"),
        pytest.param(f"keys: [{{id: a, key: {GOOD}, hush: 1}}]", "Extra inputs", id="unknown field"),
        pytest.param("keys: [hush", "not YAML in line", id="no YAML"),
    ],
)
def test_a_fault_is_named_and_nothing_that_is_secret(text: str, told: str) -> None:
    with pytest.raises(KeyFileError, match=told) as error:
        key_file.parse(text.encode())
    assert GOOD not in str(error.value)
    assert "aHVzaA" not in str(error.value)
    assert "%hush%" not in str(error.value)
