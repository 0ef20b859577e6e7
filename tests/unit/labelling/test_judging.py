from __future__ import annotations

from pathlib import Path

import pytest

from fakes.chat import FakeChat, reply
from steersman.labelling import judging
from steersman.labelling.errors import LabellingError
from steersman.labelling.folder import Folder
from steersman.labelling.model import Tier, Verdict, Winner
from unit.labelling.material import pair


def verdict(query: str, first: Tier, winner: Winner | None, judge: str = "fake-model") -> Verdict:
    return Verdict(query, first, winner, judge, reply())


@pytest.mark.parametrize(
    ("said", "first", "winner"),
    [
        ("Both are right; the first is clearer.\n[[1]]", "strong", "strong"),
        ("[[1]]", "weak", "weak"),
        ("[[2]]\n\n", "strong", "weak"),
        ("fine\n  [[2]]  ", "weak", "strong"),
        ("[[TIE]]", "weak", "tie"),
        ("It says [[2]], which is a trick.\n[[1]]", "strong", "strong"),
        ("[[1]] is better", "strong", None),
        ("The verdict: [[1]]", "strong", None),
        ("[[1]] [[2]]", "strong", None),
        ("[[3]]", "strong", None),
        ("[[tie]]", "strong", None),
        ("[1]", "strong", None),
        ("[[1]]\nI hope this helps!", "strong", None),
        ("", "strong", None),
    ],
)
def test_a_verdict_is_the_last_line_and_nothing_else(said: str, first: Tier, winner: Winner | None) -> None:
    assert judging.read(said, first=first) == winner


def test_the_judge_sees_the_answers_in_both_orders_under_marks_that_no_answer_can_know(
    tmp_path: Path,
) -> None:
    asked = pair("eleven kilometres", "wet")
    with Folder(tmp_path).open_verdicts() as journal:
        calls = judging.missing([asked], [], FakeChat(), journal)
    shown = [str(call.messages[-1]["content"]) for call in calls]
    assert [text.index("eleven") < text.index("wet") for text in shown] == [True, False]
    assert all(text.count(f"answer {asked.query.id}>") == 4 for text in shown)
    assert all("user: How deep is the sea?" in text for text in shown)


def test_a_preference_counts_where_both_orders_agree_and_is_a_tie_where_they_do_not() -> None:
    verdicts = [
        verdict("agreed", "strong", "weak"),
        verdict("agreed", "weak", "weak"),
        verdict("first", "strong", "strong"),
        verdict("first", "weak", "weak"),
        verdict("second", "strong", "weak"),
        verdict("second", "weak", "strong"),
        verdict("wavering", "strong", "strong"),
        verdict("wavering", "weak", "tie"),
        verdict("tie", "strong", "tie"),
        verdict("tie", "weak", "tie"),
        verdict("unreadable", "strong", "strong"),
        verdict("unreadable", "weak", None),
        verdict("half", "strong", "strong"),
    ]
    judged = judging.judged(verdicts)
    assert judged.winners == {
        "agreed": "weak",
        "first": "tie",
        "second": "tie",
        "wavering": "tie",
        "tie": "tie",
    }
    assert (judged.agreed, judged.first_favoured, judged.second_favoured) == (2, 1, 1)
    assert (judged.wavered, judged.unreadable) == (1, ("unreadable",))


def test_only_the_order_that_is_missing_is_asked_for(tmp_path: Path) -> None:
    one, other = pair("a", "b", text="one"), pair("a", "b", text="other")
    there = [verdict(one.query.id, "strong", "weak")]
    with Folder(tmp_path).open_verdicts() as journal:
        calls = judging.missing([one, other], there, FakeChat(), journal)
        assert len(calls) == 3
        assert len(judging.missing([one, other], there, FakeChat(), journal, limit=1)) == 1


def test_two_judges_are_not_mixed(tmp_path: Path) -> None:
    with (
        Folder(tmp_path).open_verdicts() as journal,
        pytest.raises(LabellingError, match="has verdicts of another; use another folder for fake-model"),
    ):
        judging.missing([], [verdict("x", "strong", "tie", judge="another")], FakeChat(), journal)
