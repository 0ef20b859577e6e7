"""The Secret with the file of API keys, followed by the Kubernetes API: the kubelet needs a minute for a change."""

from __future__ import annotations

import base64
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from steersman.identity import key_file
from steersman.identity.keys import Keyring
from steersman.runtime.kubernetes.api import Resource, Watchable
from steersman.runtime.kubernetes.reflector import Objects, Reflector

log = logging.getLogger(__name__)


@dataclass(slots=True)
class KeysSecret:
    """Reads one Secret. When it cannot be used, or is gone, the keys that were in force stay.

    Args:
        name: Of the Secret.
        entry: Name of the file in it.
        take: Puts keys to use.
        on_reload: Told whether a changed Secret was `taken` or `refused`.
    """

    name: str
    entry: str
    take: Callable[[Keyring], Awaitable[None]]
    on_reload: Callable[[str], None]
    _text: bytes | None = field(default=None, init=False)

    @property
    def resource(self) -> Resource:
        """The Secret alone: a router may see no other."""
        return Resource("", "v1", "secrets", self.name)

    def reflector(self, api: Watchable, namespace: str, on_error: Callable[[str], None]) -> Reflector:
        """What follows it."""
        return Reflector(api, self.resource, namespace, self._changed, on_error)

    async def _changed(self, objects: Objects) -> None:
        text = self._read(objects)
        if text is None or text == self._text:
            return
        self._text = text
        try:
            keyring = key_file.parse(text)
        except ValueError as error:
            log.error("keys refused, the old ones stay", extra={"secret": self.name, "error": str(error)})  # noqa: TRY400 - no bug
            self.on_reload("refused")
            return
        await self.take(keyring)
        self.on_reload("taken")

    def _read(self, objects: Objects) -> bytes | None:
        """The file in the Secret; None where there is none."""
        found = objects.get(self.name)
        encoded = None if found is None else (found.content.get("data") or {}).get(self.entry)
        if encoded is None:
            log.warning(
                "there is no Secret with keys, those that are known stay", extra={"secret": self.name}
            )
            return None
        return base64.b64decode(encoded)
