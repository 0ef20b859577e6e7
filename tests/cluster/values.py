"""Values for a small machine: little is requested, and pods leave quickly."""

from __future__ import annotations

from typing import Any, Final

Values = dict[str, Any]

SMALL: Final[Values] = {
    "defaults": {"drain": {"preStopSeconds": 5, "seconds": 60}},
    "router": {"resources": {"requests": {"cpu": "100m", "memory": "96Mi"}, "limits": {"memory": "768Mi"}}},
    "classifier": {
        "resources": {"requests": {"cpu": "50m", "memory": "160Mi"}, "limits": {"memory": "1Gi"}},
        "drain": {"preStopSeconds": 5, "seconds": 15},
    },
    "tierDefaults": {
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "engine": {
            "resources": {
                "requests": {"cpu": "50m", "memory": "300Mi"},
                "limits": {"memory": "1Gi"},
            }
        },
    },
}

QUICKLY: Final[Values] = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "policies": [{"type": "Pods", "value": 4, "periodSeconds": 5}],
    },
    "scaleDown": {
        "stabilizationWindowSeconds": 20,
        "policies": [{"type": "Pods", "value": 4, "periodSeconds": 5}],
    },
}
_FEW: Final[Values] = {"maxReplicas": 3, "keda": {"enabled": True, "targetPerReplica": 4}}

SCALED: Final[Values] = {
    "defaults": {"autoscaling": {"behavior": QUICKLY, "keda": {"pollingInterval": 5, "cooldownPeriod": 20}}},
    "router": {"autoscaling": {"maxReplicas": 3, "keda": {"enabled": True, "targetPerReplica": 5}}},
    "classifier": {"autoscaling": _FEW, "resources": {"limits": {"cpu": "300m"}}},
    "tierDefaults": {"autoscaling": _FEW, "engine": {"resources": {"limits": {"cpu": "400m"}}}},
}
"""KEDA everywhere, with windows of seconds.

A classifier that is slow enough to be loaded by a few callers, and engines that are equally fast wherever they are: two
nodes on one machine share it by halves, so that a node with one engine would be twice as fast as one with two.
"""

TWO_BACKENDS: Final[Values] = {"tierDefaults": {"replicas": 2}}
