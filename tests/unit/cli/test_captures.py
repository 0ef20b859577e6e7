from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from steersman.captures import key_file
from steersman.captures.seals import Seals
from steersman.cli import captures
from steersman.cli.__main__ import main


def rotate(path: Path) -> int:
    return main(["captures", "rotate", "--key-file", str(path)])


def test_keys_are_for_their_owner_alone_and_older_ones_stay(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    assert rotate(path) == 0
    (first,) = key_file.parse(path.read_bytes())
    assert rotate(path) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert key_file.parse(path.read_bytes())[1:] == (first,)


def test_keys_are_for_their_owner_alone_after_a_run_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    left = tmp_path / ".keys.yaml.partial"
    left.touch()
    left.chmod(0o644)
    assert rotate(path) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert not left.exists()


def test_no_key_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "keys.yaml"
    rotate(path)
    said = "".join(capsys.readouterr())
    (key,) = key_file.parse(path.read_bytes())
    assert key.id in said
    assert all(part not in said for part in path.read_text().split("key: ")[1:])


def test_a_file_with_a_fault_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text("keys: [hush")
    assert rotate(path) == 1
    assert path.read_text() == "keys: [hush"
    assert "hush" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["list", "--redis", "redis://127.0.0.1:9/0"], "Redis cannot be asked", id="nobody"),
        pytest.param(["list", "--redis", "http://x"], "--redis is no URL of Redis", id="no Redis"),
        pytest.param(["list", "--tls-folder", "/nowhere"], "No such file", id="no certificates"),
        pytest.param(["export", "--key-file", "/nowhere/keys.yaml"], "cannot read", id="no keys"),
    ],
)
def test_what_is_wrong_is_told(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["captures", *arguments]) == 1
    assert told in capsys.readouterr().err


class Interrupted:
    """A store that is read until somebody presses a key."""

    async def prompts(self, **_: object) -> AsyncIterator[None]:
        raise asyncio.CancelledError
        yield


def test_an_export_that_is_interrupted_leaves_nothing_behind(tmp_path: Path) -> None:
    keys = tmp_path / "keys.yaml"
    rotate(keys)
    seals = Seals(key_file.parse(keys.read_bytes()))
    options = argparse.Namespace(out=tmp_path / "prompts.jsonl", tenant=None, caller=None)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(captures._written(Interrupted(), seals, options))  # type: ignore[arg-type]  # as far as it is used
    assert list(tmp_path.iterdir()) == [keys]
