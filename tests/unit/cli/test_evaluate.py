from __future__ import annotations

import gzip
import json
import re
import shutil
import tomllib
from collections.abc import Iterable
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from steersman.classifier.embeddings import DIRECTORY_VARIABLE
from steersman.cli.__main__ import main

pytestmark = pytest.mark.slow

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def _environment(embeddings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(embeddings))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Rows of two subjects and three scripts, answered by a big and a small model, with costs."""
    words = ("tides rise", "приливы растут", "潮水上涨")
    return write(
        tmp_path / "rows.jsonl",
        (
            {
                "prompt": f"{words[index % 3]} {index}",
                "scores": {"big": 1, "small": index % 2},
                "cost": {"big": 0.01, "small": 0.001},
                "source": f"subject <{index % 2}>",
            }
            for index in range(60)
        ),
    )


def write(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def evaluate(data: Path, trained: Path, *arguments: str | Path) -> int:
    common = ("evaluate", "--data", data, "--artefact", trained, "--resamples", "20")
    return main([str(argument) for argument in (*common, *arguments)])


def pair(strong: str = "big", weak: str = "small") -> tuple[str, ...]:
    return ("--strong", strong, "--weak", weak)


def test_a_sample_is_the_same_for_the_same_seed_and_is_told(
    file: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read = []
    for name in ("a", "b"):
        assert evaluate(file, trained, *pair(), "--sample", "30", "--json", tmp_path / name) == 0
        read.append(json.loads((tmp_path / name).read_text(encoding="utf-8"))["benchmarks"])
    assert read[0] == read[1]
    assert "A sample of 30 of its 60 prompts." in capsys.readouterr().out


def test_a_method_is_printed_beside_random_oracle_and_length(
    data: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(data, trained) == 0
    printed = capsys.readouterr().out
    for word in ("random", "oracle", "prompt length", "static_head", "mt_bench (n=7)", "APGR", "CPT(50)"):
        assert word in printed


def test_a_file_of_rows_is_measured_with_its_costs_and_its_groups(
    file: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.json"
    assert evaluate(file, trained, *pair(), "--group", "source", "--group", "language", "--json", out) == 0
    printed = capsys.readouterr().out
    assert "rows (n=60): big (1.000) over small (0.500)" in printed
    assert "$ for 1,000 queries: 10 always strong, 1 always weak" in printed
    for word in ("AIQ", "At share 0.3", "subject <0>", "Cyrillic", "Han", "Latin"):
        assert word in printed
    (found,) = json.loads(out.read_text(encoding="utf-8"))["benchmarks"]
    assert set(found["measures"]["static_head"]) == {
        "CPT(50)",
        "CPT(80)",
        "APGR",
        "APGR over length",
        "AIQ",
    }
    assert {outcome["group"] for outcome in found["outcomes"] if outcome["column"] == "language"} == {
        "Cyrillic",
        "Han",
        "Latin",
    }


def test_a_compressed_file_reads_the_same(
    file: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = file.with_suffix(".jsonl.gz")
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert evaluate(file, trained, *pair()) == 0
    plain = capsys.readouterr().out
    assert evaluate(packed, trained, *pair()) == 0
    assert capsys.readouterr().out == plain


def test_the_same_seed_gives_the_same_files_to_the_byte(file: Path, trained: Path, tmp_path: Path) -> None:
    def written(name: str, *options: str) -> dict[str, bytes]:
        out = tmp_path / name
        assert evaluate(file, trained, *pair(), "--json", out / "all.json", "--plots", out, *options) == 0
        return {path.name: path.read_bytes() for path in out.iterdir()}

    assert written("first", "--seed", "3") == written("second", "--seed", "3")


def test_another_seed_gives_other_intervals(file: Path, trained: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "3.json", tmp_path / "4.json"
    for path in (first, second):
        assert evaluate(file, trained, *pair(), "--seed", path.stem, "--json", path) == 0
    assert first.read_bytes() != second.read_bytes()


def test_plots_are_png_images_one_for_shares_and_one_for_costs(
    file: Path, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "plots"
    assert evaluate(file, trained, *pair(), "--plots", out) == 0
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "rows.png", "rows_cost.png"]
    for path in out.glob("*.png"):
        assert path.read_bytes().startswith(PNG)


class Page(HTMLParser):
    """All that a page refers to, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.references += [
            value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "data"}
        ]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_needs_nothing_beside_it(file: Path, trained: Path, tmp_path: Path) -> None:
    assert evaluate(file, trained, *pair(), "--plots", tmp_path, "--group", "source") == 0
    content = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(content)
    assert len(page.references) == 2
    assert all(reference.startswith("data:image/png;base64,") for reference in page.references)
    assert not page.tags & {"script", "link", "iframe", "object"}
    assert "url(" not in content
    assert "http" not in re.sub(r"base64,[^\"]*", "", content)


