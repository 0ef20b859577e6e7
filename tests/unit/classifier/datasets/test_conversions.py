"""Each form on rows shaped like the published ones."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest

from steersman.classifier.datasets import conversions, registry
from steersman.classifier.errors import DataError


def converted(name: str, downloads: Mapping[str, bytes]) -> list[list[dict[str, Any]]]:
    files = conversions.outputs(registry.named(name), downloads)
    assert list(files) == [output.path for output in registry.named(name).outputs]
    return [
        [json.loads(line) for line in gzip.decompress(content).decode().splitlines()]
        for content in files.values()
    ]


def lines(*rows: Mapping[str, Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def archive(members: Mapping[str, Any]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name, document in members.items():
            packed.writestr(name, json.dumps(document))
    return content.getvalue()


def answer(number: int, *, pred: str | None, src: str | None, **fields: Any) -> dict[str, Any]:
    return {
        "question_id": number,
        "question": f"question {number}?",
        "options": ["yes", "no", "N/A"],
        "answer": "A",
        "answer_index": 0,
        "category": "physics",
        "src": src,
        "pred": pred,
        "model_outputs": "The answer is (A).",
        **fields,
    }


def test_verbatim_files_stay_as_they_are() -> None:
    outputs = conversions.outputs(registry.named("arena_55k"), {"train.csv": b"as it is"})
    assert outputs == {"arena_55k/train.csv": b"as it is"}


def test_gsm8k_counts_the_steps_of_a_solution() -> None:
    row = {"question": "2 + 3, doubled?", "answer": "<<2+3=5>>5, <<5*2=10>>10\n#### 10"}
    assert converted("gsm8k_train", {"train.jsonl": lines(row, row)}) == [
        [
            {
                "id": f"gsm8k_train/{number}",
                "prompt": "2 + 3, doubled?",
                "solution": row["answer"],
                "steps": 2,
            }
            for number in range(2)
        ]
    ]


def test_arena_bench_takes_the_mean_rating_of_each_model() -> None:
    downloads = {
        "a/question.jsonl": lines(
            {"question_id": "q1", "category": "arena-bench-v1", "turns": ["Why?"]},
            {"question_id": "unrated", "category": "arena-bench-v1", "turns": ["What?"]},
        ),
        "a/model_judgment/m.jsonl": lines(
            {"question_id": "q1", "model": "org/m", "score": 10},
            {"question_id": "q1", "model": "org/m", "score": -1},
        ),
        "b/model_judgment/m.jsonl": lines({"question_id": "q1", "model": "m", "score": 7.0}),
        "b/model_judgment/n.jsonl": lines({"question_id": "q1", "model": "n", "score": 5}),
    }
    assert converted("arena_bench", downloads) == [
        [
            {
                "id": "arena-bench/q1",
                "prompt": "Why?",
                "source": "arena-bench-v1",
                "scores": {"m": 0.85, "n": 0.5},
            }
        ]
    ]


def test_mmlu_pro_keeps_the_questions_of_mmlu_apart() -> None:
    downloads = {
        "model_outputs_big-1.5_5shots.zip": archive(
            {
                "big.json": [answer(1, pred="A", src="stemez-Physics"), answer(2, pred="A", src=None)],
                "__MACOSX/._big.json": "left alone",
                "big_summary.json": {"total": {"accu": 1.0}},
            }
        ),
        "model_outputs_small_5shots.zip": archive(
            {
                "all.json": {
                    "accuracy": 0.5,
                    "physics": [answer(2, pred=None, src="ori_mmlu-physics"), answer(1, pred="B", src=None)],
                }
            }
        ),
    }
    others, from_mmlu = converted("mmlu_pro", downloads)
    assert others == [
        {
            "id": "mmlu_pro/1",
            "prompt": "question 1?",
            "options": ["yes", "no"],
            "answer": "A",
            "category": "physics",
            "source": "stemez-Physics",
            "scores": {"big-1.5": 1, "small": 0},
        }
    ]
    assert [(row["id"], row["source"], row["scores"]) for row in from_mmlu] == [
        ("mmlu_pro/2", "ori_mmlu-physics", {"big-1.5": 1, "small": 0})
    ]


def test_routerdc_names_a_row_by_its_file_and_place() -> None:
    downloads = {
        "mbpp.json": json.dumps(
            [
                {"question": "Sort.", "scores": {"org/m": 1, "other/n": 0.3}},
                {"question": "Add.", "scores": {"org/m": 0}},
            ]
        ).encode()
    }
    assert converted("routerdc_7b", downloads) == [
        [
            {"id": "routerdc/mbpp/0", "prompt": "Sort.", "source": "mbpp", "scores": {"m": 1.0, "n": 0.3}},
            {"id": "routerdc/mbpp/1", "prompt": "Add.", "source": "mbpp", "scores": {"m": 0.0}},
        ]
    ]


def test_routerbench_has_costs_and_the_text_of_the_prompt() -> None:
    table = (
        ",sample_id,prompt,eval_name,org/m,n,org/m|model_response,n|model_response,org/m|total_cost,n|total_cost,oracle\r\n"
        "7,arc-challenge.test.1,\"['Don\\'t?\\nAnswer:']\",arc-challenge,1.0,0.0,\"['A']\",\"['B']\",0.0005,2e-05,n\r\n"
    )
    assert converted("routerbench_subset", {"arc_challenge_test.csv": table.encode()}) == [
        [
            {
                "id": "routerbench/arc-challenge.test.1",
                "prompt": "Don't?\nAnswer:",
                "source": "arc_challenge",
                "split_routerdc": "test",
                "scores": {"n": 0.0, "org/m": 1.0},
                "cost": {"n": 2e-05, "org/m": 0.0005},
            }
        ]
    ]


def test_a_lone_surrogate_does_not_stop_a_conversion() -> None:
    content = b'[{"question": "odd \\ud800 text", "scores": {"m": 1}}]'
    ((row,),) = converted("routerdc_7b", {"mbpp.json": content})
    assert row["prompt"] == "odd ? text"


@pytest.mark.parametrize(
    ("name", "downloads", "message"),
    [
        pytest.param("gsm8k_train", {"a": b'{"query": "x"}\n'}, "no column 'question'", id="no column"),
        pytest.param("gsm8k_train", {"a": b""}, "no rows", id="empty"),
        pytest.param("gsm8k_train", {"a": b"<html>"}, "line 1: not JSON", id="a page in place of rows"),
        pytest.param("routerdc_7b", {"a": b"<html>"}, "JSONDecodeError", id="a page in place of JSON"),
        pytest.param("routerdc_7b", {"a": b'{"a": 1}'}, "TypeError", id="no list"),
        pytest.param("mmlu_pro", {"a.zip": b"PK"}, r"a\.zip is no whole zip archive", id="a cut archive"),
        pytest.param(
            "mmlu_pro",
            {"a.zip": archive({"a.json": [answer(1, pred="A", src=None)]})},
            "no archive says where mmlu_pro/1 comes from",
            id="no origin",
        ),
        pytest.param(
            "routerbench_subset", {"a.csv": b"prompt\nsecret words\n"}, "SyntaxError", id="no list of texts"
        ),
    ],
)
def test_what_is_not_of_the_known_form_is_told_without_its_rows(
    name: str, downloads: dict[str, bytes], message: str
) -> None:
    with pytest.raises(DataError, match=message) as told:
        converted(name, downloads)
    assert "secret" not in str(told.value)
