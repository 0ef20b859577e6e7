from __future__ import annotations

from pathlib import Path

import numpy as np

from steersman.classifier import battle_file, labels as adaptation_labels
from steersman.classifier.battle_file import BattleFile
from steersman.classifier.evaluation import rows as evaluation_rows
from steersman.classifier.evaluation.rows import Pair
from steersman.labelling import labels
from steersman.labelling.model import Winner
from unit.labelling.material import pair, write

WINNERS: tuple[Winner, ...] = ("strong", "weak", "tie")


def test_what_a_reference_says_goes_before_what_a_judge_says_and_same_answers_need_neither() -> None:
    checked, same, judged, unknown = (
        pair("a", "b", text="checked"),
        pair("same", " same\n", text="same"),
        pair("a", "b", text="judged"),
        pair("a", "b", text="unknown"),
    )
    made = labels.of_pairs(
        [checked, same, judged, unknown],
        winners={checked.query.id: "weak", judged.query.id: "weak"},
        scores={checked.query.id: {"strong": 1.0, "weak": 0.0}},
    )
    assert [(label.query.text, label.winner, label.source) for label in made] == [
        ("checked", "strong", "reference"),
        ("same", "tie", "same answers"),
        ("judged", "weak", "judge"),
    ]


def test_all_that_reads_labels_reads_them_and_understands_the_same(tmp_path: Path) -> None:
    pairs = [pair("a", "b", text=f"case {number}", subject="tides") for number in range(24)]
    winners = {each.query.id: WINNERS[number % 3] for number, each in enumerate(pairs)}
    made = labels.of_pairs(pairs, winners=winners, scores={})
    file = write(tmp_path / "labels.jsonl", *labels.rows(made))
    battles = write(tmp_path / "battles.jsonl", *labels.battles(made))

    gains = np.tile([1.0, -1.0, 0.0], 8)
    assert adaptation_labels.read(file, forbidden=frozenset()).gains.tolist() == gains.tolist()
    benchmark, _ = evaluation_rows.read(file, Pair("strong", "weak"), name="labels")
    assert (benchmark.strong - benchmark.weak).tolist() == gains.tolist()
    assert set(benchmark.columns["subject"]) == {"tides"}
    fought = battle_file.read(BattleFile(battles, strong=("strong",), weak=("weak",)), forbidden=frozenset())
    assert fought.gains.tolist() == gains.tolist()


def test_columns_that_would_mean_something_else_in_a_label_are_not_taken_over() -> None:
    asked = pair("a", "b", options=["x"], scores={"other": 1}, winner="nobody", language="de")
    (row,) = labels.rows(labels.of_pairs([asked], winners={asked.query.id: "strong"}, scores={}))
    assert row == {
        "language": "de",
        "prompt": asked.query.text,
        "winner": "strong",
        "scores": {"strong": 1.0, "weak": 0.0},
        "labelled_by": "judge",
    }
