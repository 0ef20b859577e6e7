"""`steersman label` with real engines as both tiers and as the judge: what is paid for once is never paid for again."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures.callers import until
from fixtures.real_parts import Engine, StartEngine
from steersman.local.parts import Parts

QUESTIONS = ("Name a colour.", "Name an animal.", "What is two and two?")
VERDICT = json.dumps({"grammar": 'root ::= "[[1]]" | "[[2]]" | "[[TIE]]"'})
"""What llama.cpp lets its model say; left to itself, one so small writes no verdict."""


@dataclass(frozen=True)
class Ended:
    """What a command came to."""

    status: int
    out: str
    errors: str


async def start(services: Path, *arguments: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "steersman.cli", "label", *map(str, arguments)),
        env={**os.environ, "PYTHONPATH": str(services), "COLUMNS": "160", "STRONG_API_KEY": "sk-secret"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> Ended:
    async with asyncio.timeout(300):
        out, errors = await process.communicate()
    return Ended(await process.wait(), out.decode(), errors.decode())


async def label(services: Path, *arguments: object) -> str:
    """What a command printed that must do."""
    found = await ended(await start(services, *arguments))
    assert found.status == 0, found.errors
    assert "sk-secret" not in found.out + found.errors
    return found.out


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def model(role: str, engine: Engine, *, max_tokens: int, price: str) -> tuple[str, ...]:
    options = {"url": engine.url, "model": engine.model, "price": price, "max-tokens": str(max_tokens)}
    return tuple(word for name, value in options.items() for word in (f"--{role}-{name}", value))


@pytest.fixture
async def strong(start_engine: StartEngine) -> Engine:
    return await start_engine(name="strong")


@pytest.fixture
async def folder(parts: Parts, tmp_path: Path) -> Path:
    traffic = tmp_path / "traffic.jsonl"
    traffic.write_text("".join(json.dumps({"prompt": each}) + "\n" for each in QUESTIONS), encoding="utf-8")
    await label(parts.services, "sample", tmp_path / "labels", "--prompts", traffic, "--count", 3)
    return tmp_path / "labels"


async def test_both_tiers_answer_and_a_judge_compares_in_both_orders_and_nothing_is_asked_twice(
    parts: Parts, engine: Engine, strong: Engine, folder: Path
) -> None:
    tiers = (
        *model("strong", strong, max_tokens=8, price="1.25:10"),
        *model("weak", engine, max_tokens=4, price="0.02:0.02"),
    )
    judge = (*model("judge", engine, max_tokens=8, price="1:2"), "--judge-set", VERDICT)

    printed = await label(parts.services, "answer", folder, *tiers)
    answers = rows(folder / "answers.jsonl")
    spent = sum(answer["usd"] for answer in answers)
    assert f"6 answers of 6 asked for; ${spent:.6f} spent so far" in printed
    assert all(answer["metered"] and answer["completion_tokens"] <= 8 for answer in answers)
    assert spent > 0

    printed = await label(parts.services, "judge", folder, *judge)
    verdicts = rows(folder / "verdicts.jsonl")
    assert sorted(each["first"] for each in verdicts) == ["strong"] * 3 + ["weak"] * 3
    assert {each["winner"] for each in verdicts} <= {"strong", "weak", "tie"}
    assert re.search(
        r"3 queries judged in both orders: the same said twice of \d+%; the first place", printed
    )
    assert [row["prompt"] for row in rows(folder / "labels.jsonl")] == [
        row["prompt"] for row in rows(folder / "queries.jsonl")
    ]
    assert len(rows(folder / "battles.jsonl")) == 3

    await strong.process.stop()  # whoever asks it again fails
    assert "0 answers of 0 asked for" in await label(parts.services, "answer", folder, *tiers)
    assert "0 verdicts of 0 asked for" in await label(parts.services, "judge", folder, *judge)
    assert len(rows(folder / "verdicts.jsonl")) == 6


async def test_an_interrupted_step_keeps_what_it_has_and_goes_on_from_there(
    parts: Parts, engine: Engine, folder: Path
) -> None:
    tiers = (
        *model("strong", engine, max_tokens=24, price="1:1"),
        *model("weak", engine, max_tokens=24, price="1:1"),
    )
    path = folder / "answers.jsonl"
    step = await start(parts.services, "answer", folder, *tiers, "--at-once", 1)

    async def answered() -> bool:
        return path.exists() and path.read_bytes().endswith(b"\n")

    await until(answered, seconds=120)
    step.send_signal(signal.SIGINT)
    found = await ended(step)
    assert found.status == 1
    assert "interrupted; what was stored is kept" in found.errors
    before = rows(path)
    assert 0 < len(before) < 6

    await label(parts.services, "answer", folder, *tiers)
    assert rows(path)[: len(before)] == before
    assert len({(row["query"], row["tier"]) for row in rows(path)}) == len(rows(path)) == 6
