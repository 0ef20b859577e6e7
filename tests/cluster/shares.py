"""How calls are spread over the pods of a component, from each pod's own counters."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cluster.kubectl import Namespace


@dataclass(frozen=True, slots=True)
class Counter:
    """What a component counts its calls by.

    Attributes:
        port: Where its metrics are.
        pattern: Matches a line of them; its group is a number of calls.
    """

    port: int
    pattern: re.Pattern[str]


ROUTER: Final = Counter(9090, re.compile(r"^steersman_requests_total\{.*\} (\S+)", re.MULTILINE))
BACKEND: Final = Counter(
    9090, re.compile(r'^steersman_rpcs_total\{.*method="\S*BackendService/\w+".*\} (\S+)', re.MULTILINE)
)
CLASSIFIER: Final = Counter(
    8002, re.compile(r'^nv_inference_count\{model="static_head".*\} (\S+)', re.MULTILINE)
)


def counted(namespace: Namespace, component: str, counter: Counter, tier: str = "") -> dict[str, float]:
    """Calls of each ready pod so far."""
    ready = [pod for pod in namespace.pods(component) if _ready(pod) and _tier(pod) in {tier, None}]
    names = [pod["metadata"]["name"] for pod in ready]
    return {
        name: sum(map(float, counter.pattern.findall(namespace.through(name, counter.port, "metrics"))))
        for name in names
    }


@dataclass(frozen=True, slots=True)
class Spread:
    """Calls of each pod within some seconds.

    Attributes:
        calls: Their number by pod.
    """

    calls: Mapping[str, float]

    @property
    def least(self) -> float:
        """What the least busy pod got, as a part of its fair share."""
        return min(self.calls.values()) * len(self.calls) / max(1.0, sum(self.calls.values()))


def spread(
    namespace: Namespace, component: str, counter: Counter, *, tier: str = "", seconds: float
) -> Spread:
    """Watch calls for some seconds; pods that are not there at both ends are left out."""
    before = counted(namespace, component, counter, tier)
    time.sleep(seconds)
    after = counted(namespace, component, counter, tier)
    return Spread({name: after[name] - before[name] for name in before if name in after})


def _ready(pod: dict[str, Mapping[str, list[Mapping[str, str]]]]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _tier(pod: dict[str, Mapping[str, Mapping[str, str]]]) -> str | None:
    return pod["metadata"]["labels"].get("steersman.dev/tier")
