"""Fixtures of the proof in a real cluster, and what is shown of the cluster when a test fails.

Run by `make test-cluster` alone: it takes minutes, and a cluster.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from cluster import images
from cluster.commands import ROOT
from cluster.evidence import state_of
from cluster.figures import Figures
from cluster.images import Image
from cluster.kubectl import Namespace, namespace
from cluster.release import Release, Values, naming

ARTEFACTS: Final = ROOT / ".local" / "cluster"
BUILDERS: Final = 2
"""Images that are built at once; while one is built, another is loaded."""
_NAMESPACE: Final = pytest.StashKey[Namespace]()


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Where figures, tables and pictures go."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    return ARTEFACTS


@pytest.fixture(scope="session")
def figures(artefacts: Path) -> Figures:
    return Figures(artefacts / "figures.json")


@pytest.fixture(scope="session")
def built(running_cluster: None) -> dict[str, Image]:  # noqa: ARG001 - nodes to give them to
    """The images of this checkout, on every node, by name."""
    with ThreadPoolExecutor(BUILDERS) as pool:
        return {image.name: image for image in pool.map(images.ready, images.names())}


@pytest.fixture(scope="session")
def image_values(built: dict[str, Image]) -> Values:
    """Values that name them."""
    return naming(built.values())


@pytest.fixture(scope="session")
def caller(built: dict[str, Image]) -> Image:
    return built["caller"]


@pytest.fixture(scope="module")
def own_namespace(
    request: pytest.FixtureRequest,
    running_cluster: None,  # noqa: ARG001 - has to be there
) -> Iterator[Namespace]:
    """A namespace of the module's own, restricted."""
    name = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    with namespace(f"{os.environ.get('CLUSTER_PREFIX', 'steersman')}-{name}") as made:
        request.node.stash[_NAMESPACE] = made
        yield made


@pytest.fixture(scope="module")
def release(own_namespace: Namespace) -> Release:
    return Release(own_namespace)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure is shown with what the cluster says about it."""
    report = yield
    module = item.getparent(pytest.Module)
    space = module.stash.get(_NAMESPACE, None) if module else None
    if report.failed and space is not None:
        report.sections.append((f"namespace {space.name}", state_of(space, ARTEFACTS)))
    return report
