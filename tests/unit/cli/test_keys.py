from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from steersman.cli.__main__ import main
from steersman.identity import key_file
from steersman.identity.keys import ApiKey, Keyring


@dataclass
class Command:
    """`steersman keys` on one file."""

    path: Path
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str, status: int = 0) -> str:
        """What is printed on standard output, or the complaint where it fails."""
        action, *rest = arguments
        assert main(["keys", action, "--file", str(self.path), *rest]) == status
        printed = self.capsys.readouterr()
        return (printed.err if status else printed.out).strip()

    @property
    def ring(self) -> Keyring:
        return key_file.parse(self.path.read_bytes())

    def key(self, text: str) -> ApiKey:
        found = self.ring.owner(text)
        assert found is not None
        return found

    def works(self, text: str, *, later: timedelta = timedelta()) -> bool:
        return self.key(text).works_at(datetime.now(UTC) + later)


@pytest.fixture
def keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path / "keys.yaml", capsys)


def test_a_key_is_printed_alone_and_only_its_hash_is_kept(keys: Command) -> None:
    text = keys("create", "--tenant", "search", "--note", "nightly")
    assert (keys.key(text).tenant, keys.key(text).note) == ("search", "nightly")
    assert text.rpartition("-")[2] not in keys.path.read_text(encoding="utf-8")


def test_further_keys_leave_the_others_alone(keys: Command) -> None:
    texts = [keys("create", "--tenant", tenant) for tenant in ("search", "search", "mail")]
    assert [keys.key(text).tenant for text in texts] == ["search", "search", "mail"]


def test_a_key_ends_when_it_was_told_to(keys: Command) -> None:
    text = keys("create", "--tenant", "search", "--expires-in", "12h")
    assert keys.works(text, later=timedelta(hours=11))
    assert not keys.works(text, later=timedelta(hours=12, seconds=1))


def test_a_revoked_key_is_of_no_use_and_still_listed(keys: Command) -> None:
    text = keys("create", "--tenant", "search")
    keys("revoke", keys.key(text).id)
    assert not keys.works(text, later=timedelta(seconds=1))
    assert "revoked" in keys("list")


def test_rotation_gives_the_old_key_its_grace(keys: Command) -> None:
    old = keys("create", "--tenant", "search", "--note", "nightly")
    new = keys("rotate", keys.key(old).id, "--grace", "2h")
    assert (keys.key(new).tenant, keys.key(new).note) == ("search", "nightly")
    assert keys.works(old, later=timedelta(hours=1))
    assert not keys.works(old, later=timedelta(hours=2, seconds=1))
    assert keys.works(new, later=timedelta(days=1000))


def test_rotation_does_not_lengthen_a_life(keys: Command) -> None:
    old = keys("create", "--tenant", "search", "--expires-in", "1h")
    keys("rotate", keys.key(old).id, "--grace", "7d")
    assert not keys.works(old, later=timedelta(hours=1, seconds=1))


def test_a_list_shows_no_hash(keys: Command) -> None:
    text = keys("create", "--tenant", "search")
    assert keys.key(text).sha256[:8] not in keys("list")


@pytest.mark.parametrize("action", ["rotate", "revoke"])
def test_a_key_that_has_ended_is_neither_rotated_nor_revoked_again(keys: Command, action: str) -> None:
    identifier = keys.key(keys("create", "--tenant", "search")).id
    keys("revoke", identifier)
    assert identifier in keys(action, identifier, status=1)


@pytest.mark.parametrize("action", ["rotate", "revoke"])
def test_a_key_that_there_is_not_is_told_of(keys: Command, action: str) -> None:
    keys("create", "--tenant", "search")
    assert "there is no key 0000" in keys(action, "0000", status=1)


def test_a_file_that_cannot_be_used_is_left_as_it_is(keys: Command) -> None:
    keys.path.write_text("keys: 7\n", encoding="utf-8")
    assert "keys" in keys("create", "--tenant", "search", status=1)
    assert keys.path.read_text(encoding="utf-8") == "keys: 7\n"


def test_a_folder_that_there_is_not_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "cannot write" in Command(tmp_path / "no" / "keys.yaml", capsys)(
        "create", "--tenant", "x", status=1
    )


@pytest.mark.parametrize(
    "arguments", [("--tenant", "Search Team"), ("--tenant", "search", "--expires-in", "90"), ()]
)
def test_what_it_does_not_understand_leaves_no_file(keys: Command, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        keys("create", *arguments)
    assert not keys.path.exists()


def test_who_did_what_to_which_key_is_kept_with_the_keys(
    keys: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = keys.key(keys("create", "--tenant", "search", "--by", "ada"))
    second = keys.key(keys("rotate", first.id, "--by", "grace [ops]"))
    keys("revoke", second.id)
    history = keys.ring.history
    assert [(each.by, each.action, each.id) for each in history[:2]] == [
        ("ada", "create", first.id),
        ("grace [ops]", "rotate", second.id),
    ]
    assert (history[2].action, history[2].id) == ("revoke", second.id)
    assert "@" in history[2].by
    monkeypatch.setenv("COLUMNS", "160")
    printed = keys("history")
    assert all(word in printed for word in ("ada", "grace [ops]", "revoke", second.id))
