"""One namespace of a cluster, through kubectl."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from cluster.commands import run

SECONDS: Final = 30.0
"""A command that only asks the API server."""

_RESTRICTED: Final = {"pod-security.kubernetes.io/enforce": "restricted"}


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace, in which each command has a deadline in seconds.

    Attributes:
        name: Its name.
    """

    name: str

    def kubectl(self, *arguments: str, seconds: float = SECONDS, stdin: str | None = None) -> str:
        """Run kubectl in this namespace; gives its output."""
        return run(["kubectl", "--namespace", self.name, *arguments], seconds=seconds, stdin=stdin)

    def get(self, *arguments: str) -> Any:
        """Resources as the API server has them."""
        return json.loads(self.kubectl("get", "--output=json", *arguments))

    def items(self, kind: str, **labels: str) -> list[Any]:
        """Resources of a kind that have these labels; an underscore stands for a hyphen."""
        selector = ",".join(f"app.kubernetes.io/{name}={value}" for name, value in labels.items())
        found: list[Any] = self.get(kind, f"--selector={selector}")["items"]
        return found

    def apply(self, *manifests: Any) -> None:
        """Create or change resources."""
        content = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.kubectl("apply", "--filename=-", stdin=json.dumps(content))

    def wait(self, what: str, *resources: str, seconds: float) -> None:
        """Until a condition holds, such as `condition=Ready` or `delete`."""
        deadline = f"--timeout={seconds:.0f}s"
        self.kubectl("wait", f"--for={what}", deadline, *resources, seconds=seconds + SECONDS)

    def rolled_out(self, *, seconds: float) -> None:
        """Until every Deployment runs its newest pods, and all of them are ready."""
        for deployment in self.items("deployments"):
            name = f"deployment/{deployment['metadata']['name']}"
            self.kubectl("rollout", "status", name, f"--timeout={seconds:.0f}s", seconds=seconds + SECONDS)

    def pods(self, component: str, **labels: str) -> list[Any]:
        """Pods of a component that are not about to go."""
        found = self.items("pods", component=component, **labels)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def through(self, pod: str, port: int, path: str) -> str:
        """What a pod answers to a GET, asked through the API server."""
        address = f"/api/v1/namespaces/{self.name}/pods/{pod}:{port}/proxy/{path}"
        return run(["kubectl", "get", "--raw", address], seconds=SECONDS)


@contextmanager
def namespace(name: str) -> Iterator[Namespace]:
    """A namespace of its own, in which only restricted pods may run; removed at the end.

    Each has another name: Kubernetes takes as long to forget one as its pods were allowed to take to end.
    """
    made = Namespace(f"{name}-{secrets.token_hex(3)}")
    made.kubectl("create", "namespace", made.name)
    made.kubectl("label", "namespace", made.name, *(f"{key}={value}" for key, value in _RESTRICTED.items()))
    try:
        yield made
    finally:
        made.kubectl("delete", "namespace", made.name, "--wait=false")
