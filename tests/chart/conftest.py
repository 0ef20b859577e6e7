"""Renders that many tests look at; nobody changes them."""

from __future__ import annotations

import pytest

from chart.rendering import VARIANTS, Release, render, values_of


@pytest.fixture(scope="session")
def releases() -> dict[str, Release]:
    return {variant: render(values_of(variant)) for variant in VARIANTS}


@pytest.fixture(params=VARIANTS)
def release(request: pytest.FixtureRequest, releases: dict[str, Release]) -> Release:
    """Each of the variants in turn."""
    return releases[request.param]


@pytest.fixture
def default(releases: dict[str, Release]) -> Release:
    """With no values."""
    return releases["default"]


@pytest.fixture
def gpu(releases: dict[str, Release]) -> Release:
    """With values-gpu.yaml."""
    return releases["gpu"]


@pytest.fixture
def everything(releases: dict[str, Release]) -> Release:
    """With every switch on."""
    return releases["everything"]
