"""Helm's own opinion of the chart."""

from __future__ import annotations

import helm_python
import pytest

from chart.rendering import CHART, VARIANTS, values_of


@pytest.mark.parametrize("variant", VARIANTS)
def test_helm_finds_nothing_wrong(variant: str) -> None:
    report = helm_python.lint(
        CHART, values_of(variant), strict=True, kube_version="v1.34.0", namespace="models"
    )

    assert [message for message in report["messages"] if message["severity"] > 1] == []
    assert report["errors"] == []
