"""The chart, rendered as `helm template` would, by Helm's SDK: no helm binary, no cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import helm_python
import pytest
import yaml

CHART: Final = Path(__file__).resolve().parents[2] / "deploy" / "helm" / "steersman"
Manifest = dict[str, Any]
Values = Mapping[str, Any]

VARIANTS: Final = {
    "default": None,
    "gpu": "values-gpu.yaml",
    "everything": "ci/everything-values.yaml",
    "hpa": "ci/hpa-values.yaml",
    "tls": "ci/tls-values.yaml",
    "cert-manager": "ci/cert-manager-values.yaml",
    "names": "ci/names-values.yaml",
}
"""What is checked as a whole: a name, and its values file in the chart."""


@dataclass(frozen=True, slots=True)
class Release:
    """What a render came to.

    Attributes:
        manifests: Every resource.
        notes: What Helm says after the install.
        sources: Templates that said something.
    """

    manifests: tuple[Manifest, ...]
    notes: str
    sources: frozenset[str]

    def of(self, *kinds: str) -> list[Manifest]:
        """All resources of these kinds."""
        return [manifest for manifest in self.manifests if manifest["kind"] in kinds]

    def names(self, kind: str) -> set[str]:
        """Names of the resources of a kind."""
        return {manifest["metadata"]["name"] for manifest in self.of(kind)}

    def one(self, kind: str, name: str) -> Manifest:
        """The resource of this kind and name; there has to be one."""
        (found,) = (each for each in self.of(kind) if each["metadata"]["name"] == name)
        return found

    def pod(self, name: str) -> Any:
        """The pod's spec of a Deployment."""
        return self.one("Deployment", name)["spec"]["template"]["spec"]

    def container(self, name: str, container: str | None = None) -> Any:
        """A container of a Deployment, the main one where none is named; sidecars among them."""
        pod = self.pod(name)
        if container is None:
            return pod["containers"][0]
        (found,) = (
            each for each in [*pod["containers"], *pod.get("initContainers", [])] if each["name"] == container
        )
        return found

    def environment(self, name: str, container: str | None = None) -> dict[str, Any]:
        """Environment of a container: the value, or where it is taken from."""
        return {
            each["name"]: each.get("value", each.get("valueFrom"))
            for each in self.container(name, container).get("env", [])
        }

    def pods(self) -> Iterator[tuple[str, Any]]:
        """Name and spec of every pod that the chart describes, the test's among them."""
        for manifest in self.of("Deployment"):
            yield manifest["metadata"]["name"], manifest["spec"]["template"]["spec"]
        for manifest in self.of("Pod"):
            yield manifest["metadata"]["name"], manifest["spec"]


def render(values: Values | None = None, *, name: str = "steersman", namespace: str = "models") -> Release:
    """Render the chart with these values, as a release of this name in this namespace.

    Raises:
        helm_python.HelmError: The schema or a template refuses them.
    """
    with helm_python.Chart.load(CHART) as chart:
        files = chart.render(dict(values or {}), name=name, namespace=namespace)
    return _read({path.partition("/templates/")[2]: text for path, text in files.items()})


def _read(files: Mapping[str, str]) -> Release:
    manifests: list[Manifest] = []
    sources = set()
    for path, text in files.items():
        if path.endswith(".yaml"):
            documents = [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]
            manifests += documents
            sources |= {path} if documents else set()
    return Release(tuple(manifests), files["NOTES.txt"], frozenset(sources))


def values_of(variant: str) -> dict[str, Any]:
    """Values of one of `VARIANTS`."""
    file = VARIANTS[variant]
    return yaml.safe_load((CHART / file).read_text()) if file else {}


def nested(path: str, value: object) -> Values:
    """Values with one of them set: its path is written with dots."""
    for key in reversed(path.split(".")):
        value = {key: value}
    assert isinstance(value, dict)
    return value


@contextmanager
def refused(sentence: str) -> Iterator[None]:
    """Expects that the chart refuses its values, with a message that has this in it."""
    with pytest.raises(helm_python.HelmError) as caught:
        yield
    assert sentence in str(caught.value)
