"""What is measured: one module a subject, one function a measure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

from benchmarks.measures import (
    classify,
    complete,
    engine,
    http_unary,
    route,
    size,
    streaming,
    tenancy,
    tracing,
)
from benchmarks.outcomes import Outcome
from benchmarks.samples import Plan
from benchmarks.system import System

Measure = Callable[[System, Plan], Awaitable[list[Outcome]]]

MEASURES: Final[Mapping[str, Measure]] = MappingProxyType(
    {
        "engine": engine.alone,
        "route": route.cached,
        "tenancy": tenancy.cached,
        "tracing": tracing.cached,
        "complete": complete.cached,
        "http": http_unary.against_litellm,
        "routellm": http_unary.against_routellm,
        "triton": classify.classifications,
        "misses": route.misses,
        "streaming": streaming.chunks,
        "replicas": size.replicas,
        "memory": size.memory,
    }
)
"""All measures by name, in the order in which they run."""
