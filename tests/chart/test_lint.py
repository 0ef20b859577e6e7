"""Helm's own opinion of the chart."""

from __future__ import annotations

import helm_python
import pytest
import yaml

from chart.rendering import CHART, VARIANTS


@pytest.mark.parametrize("variant", VARIANTS)
def test_helm_finds_nothing_wrong(variant: str) -> None:
    file = VARIANTS[variant]
    values = yaml.safe_load((CHART / file).read_text()) if file else {}

    report = helm_python.lint(CHART, values, strict=True, kube_version="v1.34.0", namespace="models")

    assert [message for message in report["messages"] if message["severity"] > 1] == []
    assert report["errors"] == []
