"""Which URLs may not be asked where hops are private: those in the clear that leave the pod.

The loopback may always be asked, since Envoy or an engine of the same pod is there. Other hosts may where an operator
has named them.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from steersman.runtime.settings import Tls

_HTTP_PORT: Final = 80


def refusal(url: str, settings: Tls) -> str | None:
    """Why a URL may not be asked, as the rest of a sentence that begins with its name; None where it may.

    Args:
        url: What is to be asked. Of it no more than host and port are told: the rest may be a secret.
        settings: How this process speaks, and whom it may ask in the clear.
    """
    if settings.folder is None:
        return None
    asked = _split(url)
    if asked.scheme == "https":
        return None
    host, port = _host(asked), asked.port or (_HTTP_PORT if asked.scheme == "http" else None)
    if _is_loopback(host) or any(_covers(each, host, port) for each in settings.plaintext_to):
        return None
    named = host if port is None else f"{host}:{port}"
    return (
        f"with TLS on, {named} would be asked in the clear: write https://, or name it in TLS__PLAINTEXT_TO"
    )


def _split(url: str) -> SplitResult:
    return urlsplit(url if "://" in url else f"//{url}")


def _host(asked: SplitResult) -> str:
    return (asked.hostname or "").rstrip(".")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _covers(allowed: str, host: str, port: int | None) -> bool:
    entry = _split(allowed)
    return _host(entry) == host and entry.port in {None, port}
