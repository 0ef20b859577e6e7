"""The product's own processes, as programs of the local system: configured by environment variables alone."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from steersman.local.hops import PLAIN, Hops
from steersman.local.parts import Parts
from steersman.local.probes import Probe, grpc_serving, http_ok
from steersman.local.processes import Program

CLASSIFIER: Final = "static_head"
"""The model that the router asks; Triton loads no other."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Addresses of a process, as HOST:PORT."""

    grpc: str
    metrics: str
    http: str = ""


@dataclass(frozen=True, slots=True)
class RouterNeeds:
    """What a router is told about the rest of the system.

    Attributes:
        policy_file: Tier catalogue and policies.
        classifier: Address of Triton.
        cache_url: URL of the Redis-protocol server.
        keys: Variables with the keys of servers elsewhere.
        hops: How it speaks with others.
    """

    policy_file: Path
    classifier: str
    cache_url: str
    keys: Mapping[str, str]
    hops: Hops = PLAIN


def router(
    parts: Parts, needs: RouterNeeds, *, listening: Listening, otlp_url: str, name: str = "router"
) -> Program:
    """A router."""
    settings = {
        "STEERSMAN_HTTP__ADDRESS": listening.http,
        "STEERSMAN_POLICY_FILE": str(needs.policy_file),
        "STEERSMAN_CLASSIFIER__TARGET": needs.classifier,
        "STEERSMAN_CLASSIFIER__MODEL": CLASSIFIER,
        "STEERSMAN_CLASSIFIER__VERSION": "1",
        "STEERSMAN_CLASSIFIER__TIMEOUT_SECONDS": "0.5",
        "STEERSMAN_CACHE__URL": needs.cache_url,
        "STEERSMAN_CACHE__HMAC_KEY": secrets.token_hex(32),
    }
    return Program(
        name=name,
        argv=(sys.executable, "-m", "steersman.router"),
        environment={
            **_common(parts, listening, otlp_url, service="steersman-router"),
            **settings,
            **needs.keys,
            **needs.hops.settings(name),
        },
        ready=_all(
            _serving(listening, needs.hops),
            http_ok(f"{needs.hops.http}://{listening.http}/readyz", ca_file=needs.hops.ca_file),
        ),
    )


def backend(
    parts: Parts,
    *,
    tier: str,
    engine_url: str,
    listening: Listening,
    otlp_url: str,
    name: str,
    hops: Hops = PLAIN,
) -> Program:
    """A backend in front of one engine, which answers the router and nobody else where hops are private."""
    settings = {"STEERSMAN_TIER": tier, "STEERSMAN_ENGINE__URL": engine_url}
    return Program(
        name=name,
        argv=(sys.executable, "-m", "steersman.backend"),
        environment={
            **_common(parts, listening, otlp_url, service=f"steersman-backend-{tier}"),
            **settings,
            **hops.settings(name, callers=["router"]),
        },
        ready=_serving(listening, hops, service="engine"),
    )


def _common(parts: Parts, listening: Listening, otlp_url: str, *, service: str) -> dict[str, str]:
    return {
        "PYTHONPATH": os.fspath(parts.services),
        "STEERSMAN_GRPC__ADDRESS": listening.grpc,
        "STEERSMAN_METRICS__ADDRESS": listening.metrics,
        "STEERSMAN_LOG__LEVEL": "INFO",
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SERVICE_NAME": service,
        "OTEL_TRACES_SAMPLER": "parentbased_always_on",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }


def _serving(listening: Listening, hops: Hops, *, service: str = "") -> Probe:
    """Whether a process serves; where hops are private, its listener for metrics tells without a certificate."""
    if hops.ca_file is None:
        return grpc_serving(listening.grpc, service=service)
    return http_ok(f"https://{listening.metrics}/healthz?service={service}", ca_file=hops.ca_file)


def _all(*probes: Probe) -> Probe:
    async def probe() -> bool:
        for each in probes:
            if not await each():
                return False
        return True

    return probe
