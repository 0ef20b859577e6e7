"""The engines of the local system: llama.cpp's server with a small real model, one process each."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from steersman.local.parts import Parts
from steersman.local.probes import http_ok
from steersman.local.processes import Program

SLOTS: Final = 4
"""Requests that an engine works on at once, unless its model says otherwise."""
STRONG_MODEL: Final = "Qwen2.5-Coder-1.5B-Instruct"


@dataclass(frozen=True, slots=True)
class Model:
    """Weights, and how an engine of the local system serves them.

    Attributes:
        name: How the engine calls it.
        weights: The GGUF file.
        context_window: Tokens of a request and its answer, for each slot; memory is taken for all of them at once.
        slots: Requests that the engine works on at once.
        tools: Whether requests with tools go to it; models this small rarely call one.
    """

    name: str
    weights: Path
    context_window: int
    slots: int = SLOTS
    tools: bool = False


def smollm2(parts: Parts, *, context_window: int = 4096) -> Model:
    """SmolLM2-135M-Instruct: 98 MB, about 45 tokens a second on one thread, made for 8192 tokens at most."""
    return Model(name="SmolLM2-135M-Instruct", weights=parts.smollm2, context_window=context_window)


def qwen(weights: Path) -> Model:
    """Qwen2.5-Coder-1.5B-Instruct: 1.1 GB, about 9 tokens a second on one thread."""
    return Model(name=STRONG_MODEL, weights=weights, context_window=8192, slots=2, tools=True)


def tiny(parts: Parts) -> dict[str, Model]:
    """SmolLM2 for both tiers. Their capabilities differ, so that long conversations and tools need the strong one."""
    return {"weak": smollm2(parts), "strong": replace(smollm2(parts, context_window=8192), tools=True)}


def engine(parts: Parts, model: Model, *, port: int, name: str = "engine", threads: int = 1) -> Program:
    """A llama.cpp server that speaks OpenAI's API on the loopback interface.

    Args:
        parts: Where its files are.
        model: What it serves.
        port: Where it listens.
        name: Names the process.
        threads: Processor threads that it computes with.
    """
    options = {
        "--model": str(model.weights),
        "--alias": model.name,
        "--port": str(port),
        "--slots": str(model.slots),
        "--context-window": str(model.context_window),
        "--threads": str(threads),
    }
    flags = [word for option in options.items() for word in option]
    return Program(
        name=name,
        argv=(sys.executable, "-m", "steersman.engine", *flags),
        environment={"PYTHONPATH": os.pathsep.join([str(parts.services), str(parts.engine_packages)])},
        ready=http_ok(f"http://127.0.0.1:{port}/health"),
        start_seconds=120.0,
    )
