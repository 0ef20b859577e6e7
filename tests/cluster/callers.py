"""Callers in the cluster: a pod that asks until it is told to stop, and what it says meanwhile."""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from cluster.images import Image
from cluster.kubectl import Namespace
from cluster.release import NAME

GRPC: Final = f"dns:///{NAME}-router-headless:9000"
HTTP: Final = f"http://{NAME}-router:8080/v1"
FIRST_KEY: Final = {"name": f"{NAME}-first-key", "key": "api-key"}
LIFE_SECONDS: Final = 1200
"""After so long a pod of callers ends whoever forgot it: no load is without an end."""
START_SECONDS: Final = 60.0
END_SECONDS: Final = 120.0
PORT: Final = 8000
"""Where callers tell what they were told."""

_SECURITY: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True, slots=True)
class Told:
    """What callers were told.

    Attributes:
        asked: When the first question was asked, in seconds since the epoch.
        ended: Whether they ask no more, and have all answers.
        answered: How often, by method, tier, reason and cache state, with a space between.
        failed: How often there was no answer, by method.
        failures: What was wrong, as far as it is kept.
        latency: Seconds at the median (p50), at 99 % (p99) and of the longest.
    """

    asked: float
    ended: bool
    answered: Counter[str]
    failed: Counter[str]
    failures: list[str]
    latency: dict[str, float]

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Told:
        """Read what callers tell."""
        counters = {name: Counter(fields[name]) for name in ("answered", "failed")}
        return cls(**{**fields, **counters})

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

    def told(self) -> Told:
        """What they have been told so far."""
        return Told.read(json.loads(self.namespace.through(self.pod, PORT, "told")))

    def wait_for_answers(self, number: int, *, seconds: float) -> None:
        """Until so many answers have come since the beginning."""
        self._until(lambda told: told.total >= number, seconds)

    def stop(self) -> Told:
        """Tell them to ask no more, and wait for their last answers."""
        self.namespace.through(self.pod, PORT, "stop")
        return self.ended()

    def ended(self) -> Told:
        """Wait until they ask no more."""
        return self._until(lambda told: told.ended, END_SECONDS)

    def _until(self, holds: Callable[[Told], bool], seconds: float) -> Told:
        end = time.monotonic() + seconds
        while not holds(told := self.told()):
            assert time.monotonic() < end, f"not within {seconds} s: {told}"
            time.sleep(0.5)
        return told


def pod(name: str, image: Image, *, command: list[str], port: int, path: str) -> dict[str, Any]:
    """A pod of the callers' image, ready when it answers there, with nothing that a restricted namespace forbids."""
    container = {
        "name": name,
        "image": image.reference,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        # The key that the chart has made, wherever it made one.
        "env": [{"name": "API_KEY", "valueFrom": {"secretKeyRef": {**FIRST_KEY, "optional": True}}}],
        "readinessProbe": {"httpGet": {"port": port, "path": path}, "periodSeconds": 1},
        "securityContext": _SECURITY,
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LIFE_SECONDS,
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
        name: Beginning of their pod's name.
        options: What else it can be told.
    """
    unique = f"{name}-{secrets.token_hex(2)}"
    namespace.apply(pod(unique, image, command=_command(*options, *groups), port=PORT, path="/told"))
    try:
        namespace.wait("condition=Ready", f"pod/{unique}", seconds=START_SECONDS)
        yield Callers(namespace, unique)
    finally:
        namespace.kubectl("delete", "pod", unique, "--wait=false")


def asked(namespace: Namespace, image: Image, *groups: str, options: tuple[str, ...] = ("--most=1",)) -> Told:
    """What callers were told that ask a few times and end by themselves."""
    with calling(namespace, image, *groups, name="one-question", options=options) as callers:
        return callers.ended()


def _command(*arguments: str) -> list[str]:
    return ["python", "-m", "cluster.caller", f"--grpc={GRPC}", f"--http={HTTP}", *arguments]
