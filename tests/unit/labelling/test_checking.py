from __future__ import annotations

from typing import Any

import pytest

from steersman.classifier.errors import DataError
from steersman.labelling import checking
from unit.labelling.material import pair


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("B", "B"),
        ("b", "B"),
        ("(C)", "C"),
        ("**D**", "D"),
        ("B) Paris", "B"),
        ("B. Paris, since A is a river", "B"),
        ("Answer: C", "C"),
        ("I considered A.\nThe answer is (B).", "B"),
        ("The correct answer is option D", "D"),
        ("The answer to this question is C because A is not", "C"),
        ("First I thought the answer is A. Final answer: B", "B"),
        ("$\\boxed{E}$", "E"),
        ("Answer:\nC", "C"),
        ("So C is correct.", "C"),
        ("A river runs through it", None),
        ("none of them", None),
        ("", None),
    ],
)
def test_the_letter_of_a_choice_is_found_where_it_is_said(answer: str, said: str | None) -> None:
    assert checking.letter(answer) == said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("42", "42"),
        ("It makes $1,234.50 in all.", "1234.5"),
        ("3 + 4 = 7", "7"),
        ("#### 18", "18"),
        ("The answer is 42 because 6 times 7 makes it.", "42"),
        ("The answer to 3 + 4 is 7", "7"),
        ("\\boxed{-5}", "-5"),
        ("He has 5-3 apples", "3"),
        ("12.0 apples", "12"),
        ("100", "100"),
        ("1,2 and 3", "3"),
        ("many", None),
        ("", None),
    ],
)
def test_the_final_number_is_found_and_written_one_way(answer: str, said: str | None) -> None:
    assert checking.number(answer) == said


@pytest.mark.parametrize(
    ("by", "reference", "strong", "weak", "scores"),
    [
        pytest.param("exact", "Paris", " paris. ", "Paris, France", (1, 0), id="exact"),
        pytest.param("contains", "12", "It is 12, I think", "It is 112", (1, 0), id="contains"),
        pytest.param("contains", "new york", "In New\nYork.", "York", (1, 0), id="contains words"),
        pytest.param("letter", "B", "B) red", "I do not know", (1, 0), id="letter"),
        pytest.param("letter", 2, "Answer: C", "Answer: B", (1, 0), id="letter by index"),
        pytest.param("number", "so 6 * 3 = 18\n#### 18", "18.00", "The answer is 19", (1, 0), id="number"),
        pytest.param("number", 1000, "1,000", "1.000", (1, 0), id="number by value"),
    ],
)
def test_answers_are_right_or_wrong(
    by: str, reference: Any, strong: str, weak: str, scores: tuple[float, float]
) -> None:
    asked = pair(strong, weak, answer=reference)
    found = checking.checked([asked], by=by, reference="answer")
    assert found.scores == {asked.query.id: {"strong": scores[0], "weak": scores[1]}}


def test_an_answer_that_says_nothing_is_wrong_and_counted() -> None:
    asked = pair("I cannot tell", "Answer: B", answer="A")
    found = checking.checked([asked], by="letter", reference="answer")
    assert found.silent == {"strong": 1, "weak": 0}
    assert found.scores[asked.query.id] == {"strong": 0, "weak": 0}


def test_queries_without_a_reference_are_left_out_and_counted() -> None:
    found = checking.checked([pair("a", "b"), pair("a", "b", answer=None)], by="exact", reference="answer")
    assert (dict(found.scores), found.without_reference) == ({}, 2)


@pytest.mark.parametrize(
    ("by", "reference"), [("letter", "none of them"), ("number", "many"), ("exact", " ")]
)
def test_a_reference_that_is_none_of_its_kind_is_refused(by: str, reference: str) -> None:
    with pytest.raises(DataError, match=f"'answer' holds nothing to compare by {by}"):
        checking.checked([pair("a", "b", answer=reference)], by=by, reference="answer")
