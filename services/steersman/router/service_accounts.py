"""Callers known by the token of their ServiceAccount, which the API server reviews.

A review is remembered for a while under a hash of the token, so that a caller's requests cost the API server one call
a minute. While the API server is away, whom it has known goes on for a stated time; whom it has not is told to come
again. Many requests with one token wait for one review, and not more than some reviews are under way at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from steersman.identity.service_accounts import Rule, account_of, expiry, tenant_of
from steersman.router.callers import Refuse
from steersman.router.model import Caller
from steersman.runtime.errors import Unavailable
from steersman.runtime.kubernetes.api import ApiError, TokenReviewer

_AT_ONCE: Final = 32
"""Reviews under way; a caller who would need one more is told to come again."""
_FOR_KNOWN: Final = 8
"""So many of them are kept for tokens that are known."""
_PAUSE_SECONDS: Final = 5.0
"""After a review that failed, until the same token is reviewed again."""
_REFUSED_SECONDS: Final = 10.0
"""How long it is remembered that a token is not valid."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How tokens are taken.

    Args:
        audience: For whom a token must have been made.
        rules: Whose requests a ServiceAccount makes.
        fresh_seconds: How long a review is good for.
        stale_seconds: How long it is good for while the API server is away.
        timeout: Seconds that a review may take.
        entries: Tokens that are remembered.
    """

    audience: str
    rules: Sequence[Rule]
    fresh_seconds: float
    stale_seconds: float
    timeout: float
    entries: int


@dataclass(frozen=True, slots=True)
class _Reviewed:
    """What came of a token's review."""

    caller: Caller | None
    until: float
    """When it is to be reviewed again."""
    at_most: float = 0.0
    """Until when it may stand in for a review that fails."""


class ServiceAccounts:
    """See above.

    Args:
        reviewer: The API server.
        terms: How tokens are taken.
        refuse: Makes the error for who is not known.
        on_review: Told what each review came to: `known`, `denied`, `failed`, or `stale` where an older one stood in.
        clock: Monotonic seconds.
        now: Seconds since the epoch. It tells how long a token has left when it comes, and nothing afterwards: a clock
            that is set back makes no word of the API server last longer.
    """

    def __init__(
        self,
        reviewer: TokenReviewer,
        terms: Terms,
        *,
        refuse: Refuse,
        on_review: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._reviewer = reviewer
        self._terms = terms
        self._refuse = refuse
        self._on_review = on_review
        self._clock = clock
        self._now = now
        # Those not reviewed for longest first; apart, so that worthless tokens displace none that are known.
        self._known: dict[bytes, _Reviewed] = {}
        self._denied: dict[bytes, _Reviewed] = {}
        self._under_way: dict[bytes, asyncio.Task[_Reviewed]] = {}

    async def close(self) -> None:
        """End the reviews that are under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def identify(self, token: str) -> Caller:
        """Whose token it is.

        Raises:
            Unauthenticated: Nobody's who is known.
            Unavailable: The API server does not say.
        """
        key = hashlib.sha256(token.encode(errors="surrogateescape")).digest()
        reviewed = self._known.get(key) or self._denied.get(key)
        if reviewed is None or reviewed.until <= self._clock():
            reviewed = await self._asked(key, token)
        if reviewed.caller is None:
            raise self._refuse("token")
        return reviewed.caller

    async def _asked(self, key: bytes, token: str) -> _Reviewed:
        """What a review comes to; one that is under way already is waited for."""
        task = self._under_way.get(key)
        if task is None:
            ends = expiry(token, audience=self._terms.audience)
            if ends is None or ends <= self._now():  # what the API server would refuse too
                return _Reviewed(None, 0.0)
            if len(self._under_way) >= (_AT_ONCE if key in self._known else _AT_ONCE - _FOR_KNOWN):
                return self._stands_in(key)  # strangers with made-up tokens keep nobody out who is known
            ends_at = self._clock() + ends - self._now()
            task = self._under_way[key] = asyncio.create_task(self._review(key, token, ends_at))
            task.add_done_callback(partial(self._done, key))
        return await asyncio.shield(task)  # whoever leaves does not end it for the others

    async def _review(self, key: bytes, token: str, ends: float) -> _Reviewed:
        try:
            async with asyncio.timeout(self._terms.timeout):
                user = await self._reviewer.review(token, audience=self._terms.audience)
        except (ApiError, TimeoutError):
            reviewed = self._stands_in(key)
        else:
            reviewed = self._of(user, ends)
        self._keep(key, reviewed)
        return reviewed

    def _of(self, user: str | None, ends: float) -> _Reviewed:
        account, now = account_of(user or ""), self._clock()
        tenant = None if account is None else tenant_of(account, self._terms.rules)
        if account is None or tenant is None:
            self._on_review("denied")
            return _Reviewed(None, min(ends, now + _REFUSED_SECONDS))
        self._on_review("known")
        caller = Caller(tenant, f"{account.namespace}/{account.name}")
        return _Reviewed(
            caller, min(ends, now + self._terms.fresh_seconds), min(ends, now + self._terms.stale_seconds)
        )

    def _stands_in(self, key: bytes) -> _Reviewed:
        """The review before, where it is young enough.

        Raises:
            Unavailable: It is not, or there is none.
        """
        before, now = self._known.get(key), self._clock()
        if before is None or before.at_most <= now:
            self._on_review("failed")
            raise Unavailable("callers cannot be identified now", reason="IDENTITY_UNAVAILABLE")
        self._on_review("stale")
        return replace(before, until=min(before.at_most, now + _PAUSE_SECONDS))

    def _keep(self, key: bytes, reviewed: _Reviewed) -> None:
        kept = self._denied if reviewed.caller is None else self._known
        self._known.pop(key, None)
        self._denied.pop(key, None)
        kept[key] = reviewed
        if len(kept) > self._terms.entries:
            del kept[next(iter(kept))]

    def _done(self, key: bytes, task: asyncio.Task[_Reviewed]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # told to whoever waits; where nobody does any more, it is nobody's
