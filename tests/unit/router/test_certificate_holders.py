"""Callers known by certificates: a rule that holds decides, and who is none of its business is the others'."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from steersman.identity.certificates import Rule, Rules
from steersman.identity.keys import Keyring, make
from steersman.identity.shown import Peer, Shown
from steersman.router.callers import KeyHolders
from steersman.router.certificate_holders import CertificateHolders
from steersman.router.model import Caller
from steersman.runtime.errors import Unauthenticated

WEB = Peer(("spiffe://cluster.local/ns/search/sa/web",))
GATEWAY = Peer(("spiffe://cluster.local/ns/ingress/sa/nginx",))


async def test_a_certificate_decides_before_a_key_and_a_key_where_no_rule_holds() -> None:
    text, key = make("mail", created=datetime.now(UTC))
    refused: list[str] = []
    holders = CertificateHolders(KeyHolders(refused.append, keyring=Keyring.of([key])))
    await holders.take(Rules.of([Rule("search", uri="spiffe://cluster.local/ns/search/sa/*")]))
    bearer = f"Bearer {text}"
    assert await holders.identify(Shown(bearer, lambda: WEB)) == Caller("search")
    assert await holders.identify(Shown(None, lambda: WEB)) == Caller("search")
    assert await holders.identify(Shown(bearer, lambda: GATEWAY)) == Caller("mail", key.id)
    assert await holders.identify(Shown(bearer)) == Caller("mail", key.id)
    for shown in (Shown(None, lambda: GATEWAY), Shown()):
        with pytest.raises(Unauthenticated):
            await holders.identify(shown)
    assert refused == ["missing", "missing"]