def test_the_report_tells_all_figures_and_where_they_came_from(
    file: Path, trained: Path, tmp_path: Path
) -> None:
    assert evaluate(file, trained, *pair(), "--plots", tmp_path, "--group", "source", "--seed", "7") == 0
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    manifest = json.loads((trained / "manifest.json").read_text(encoding="utf-8"))
    for word in (manifest["artefact_digest"], "rows.jsonl", "APGR", "AIQ", "subject <0>", "7, 20", "numpy"):
        assert word in text


def test_a_model_repository_names_the_newest_version_of_each_model(
    file: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = tmp_path / "repository"
    for version in ("2", "10"):
        shutil.copytree(trained, repository / "static_head" / version)
    shutil.copytree(trained, repository / "another" / "1")
    assert evaluate(file, repository, *pair()) == 0
    printed = capsys.readouterr().out
    assert "static_head/10)" in printed
    assert "another/1)" in printed
    assert "static_head/2)" not in printed


def test_points_of_operation_are_told_as_they_are_asked_for(
    file: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(file, trained, *pair(), "--share", "0.5", "--threshold", "0.7") == 0
    printed = capsys.readouterr().out
    assert "At share 0.5" in printed
    assert "At threshold 0.7" in printed
    assert "At share 0.3" not in printed


def test_other_pairs_of_models_come_after_the_benchmarks(
    data: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = tomllib.loads(
        resources.files("steersman.classifier.evaluation").joinpath("transfer_pairs.toml").read_text("utf-8")
    )["set"]
    models = dict.fromkeys((model for pair in pairs for model in (pair["strong"], pair["weak"])), 1)
    for each in pairs:
        path = data / "eval_only_extra" / each["file"]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress(json.dumps({"prompt": "a question", "scores": models}).encode()))
    assert evaluate(data, trained, "--transfer", "--json", tmp_path / "out.json") == 0
    printed = capsys.readouterr().out
    assert all(f"{each['name']} (n=1): {each['strong']}" in printed for each in pairs)
    files = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["files"]
    assert {f"eval_only_extra/{each['file']}" for each in pairs} <= set(files)


def test_without_matplotlib_plots_are_refused_before_anything_is_measured(
    file: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("steersman.cli.evaluate.find_spec", lambda _name: None)
    assert evaluate(file, trained, *pair(), "--plots", file.parent / "plots") == 1
    assert "install steersman[trainer]" in capsys.readouterr().err


def test_prices_stand_in_for_unknown_costs_and_say_so(
    data: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(data, trained, "--price-strong", "24.7", "--price-weak", "0.24") == 0
    printed = capsys.readouterr().out
    assert "estimated: a token for 4 characters" in printed
    assert "AIQ" in printed


def test_what_makes_figures_doubtful_is_printed_beside_them(
    tmp_path: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"prompt": f"prompt {index % 10}", "scores": {"big": 1, "small": 1}} for index in range(11)]
    assert (
        evaluate(write(tmp_path / "rows.jsonl", rows), trained, *pair(), "--plots", tmp_path / "plots") == 0
    )
    printed = capsys.readouterr().out
    assert "1 of 11 rows repeat" in printed
    assert "n = 10 is few" in printed
    assert "no gap to recover" in printed
    assert "nan" not in printed
    row = next(line for line in printed.splitlines() if "oracle" in line)
    assert row.split()[3::2] == ["-", "-", "-", "-"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param((), "--strong and --weak", id="no pair"),
        pytest.param(pair("bigg"), "did you mean 'big'?", id="unknown model"),
        pytest.param((*pair(), "--transfer"), "data folder", id="transfer of a file"),
        pytest.param((*pair(), "--group", "colour"), "no column 'colour'", id="unknown column"),
        pytest.param((*pair(), "--text", "question"), "line 1: no column 'question'", id="unknown text"),
        pytest.param((*pair(), "--price-weak", "1"), "both --price-strong", id="one price"),
    ],
)
def test_what_went_wrong_is_one_sentence(
    file: Path, trained: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert evaluate(file, trained, *arguments) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert not captured.out


def test_nothing_is_written_when_something_went_wrong(file: Path, trained: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    options = ("--json", tmp_path / "out.json", "--plots", tmp_path / "plots", "--group", "colour")
    assert evaluate(file, trained, *pair(), *options) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_an_artefact_that_is_not_there_is_told(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(file, tmp_path / "nowhere", *pair()) == 1
    assert "cannot read" in capsys.readouterr().err


def test_a_folder_without_artefacts_is_told(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(file, tmp_path, *pair()) == 1
    assert "holds no artefact" in capsys.readouterr().err


def test_a_folder_of_data_has_its_own_pairs(
    data: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(data, trained, *pair()) == 1
    assert "go with a file" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_told(
    file: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(file, trained, *pair(), "--json", file / "out.json") == 1
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("--share", "1.5"), id="share above 1"),
        pytest.param(("--threshold", "high"), id="threshold in words"),
        pytest.param(("--price-strong", "0"), id="for nothing"),
        pytest.param(("--seed", "-1"), id="negative seed"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_status_2(
    file: Path, trained: Path, arguments: tuple[str, str]
) -> None:
    with pytest.raises(SystemExit) as left:
        evaluate(file, trained, *pair(), *arguments)
    assert left.value.code == 2
