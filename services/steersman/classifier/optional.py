"""Packages that only some methods need, imported when one of them is used.

Torch and llama.cpp weigh more than all else together, so nobody has them who did not ask for such a method.
"""

from __future__ import annotations

import importlib
from typing import Any

from steersman.classifier.errors import ModelError


def package(name: str, *, extra: str) -> Any:
    """Import a package that comes with an extra of this distribution.

    Raises:
        ModelError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModelError(f"{error.name} is not installed; it comes with steersman[{extra}]") from error
