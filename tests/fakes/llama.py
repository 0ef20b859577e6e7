"""llama.cpp's package, as far as the product uses it: hidden states that are a matter of the prompt's letters."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

WIDTH = 6
PACKAGE = "xllamacpp"


class FakeServer:
    """Counts what it is asked."""

    asked = 0

    def __init__(self, parameters: Any) -> None:
        if not Path(parameters.model.path).is_file():
            raise RuntimeError("Failed to init server, please check the input params.")

    def handle_embeddings(self, request: dict[str, Any]) -> dict[str, Any]:
        FakeServer.asked += 1
        if not request["input"]:
            return {"error": {"message": "Input content cannot be empty"}}
        counts = np.bincount(
            np.frombuffer(request["input"].encode(), dtype=np.uint8) % WIDTH, minlength=WIDTH
        )
        return {"data": [{"embedding": np.log1p(counts).tolist()}]}


def install(monkeypatch: pytest.MonkeyPatch) -> type[FakeServer]:
    """Put the fake where the real package would be imported."""
    module = ModuleType(PACKAGE)
    vars(module).update(
        __version__="fake",
        Server=FakeServer,
        CommonParams=lambda: SimpleNamespace(
            model=SimpleNamespace(), cpuparams=SimpleNamespace(), cpuparams_batch=SimpleNamespace()
        ),
        llama_pooling_type=SimpleNamespace(LLAMA_POOLING_TYPE_LAST=3),
    )
    monkeypatch.setitem(sys.modules, PACKAGE, module)
    FakeServer.asked = 0
    return FakeServer
