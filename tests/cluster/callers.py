"""Callers in the cluster: a pod that asks until it is told to stop, and what it says meanwhile."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from cluster.images import Image
from cluster.kubectl import Namespace
from cluster.release import NAME

GRPC: Final = f"dns:///{NAME}-router-headless:9000"
HTTP: Final = f"http://{NAME}-router:8080/v1"
START_SECONDS: Final = 60.0
END_SECONDS: Final = 120.0
_STOP: Final = ("python", "-c", "import os, signal; os.kill(1, signal.SIGTERM)")

_SECURITY: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(slots=True)
class Told:
    """What callers were answered, known once they have ended.

    Attributes:
        answered: How often, by API, tier, reason and cache state, with a space between.
        failed: How often there was no answer, by API.
        failures: What was wrong, as far as it is kept.
        latency: Seconds at the median, at 99 % and of the slowest.
        asked: When the first question was asked, in seconds since the epoch.
    """

    answered: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    latency: dict[str, float] = field(default_factory=dict)
    asked: float = 0.0

    @property
    def total(self) -> int:
        """Answers of all kinds."""
        return self.answered.total()

    def of(self, *words: str) -> int:
        """Answers whose description contains these words."""
        return sum(number for name, number in self.answered.items() if set(words) <= set(name.split()))


@dataclass(frozen=True, slots=True)
class Callers:
    """Callers that are asking.

    Attributes:
        namespace: Where their pod is.
        pod: Its name.
    """

    namespace: Namespace
    pod: str

    def lines(self) -> list[dict[str, Any]]:
        """What they have said so far."""
        text = self.namespace.kubectl("logs", self.pod)
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def answered_so_far(self) -> int:
        """Answers up to now."""
        return sum(sum(line["answered"].values()) for line in self.lines() if "answered" in line)

    def wait_for_answers(self, number: int, *, seconds: float) -> None:
        """Until so many answers have come."""
        end = time.monotonic() + seconds
        while self.answered_so_far() < number:
            assert time.monotonic() < end, (
                f"fewer than {number} answers within {seconds} s: {self.lines()[-5:]}"
            )
            time.sleep(0.5)

    def stop(self) -> None:
        """Tell them to ask no more."""
        self.namespace.kubectl("exec", self.pod, "--", *_STOP)

    def ended(self) -> Told:
        """Wait for their last answers."""
        phase = "jsonpath={.status.phase}=Succeeded"
        self.namespace.wait(phase, f"pod/{self.pod}", seconds=END_SECONDS)
        lines = self.lines()
        told = Told(failures=[line["failure"] for line in lines if "failure" in line], asked=lines[0]["at"])
        told.answered.update(lines[-1]["total"])
        told.failed.update(lines[-1]["failed"])
        told.latency.update(lines[-1]["latency"])
        return told


def pod(
    name: str, image: Image, *, command: list[str], labels: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A pod of the callers' image, with nothing that a restricted namespace forbids."""
    container = {
        "name": name,
        "image": image.reference,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "securityContext": _SECURITY,
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name, **(labels or {})}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
        },
    }


@contextmanager
def calling(
    namespace: Namespace, image: Image, *groups: str, name: str = "callers", options: tuple[str, ...] = ()
) -> Iterator[Callers]:
    """Callers that ask while the context lasts, unless they are stopped before.

    Args:
        namespace: Where the release is.
        image: The callers' image.
        groups: COUNT:METHOD:MODEL each, as `cluster.caller` says.
        name: Their pod's name.
        options: What else it can be told.
    """
    namespace.apply(pod(name, image, command=_command(*options, *groups)))
    try:
        namespace.wait("condition=Ready", f"pod/{name}", seconds=START_SECONDS)
        yield Callers(namespace, name)
    finally:
        namespace.kubectl("delete", "pod", name, "--ignore-not-found")


def asked(namespace: Namespace, image: Image, *groups: str, options: tuple[str, ...] = ("--most=1",)) -> Told:
    """What callers were told that ask a few times and end by themselves."""
    name = "one-question"
    namespace.apply(pod(name, image, command=_command(*options, *groups)))
    try:
        return Callers(namespace, name).ended()
    finally:
        namespace.kubectl("delete", "pod", name)


def _command(*arguments: str) -> list[str]:
    return ["python", "-m", "cluster.caller", f"--grpc={GRPC}", f"--http={HTTP}", *arguments]
