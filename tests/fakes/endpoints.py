"""EndpointSlices as the API server has them."""

from __future__ import annotations

from typing import Any


def an_endpoint(host: str, **conditions: bool | None) -> dict[str, Any]:
    """A pod at an address."""
    return {"addresses": [host], "conditions": conditions}


def an_endpoint_slice(service: str, *endpoints: dict[str, Any], family: str = "IPv4") -> dict[str, Any]:
    """A part of the pods of a Service."""
    return {
        "metadata": {"labels": {"kubernetes.io/service-name": service}},
        "addressType": family,
        "endpoints": list(endpoints),
    }
