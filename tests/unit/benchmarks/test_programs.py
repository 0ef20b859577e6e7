"""What the product is held against: installed as locked, told of where it is missing, heard on the loopback alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from benchmarks import programs
from benchmarks.programs import NotAsked

from steersman.local.parts import CHECKOUT, MissingPart, Parts


def locked(name: str) -> dict[str, str]:
    """Versions by package, of an environment."""
    text = (CHECKOUT / "locks" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))


def test_a_peer_that_was_never_asked_for_is_told_of_with_the_way_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(NotAsked, match=r"make bench ARGS='--only routellm'"):
        programs.routellm(Parts(tmp_path), port=1, engine_port=2)


def test_a_peer_whose_installation_did_not_end_counts_as_missing(tmp_path: Path) -> None:
    python = tmp_path / ".local/bench-routellm/bin/python"
    python.parent.mkdir(parents=True)
    python.touch()
    with pytest.raises(NotAsked):
        programs.routellm(Parts(tmp_path), port=1, engine_port=2)


def test_a_peer_that_every_run_needs_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(MissingPart) as told:
        programs.litellm(Parts(tmp_path), port=1, engine_port=2, folder=tmp_path)
    assert not isinstance(told.value, NotAsked)


def test_routellm_asks_the_mock_engine_and_is_asked_on_the_loopback_interface(tmp_path: Path) -> None:
    stamp = tmp_path / ".local/bench-routellm/.ready"
    stamp.parent.mkdir(parents=True)
    stamp.touch()
    command = " ".join(programs.routellm(Parts(tmp_path), port=1234, engine_port=2345).argv)
    assert "host='127.0.0.1'" in command
    assert "--base-url http://127.0.0.1:2345/v1" in command
    assert command.endswith("--port 1234")


def test_peers_share_the_versions_of_what_both_are_made_of() -> None:
    one, other = locked("bench"), locked("bench-routellm")
    shared = one.keys() & other.keys()
    assert "litellm" in shared
    assert {name: one[name] for name in shared} == {name: other[name] for name in shared}
