"""Follows resources of the cluster for a process that can do without them.

Each is waited for a moment at the start, so that who is ready knows what the cluster knows, and then done without: when
the API server is away, DNS finds the pods.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from steersman.runtime.addresses import AddressLookup, AddressSource
from steersman.runtime.kubernetes.api import Watchable
from steersman.runtime.kubernetes.endpoints import ENDPOINT_SLICES, EndpointAddresses
from steersman.runtime.kubernetes.metrics import KubernetesMetrics
from steersman.runtime.kubernetes.reflector import Objects, Reflector
from steersman.runtime.tasks import BackgroundTasks

if TYPE_CHECKING:
    from steersman.runtime.kubernetes.client import KubernetesApi

log = logging.getLogger(__name__)


@asynccontextmanager
async def connected(kubeconfig: Path | None, *, wanted: bool) -> AsyncIterator[KubernetesApi | None]:
    """A connection to the cluster's API where that is wanted; to be opened before the tasks that use it.

    Raises:
        OSError: There is no way to it.
    """
    if not wanted:
        yield None
        return
    from steersman.runtime.kubernetes.client import (  # noqa: PLC0415 - a second and 26 MiB that others should not pay
        kubernetes_api,
    )

    async with kubernetes_api(kubeconfig) as api:
        yield api


@dataclass(frozen=True, slots=True)
class Following:
    """What follows resources of one namespace.

    Args:
        namespace: Whose.
        start_seconds: Time that each is waited for.
        tasks: Own what follows.
        metrics: Tell how it is.
    """

    namespace: str
    start_seconds: float
    tasks: BackgroundTasks
    metrics: KubernetesMetrics

    async def start(self, reflector: Reflector) -> None:
        """Follow what a reflector copies, from now on."""
        resource = reflector.resource.plural
        self.metrics.watch(reflector)
        self.tasks.start(f"{resource} in the cluster", reflector.follow)
        if not await reflector.listed(self.start_seconds):
            log.warning("started without what the cluster knows", extra={"resource": resource})

    async def addresses(self, api: Watchable) -> AddressSource:
        """Where pods are found by the names of their Services."""
        on_error = partial(self.metrics.failed, ENDPOINT_SLICES)
        slices = Reflector(api, ENDPOINT_SLICES, self.namespace, _look_later, on_error)
        await self.start(slices)
        return EndpointAddresses(slices, AddressLookup())


async def _look_later(_: Objects) -> None:
    """Addresses are looked up again and again; nobody needs to be told."""
