from __future__ import annotations

from hypothesis import given, strategies as st

from steersman.classifier import words


def spelled(text: str) -> list[str]:
    return [word.decode() for word in words.find(text.encode())]


def test_words_are_runs_of_letters_and_digits() -> None:
    assert spelled("It's 3.14, \\frac{a}{b}!") == ["It", "s", "3", "14", "frac", "a", "b"]


def test_what_is_beyond_ascii_belongs_to_words() -> None:
    assert spelled("où ça 漢字, naïve") == ["où", "ça", "漢字", "naïve"]


def test_a_long_run_is_cut_into_pieces() -> None:
    assert spelled("x" * 70) == ["x" * 32, "x" * 32, "x" * 6]


@given(st.binary(max_size=200))
def test_nothing_is_lost_but_what_separates(text: bytes) -> None:
    kept = bytes(byte for byte in text if byte >= 0x80 or chr(byte).isalnum())
    found = words.find(text)
    assert b"".join(found) == kept
    assert all(0 < len(word) <= words.MAX_WORD for word in found)
