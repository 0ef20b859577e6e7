"""A fake of the API server that knows tokens, and tokens to show it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fakes.gate import Gate
from steersman.identity.service_accounts import expiry
from steersman.runtime.kubernetes.api import ApiError


def a_token(*, audience: object = "steersman", ends: object = None, name: str = "web", **claims: Any) -> str:
    """What has the form of a token; its signature is worthless, as everybody's is but to the API server."""
    payload = {
        "aud": [audience] if isinstance(audience, str) else audience,
        "exp": int(time.time()) + 3600 if ends is None else ends,
        "sub": f"system:serviceaccount:search:{name}",
        **claims,
    }
    return ".".join((_encoded({"alg": "RS256"}), _encoded(payload), "c2lnbmF0dXJl"))


def _encoded(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


@dataclass
class FakeReviewer:
    """Implements `steersman.runtime.kubernetes.api.TokenReviewer`; its knobs are plain attributes.

    Attributes:
        users: By token.
        trouble: What every review meets, until it is None again.
        gate: Where reviews wait while it is closed.
        asked: Token and audience of each review.
    """

    users: dict[str, str] = field(default_factory=dict)
    trouble: ApiError | None = None
    gate: Gate = field(default_factory=Gate)
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def review(self, token: str, *, audience: str) -> str | None:
        """See `steersman.runtime.kubernetes.api.TokenReviewer.review`."""
        self.asked.append((token, audience))
        await self.gate.passed()
        if self.trouble is not None:
            raise self.trouble
        return None if expiry(token, audience=audience) is None else self.users.get(token)
