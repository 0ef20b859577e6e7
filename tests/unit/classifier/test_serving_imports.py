from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import sys
before = set(sys.modules)
from steersman.classifier import methods
for name in methods.names():
    methods.named(name)
roots = {name.partition(".")[0] for name in set(sys.modules) - before}
# Modules without a file are made by compiled ones of the others.
print(*(root for root in roots - sys.stdlib_module_names if getattr(sys.modules.get(root), "__file__", None)))
"""


def test_serving_imports_nothing_that_triton_does_not_have() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], check=True, capture_output=True, text=True, timeout=60
    )
    assert set(done.stdout.split()) <= {"numpy", "safetensors", "steersman", "tokenizers"}
