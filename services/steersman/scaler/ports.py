"""What the scaler needs of the outside; it has its adapter, and a fake in the tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from steersman.scaler.model import Report


class RouterLost(Exception):
    """A router cannot be heard, or not any more."""


class RouterDemand(Protocol):
    """The demand that routers report."""

    def reports(self, address: str) -> AsyncGenerator[Report, None]:
        """What the router at an address reports: at once, then whenever it changes, and now and then anyway.

        It ends when the router ends it. Closing the generator closes the connection.

        Raises:
            RouterLost: There is no router, or its connection broke, or it has said nothing for too long.
        """
        ...
