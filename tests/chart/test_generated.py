"""What is written from the chart is as fresh as the chart."""

from __future__ import annotations

import subprocess
import sys

import pytest

from chart.rendering import CHART


@pytest.mark.parametrize("script", ["docs.py", "rendered.py"])
def test_it_is_fresh(script: str) -> None:
    checked = subprocess.run(
        [sys.executable, CHART.parent / script, "--check"], check=False, capture_output=True, text=True
    )

    assert (checked.returncode, checked.stderr) == (0, "")
