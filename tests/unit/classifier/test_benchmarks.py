from __future__ import annotations

from pathlib import Path

import pytest

from steersman.classifier import benchmarks
from steersman.classifier.errors import DataError


def test_contaminated_prompts_are_left_out(data: Path) -> None:
    sizes = {benchmark.name: len(benchmark.prompts) for benchmark in benchmarks.read_all(data)}
    assert sizes == {"mt_bench": 7, "mmlu": 11, "gsm8k": 11}


def test_mt_bench_is_routed_by_the_first_turn_and_scored_by_the_mean_of_both(data: Path) -> None:
    mt_bench, *_ = benchmarks.read_all(data)
    assert mt_bench.prompts[0] == "mt question 102?"
    assert mt_bench.strong[0] == 9.5
    assert mt_bench.weak[0] == 6.5


def test_answers_are_right_or_wrong(data: Path) -> None:
    _, mmlu, _ = benchmarks.read_all(data)
    assert set(mmlu.strong.tolist()) == {1.0}
    assert mmlu.weak.tolist()[:3] == [0.0, 0.0, 1.0]


def test_a_question_can_be_grouped_by_its_subject(data: Path) -> None:
    _, mmlu, gsm8k = benchmarks.read_all(data)
    assert set(mmlu.columns["subject"]) == {"tides"}
    assert set(gsm8k.columns["source"]) == {"gsm8k"}


def test_every_file_that_is_read_is_hashed(data: Path) -> None:
    names = set(benchmarks.sha256_of_files(data))
    assert "routellm_eval/mmlu/responses/mmlu_tides.csv" in names
    assert "routellm_eval/mt_bench/judgements.jsonl" in names


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        pytest.param("gsm8k/gsm8k_responses.csv", "prompt,other\n", "no column", id="missing column"),
        pytest.param("gsm8k/gsm8k_responses.csv", "", "no column 'prompt'", id="empty file"),
        pytest.param("mt_bench/judgements.jsonl", '{"model": "m"}\n', "line 1: no column", id="missing key"),
        pytest.param("mt_bench/question.jsonl", "{", "line 1: not JSON", id="broken line"),
    ],
)
def test_malformed_files_are_told_in_a_sentence(data: Path, file: str, content: str, message: str) -> None:
    (data / benchmarks.FOLDER / file).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        benchmarks.read_all(data)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="routellm_eval"):
        benchmarks.read_all(tmp_path)
