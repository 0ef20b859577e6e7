"""Whose certificates an engine may have: the system's authorities, or those of a file, which is followed."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from steersman.runtime.tasks import BackgroundTasks
from steersman.runtime.watched_file import WatchedFile

_NAME: Final = "authorities of an engine"


class Authorities:
    """Follows the file while the context lasts.

    Args:
        file: Certificates as PEM; the system's authorities where None.
        on_reload: Told whether a changed file was `taken` or `refused`; the one before counts on then.
    """

    def __init__(self, file: Path | None, on_reload: Callable[[str], None]) -> None:
        self._file = file
        self._on_reload = on_reload
        self._tasks = BackgroundTasks()
        self.context: ssl.SSLContext | bool = True
        """For a connection that is made now, as aiohttp takes it: True stands for the system's."""

    async def __aenter__(self) -> Self:
        """Read the file.

        Raises:
            OSError: It cannot be read.
            NotUsable: There are no certificates in it.
        """
        if self._file is not None:
            file = WatchedFile(_NAME, self._file, _context, self._take, self._on_reload)
            await file.load()
            self._tasks.start(_NAME, file.watch)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.__aexit__(kind, error, trace)

    async def _take(self, context: ssl.SSLContext) -> None:
        self.context = context


def _context(text: bytes) -> ssl.SSLContext:
    try:
        # Of no text at all the library would make the system's authorities.
        return ssl.create_default_context(cadata=text.decode("ascii") or "-")
    except (ssl.SSLError, ValueError):
        raise ValueError("there are no certificates in it that can be used") from None
