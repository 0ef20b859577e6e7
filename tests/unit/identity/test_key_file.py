from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from steersman.identity import key_file
from steersman.identity.keys import Change, make

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ROW = {"id": "0a1b2c", "tenant": "search", "sha256": "0" * 64, "created": "2026-11-24T12:00:00Z"}


def written(*rows: dict[str, Any]) -> bytes:
    return yaml.safe_dump({"keys": list(rows)}).encode()


def test_keys_come_back_as_they_were() -> None:
    text, key = make("search", created=NOW, expires=NOW + timedelta(days=90), note="nightly reports, für Zoë")
    ended = replace(make("other", created=NOW)[1], revoked=NOW)
    ring = key_file.parse(key_file.render([key, ended]))
    assert ring.keys == (key, ended)
    assert ring.owner(text) == key


def test_a_file_without_keys_knows_nobody() -> None:
    assert key_file.parse(b"").keys == ()
    assert key_file.parse(key_file.render([])).keys == ()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (written({**ROW, "id": "A"}), r"keys\.0\.id"),
        (written({**ROW, "tenant": "Search Team"}), r"keys\.0\.tenant"),
        (written({**ROW, "sha256": "abc"}), r"keys\.0\.sha256"),
        (written({**ROW, "created": "2026-11-24T12:00:00"}), r"keys\.0\.created"),
        (written({**ROW, "secret": "x"}), r"keys\.0\.secret"),
        (written(ROW, ROW), "twice: 0a1b2c"),
        (b"keys: [", "not YAML in line"),
        (b"- a list", "file"),
        (b"\xff\xfe\x00", "not YAML"),
        (b"keys: !!int ''", "not YAML in line 1"),
        (b"keys:\n- {id: 0a1b, id: 0a1b}", "not YAML in line 2"),
        (b"keys: 2001-99-99", "not YAML in line 1"),
        (b"[" * 1_000, "not YAML"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(content: bytes, complaint: str) -> None:
    with pytest.raises(key_file.KeyFileError, match=complaint):
        key_file.parse(content)


def test_what_a_faulty_file_holds_is_not_told() -> None:
    with pytest.raises(key_file.KeyFileError) as told:
        key_file.parse(written({**ROW, "sha256": "a secret put in the wrong place"}))
    assert "wrong place" not in str(told.value)


def test_of_a_long_history_the_newest_is_kept() -> None:
    history = [Change(NOW, "ada", "create", f"{number:08x}") for number in range(600)]
    kept = key_file.parse(key_file.render([], history)).history
    assert kept == tuple(history[-500:])
