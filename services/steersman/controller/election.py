"""Takes part in the election: looks at the Lease again and again, and works while it leads, and never longer."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from steersman.controller.lease import Candidate, Terms
from steersman.controller.ports import Leases
from steersman.runtime.kubernetes.api import ApiError, Conflict
from steersman.runtime.tasks import BackgroundTasks

log = logging.getLogger(__name__)

_RESIGN_SECONDS: Final = 3.0


@dataclass(slots=True)
class Election:
    """One replica's part in it, for as long as the process lives.

    Args:
        candidate: Knows the rules.
        terms: How long things last.
        leases: Where the Lease is.
        work: What the leader does, without end.
        on_api_error: Told each time that the Lease cannot be read or written.
        on_failure: Told when the work fails; it is started anew.
    """

    candidate: Candidate
    terms: Terms
    leases: Leases
    work: Callable[[], Awaitable[None]]
    on_api_error: Callable[[], None] = lambda: None
    on_failure: Callable[[str], None] = lambda _: None
    leads: bool = field(default=False, init=False)
    """Whether the work is being done."""
    sees: bool = field(default=False, init=False)
    """Whether the Lease could be read or written the last time, so that it is known who leads."""

    async def run(self) -> None:
        """Campaign and lead in turn; for a background task. Whoever ends it calls `resign` next."""
        while True:
            await self.look()
            if self.candidate.leads_for > 0:
                await self._lead()
            await asyncio.sleep(self.terms.retry * random.uniform(0.8, 1.0))  # noqa: S311 - no secret

    async def look(self, *, within: float | None = None) -> None:
        """Look at the Lease, and take or renew it where that may be done; what fails is left for the next look.

        Args:
            within: Seconds that it may take; `terms.deadline` where None.
        """
        try:
            async with asyncio.timeout(self.terms.deadline if within is None else within):
                await self._look()
        except (ApiError, TimeoutError) as error:
            log.warning("lease not read or written", extra={"error": str(error) or "no answer in time"})
            self.sees = False
            self.on_api_error()
        else:
            self.sees = True

    async def resign(self) -> None:
        """Give the Lease back, so that another may lead at once; where that fails, it lapses."""
        with suppress(ApiError, TimeoutError):
            async with asyncio.timeout(_RESIGN_SECONDS):
                # Read first: a write that was cut off may have been stored all the same.
                if (lease := self.candidate.resign(await self.leases.read())) is not None:
                    await self.leases.write(lease)
                    log.info("lease given back")

    async def _look(self) -> None:
        # A leader's own last word is enough: had another written since, the write would be refused.
        seen = self.candidate.held if self.candidate.leads_for > 0 else None
        if (wanted := self.candidate.wanted(seen or await self.leases.read())) is None:
            return
        try:
            self.candidate.won(await self.leases.write(wanted))
        except Conflict:
            self.candidate.wanted(await self.leases.read())  # only to see who was first

    async def _lead(self) -> None:
        self.leads = True
        log.info("leading", extra={"identity": self.candidate.identity})
        try:
            async with BackgroundTasks(on_failure=self.on_failure) as tasks:
                tasks.start("reconciling", self.work)
                while (left := self.candidate.leads_for) > 0:
                    await asyncio.sleep(min(self.terms.retry, left))
                    # Where the lead is over by now, to ask once more would be to work on for as long as nobody answers.
                    if (left := self.candidate.leads_for) > 0:
                        await self.look(within=left)
        finally:
            self.leads = False
            log.info("leading no more", extra={"identity": self.candidate.identity})
