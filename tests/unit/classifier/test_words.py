from __future__ import annotations

import re

from hypothesis import given, strategies as st

from steersman.classifier import words


def spelled(*texts: str) -> list[str]:
    found = words.find([text.encode() for text in texts])
    return [found.spelling(index) for index in range(len(found.starts))]


def test_words_are_runs_of_letters_and_digits() -> None:
    assert spelled("It's 3.14, \\frac{a}{b}!") == ["It", "s", "3", "14", "frac", "a", "b"]


def test_words_do_not_run_from_one_text_into_the_next() -> None:
    assert spelled("one", "two", "", "three four") == ["one", "two", "three", "four"]
    assert words.find([b"one", b"two", b"", b"three four"]).first.tolist() == [0, 1, 2, 2, 4]


def test_a_long_run_is_cut_into_pieces() -> None:
    assert spelled("x" * 70) == ["x" * 32, "x" * 32, "x" * 6]


def test_equal_words_have_equal_hashes_wherever_they_stand() -> None:
    hashes = words.find([b"tide table", b"a table, a tide"]).hashes
    assert hashes[0] == hashes[5]
    assert hashes[1] == hashes[3]
    assert len(set(hashes.tolist())) == 3


@given(st.lists(st.text(max_size=40), max_size=6))
def test_the_words_are_those_that_a_regular_expression_finds(texts: list[str]) -> None:
    encoded = [text.encode(errors="replace") for text in texts]
    expected = [
        run[start : start + words.MAX_WORD]
        for text in encoded
        for run in re.findall(rb"[0-9A-Za-z\x80-\xff]+", text)
        for start in range(0, len(run), words.MAX_WORD)
    ]
    found = words.find(encoded)
    ends = zip(found.starts, found.ends, strict=True)
    assert [found.joined[start:end] for start, end in ends] == expected
    assert found.first[-1] == len(expected)


@given(st.lists(st.text("ab", min_size=1, max_size=8), min_size=2, max_size=20, unique=True))
def test_different_words_have_different_hashes(distinct: list[str]) -> None:
    hashes = words.find([word.encode() for word in distinct]).hashes
    assert len(set(hashes.tolist())) == len(distinct)
