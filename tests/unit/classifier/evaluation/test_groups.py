from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from steersman.classifier.errors import DataError
from steersman.classifier.evaluation.benchmark import Benchmark
from steersman.classifier.evaluation.groups import grouping, script


def benchmark(*prompts: str, **columns: tuple[str | float, ...]) -> Benchmark:
    count = len(prompts)
    return Benchmark(
        name="any", prompts=prompts, strong=np.ones(count), weak=np.zeros(count), columns=columns
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Where does the tide go?", "Latin"),
        ("Куда уходит вода?", "Cyrillic"),
        ("潮水去哪里了?", "Han"),
        ("물은 어디로 가나요?", "Hangul"),
        ("أين يذهب المد؟", "Arabic"),
        ("ज्वार कहाँ जाता है?", "Devanagari"),
        ("\U00017000", "Other"),
        ("2 + 2 = ?", "no letters"),
        ("", "no letters"),
        ("Explain Ω in this text", "Latin"),
    ],
)
def test_a_language_is_told_by_the_script_of_most_letters(text: str, expected: str) -> None:
    assert script(text) == expected


@given(st.text())
def test_any_text_has_a_script(text: str) -> None:
    assert script(text)


def test_groups_by_a_column_come_by_size() -> None:
    found = grouping(benchmark("a", "b", "c", topic=("tides", "trade", "trade")), "topic")
    assert found.labels == ("trade", "tides")
    assert found.group.tolist() == [1, 0, 0]
    assert found.sizes.tolist() == [2, 1]


def test_lengths_are_cut_into_quarters() -> None:
    found = grouping(benchmark(*("x" * length for length in range(1, 9))), "length")
    assert found.labels == (
        "1 to 2 characters",
        "3 to 4 characters",
        "5 to 6 characters",
        "7 to 8 characters",
    )
    assert found.sizes.tolist() == [2, 2, 2, 2]


def test_prompts_of_one_length_are_one_group() -> None:
    assert grouping(benchmark("aa", "bb", "cc"), "length").labels == ("2 to 2 characters",)


def test_many_numbers_are_cut_into_quarters_and_few_are_groups() -> None:
    prompts = tuple(f"prompt {index}" for index in range(40))
    many = grouping(benchmark(*prompts, steps=tuple(float(index) for index in range(40))), "steps")
    few = grouping(benchmark(*prompts, steps=tuple(float(index % 3) for index in range(40))), "steps")
    assert len(many.labels) == 4
    assert few.labels == ("0.0", "1.0", "2.0")


def test_a_column_of_the_data_goes_before_what_is_told_from_the_text() -> None:
    assert grouping(benchmark("hello", language=("Esperanto",)), "language").labels == ("Esperanto",)


def test_an_unknown_column_is_told_with_those_that_there_are() -> None:
    with pytest.raises(DataError, match="no column 'colour' to group by; it has language, length, topic"):
        grouping(benchmark("a", topic=("tides",)), "colour")
