"""What the controller needs of the outside; each has its adapter, and a fake in the tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from steersman.controller.lease import Lease
from steersman.controller.model import PolicyResource, Report, Status


class RouterLost(Exception):
    """A router cannot be asked for its report."""


class Leases(Protocol):
    """The one Lease that says who leads."""

    async def read(self) -> Lease | None:
        """The Lease now; None where there is none.

        Raises:
            ApiError: It cannot be read.
        """
        ...

    async def write(self, lease: Lease) -> Lease:
        """Store a Lease, as a new one where its version is empty; returns it as it is stored.

        Raises:
            Conflict: It has another version by now, or one has been made.
            ApiError: It was not stored; where that is Unreachable, it may have been.
        """
        ...


class PolicyResources(Protocol):
    """The RoutingPolicy resources."""

    async def follow(self, apply: Callable[[Sequence[PolicyResource]], None]) -> None:
        """Tell all resources, at once and after each change, without end; what fails is tried again."""
        ...

    async def write_status(self, resource: PolicyResource, status: Status) -> None:
        """Give a resource a status.

        Raises:
            Missing: There is no such resource any more.
            ApiError: It was not written; where that is Unreachable, it may have been.
        """
        ...

    async def announce(self, resource: PolicyResource, *, reason: str, message: str, warning: bool) -> None:
        """Record an event about a resource.

        Args:
            resource: What it is about.
            reason: One word, for programs.
            message: For people.
            warning: Whether somebody should look.

        Raises:
            ApiError: It was not recorded; where that is Unreachable, it may have been.
        """
        ...


class RouterReports(Protocol):
    """What routers report."""

    async def report(self, address: str) -> Report:
        """The report of the router at an address.

        Raises:
            RouterLost: There is none, or it does not answer in time.
        """
        ...
