"""Tokens of ServiceAccounts checked by the keys of their issuer, for clusters that cannot be asked for a review.

Implements `steersman.runtime.kubernetes.api.TokenReviewer`, and stands in its place. The keys are fetched as a JSON Web
Key Set, again and again, and at once when a token names one that is not known, though not more often than every few
seconds: a stranger who makes up names costs the issuer nothing. Keys that were good stay while the issuer is away.
What a review by the API server knows and a signature cannot is whether the account, or its pod, is gone.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import jwt
import orjson

from steersman.runtime import bounded_body
from steersman.runtime.kubernetes.api import Unreachable

log = logging.getLogger(__name__)

_ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "ES256", "ES384", "ES512"})
"""Those with a public key: nobody can sign with what everybody may fetch."""
_LEAST_RSA_BITS: Final = 2048
_LONGEST: Final = 256 * 1024
_SOONEST_SECONDS: Final = 5.0
"""Between two times that the keys are fetched because a token names an unknown one."""
_FETCH_SECONDS: Final = 5.0
_OK: Final = 200
_LEEWAY_SECONDS: Final = 5.0
"""By how much clocks may differ."""
_CLAIMS: Final = ("iss", "sub", "aud", "exp")


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who makes tokens, and where its keys are.

    Args:
        name: What tokens have as `iss`.
        keys_url: Where its JSON Web Key Set is.
        ca_file: Authorities that its certificate may be by; the system's where None.
        token_file: File with what the router shows to get the keys; nothing where None.
        fresh_seconds: How often they are fetched.
        stale_seconds: How long those that were good stay while they cannot be fetched.
    """

    name: str
    keys_url: str
    ca_file: Path | None = None
    token_file: Path | None = None
    fresh_seconds: float = 300.0
    stale_seconds: float = 86_400.0


class IssuerKeys:
    """See above.

    Args:
        issuer: Whose keys.
        on_fetch: Told whether keys that were fetched were `taken`, or it `failed`.
        clock: Monotonic seconds.
    """

    def __init__(
        self, issuer: Issuer, *, on_fetch: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._on_fetch = on_fetch
        self._clock = clock
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._good_at = -float("inf")
        self._tried_at = -float("inf")
        self._fetching: asyncio.Task[None] | None = None
        """The last fetch, which may be over. It is nobody's who waits for it; `follow` ends it."""

    async def follow(self) -> None:
        """Fetch the keys again and again; for a background task, which ends the fetch that is under way with itself."""
        try:
            while True:
                await self._try(self._clock())
                await asyncio.sleep(self._issuer.fresh_seconds)
        finally:
            await self._end_fetch()

    async def review(self, token: str, *, audience: str) -> str | None:
        """See `steersman.runtime.kubernetes.api.TokenReviewer.review`."""
        try:
            key = await self._key(str(jwt.get_unverified_header(token).get("kid", "")))
            if key is None:
                return None
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=audience,
                issuer=self._issuer.name,
                leeway=_LEEWAY_SECONDS,
                options={"require": list(_CLAIMS)},
            )
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            return None
        return str(claims["sub"])

    async def _key(self, name: str) -> jwt.PyJWK | None:
        """The key of a name; None where the issuer has none.

        Raises:
            Unreachable: It cannot be told, because the issuer could not be asked.
        """
        if name not in self._keys or not self._usable:
            await self._try(self._clock() - _SOONEST_SECONDS)
        if not self._usable or (name not in self._keys and self._good_at < self._tried_at):
            raise Unreachable("the issuer's keys cannot be fetched")
        return self._keys.get(name)

    @property
    def _usable(self) -> bool:
        return self._clock() - self._good_at <= self._issuer.stale_seconds

    async def _try(self, unless_since: float) -> None:
        """Wait for the fetch that is under way, or for a new one unless that was tried since then."""
        if self._fetching is None or self._fetching.done():
            if self._tried_at > unless_since:
                return
            self._fetching = asyncio.create_task(self._fetch(), name="fetching an issuer's keys")
        # A review has less time than a fetch: who cannot wait for the keys leaves them to who comes next.
        await asyncio.shield(self._fetching)

    async def _fetch(self) -> None:
        """Fetch the keys; what stands stays where it fails."""
        self._tried_at = now = self._clock()
        try:
            self._keys = _usable_keys(await self._fetched())
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            log.warning("keys of an issuer cannot be fetched", extra={"error": _told(error)})
            self._on_fetch("failed")
            return
        self._good_at = now
        self._on_fetch("taken")

    async def _end_fetch(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    async def _fetched(self) -> Any:
        issuer = self._issuer
        context = await asyncio.to_thread(ssl.create_default_context, cafile=issuer.ca_file)
        headers = {}
        if issuer.token_file is not None:
            shown = await asyncio.to_thread(issuer.token_file.read_text)
            headers["Authorization"] = f"Bearer {shown.strip()}"
        timeout = aiohttp.ClientTimeout(total=_FETCH_SECONDS)
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), timeout=timeout) as session,
            session.get(issuer.keys_url, headers=headers, allow_redirects=False) as response,
        ):
            if response.status != _OK:
                raise ValueError(f"the answer has status {response.status}")
            return orjson.loads(await bounded_body.whole(response, longest=_LONGEST))


def _usable_keys(found: Any) -> dict[str, jwt.PyJWK]:
    """The keys of a set that can be used to check signatures, by their names.

    Raises:
        ValueError: There is none.
    """
    rows = found.get("keys") if isinstance(found, dict) else None
    keys = [_key_of(row) for row in rows] if isinstance(rows, list) else []
    usable = {key.key_id: key for key in keys if key is not None and key.key_id}
    if not usable:
        raise ValueError("there is no usable key in it")
    return usable


def _key_of(row: Any) -> jwt.PyJWK | None:
    try:
        key = jwt.PyJWK.from_dict(row)
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, LookupError):
        return None
    weak = key.key_type == "RSA" and key.key.key_size < _LEAST_RSA_BITS
    for_signatures = key.public_key_use in {None, "sig"} and key.algorithm_name in _ALGORITHMS
    return key if for_signatures and not weak else None


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__
