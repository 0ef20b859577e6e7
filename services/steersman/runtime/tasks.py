"""Background work with an owner: started under a name, restarted when it fails, ended with its group."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self

log = logging.getLogger(__name__)

_RESTART_SECONDS: Final = 1.0


class BackgroundTasks:
    """Owns background tasks; leaving the context cancels them and waits for them.

    Args:
        on_failure: Called with the task's name each time one fails, for a metric.
    """

    def __init__(self, *, on_failure: Callable[[str], None] = lambda _: None) -> None:
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` until this group ends, starting it anew when it fails."""
        task = asyncio.create_task(self._supervise(name, work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _supervise(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except (
                Exception,
                asyncio.CancelledError,
            ) as error:  # a process edge: it is logged, counted and tried again
                if isinstance(error, asyncio.CancelledError) and _ends():
                    raise
                log.exception("background task failed", extra={"task": name})
                self._on_failure(name)
                await asyncio.sleep(_RESTART_SECONDS)
            else:
                return


def _ends() -> bool:
    """Whether the task itself was cancelled, and not only what it waited for, as a call whose channel is closed is."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
