"""The chart, installed in a namespace as people install it: by helm."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import yaml

from cluster.commands import ROOT, run
from cluster.images import Image
from cluster.kubectl import Namespace

CHART: Final = ROOT / "deploy" / "helm" / "steersman"
NAME: Final = "steersman"
READY_SECONDS: Final = 180.0
Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Release:
    """One release.

    Attributes:
        namespace: Where it is.
    """

    namespace: Namespace

    def install(self, *values: Values) -> None:
        """Install it, and wait until every pod is ready."""
        self.apply("install", *values)
        self.ready()

    def upgrade(self, *values: Values) -> None:
        """Upgrade it, and wait until every pod is the new one and ready."""
        self.apply("upgrade", *values)
        self.ready()

    def rollback(self, *, revision: int) -> None:
        """Go back to an earlier revision, and wait."""
        self._helm("rollback", NAME, str(revision))
        self.ready()

    def uninstall(self) -> None:
        """Remove it, and wait until its resources are gone."""
        self._helm("uninstall", NAME, "--wait", "--timeout=120s")

    def test(self) -> str:
        """Run `helm test`; gives what it says."""
        return self._helm("test", NAME)

    def ready(self) -> None:
        """Until every pod is ready."""
        self.namespace.rolled_out(seconds=READY_SECONDS)

    def settled(self) -> None:
        """Until pods that were replaced have finished their requests and are gone."""
        end = time.monotonic() + READY_SECONDS
        while any(
            "deletionTimestamp" in pod["metadata"] for pod in self.namespace.items("pods", instance=NAME)
        ):
            assert time.monotonic() < end, "pods that were replaced are still there"
            time.sleep(1)

    def apply(self, verb: str, *values: Values, name: str = NAME) -> str:
        """`install`, `upgrade` or `template` with these values, of which later ones win, and wait for nothing."""
        files = [argument for layer in values for argument in ("--values", self._file(layer))]
        return self._helm(verb, name, str(CHART), *files)

    def _file(self, values: Values) -> str:
        folder = ROOT / ".local" / "cluster" / "values"
        folder.mkdir(parents=True, exist_ok=True)
        content = yaml.safe_dump(values)
        file = folder / f"{self.namespace.name}-{abs(hash(content)):x}.yaml"
        file.write_text(content)
        return str(file)

    def _helm(self, *arguments: str) -> str:
        return run(["helm", "--namespace", self.namespace.name, *arguments], seconds=READY_SECONDS)


def naming(images: Iterable[Image]) -> Values:
    """Values that name these images by their tags, and nothing else."""
    values: Values = {}
    for image in images:
        match image.name:
            case "engine":
                values.setdefault("tierDefaults", {})["engine"] = {"image": {"tag": image.tag}}
            case "backend":
                values.setdefault("tierDefaults", {})["image"] = {"tag": image.tag}
            case "envoy":
                envoy = {"repository": "steersman-envoy", "tag": image.tag}
                values.setdefault("tls", {})["envoy"] = {"image": envoy}
            case "caller":
                pass
            case component:
                values[component] = {"image": {"tag": image.tag}}
    return values
