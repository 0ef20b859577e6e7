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
                "limits": {"memory": "1Gi", "cpu": "400m"},
            }
        },
    },
}
