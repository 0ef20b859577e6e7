"""Rules by which certificates belong to tenants."""

from __future__ import annotations

import pytest

from steersman.identity.certificates import Rule, Rules, RulesFileError, parse
from steersman.identity.shown import Peer

WEB = "spiffe://cluster.local/ns/search/sa/web"


@pytest.mark.parametrize(
    ("rule", "peer", "holds"),
    [
        (Rule("t", uri=WEB), Peer((WEB,)), True),
        (Rule("t", uri="spiffe://cluster.local/ns/search/sa/*"), Peer(("https://other", WEB)), True),
        (Rule("t", uri="spiffe://*/ns/search/sa/web"), Peer((WEB,)), True),
        (Rule("t", uri="spiffe://cluster.local/ns/*"), Peer((WEB,)), False),
        (Rule("t", uri="spiffe://cluster.local/ns/search/sa/*"), Peer((f"{WEB}/x",)), False),
        (Rule("t", uri="spiffe://cluster.local/ns/search/sa/*"), Peer((f"x{WEB}",)), False),
        (Rule("t", uri="spiffe://cluster.local/ns/search/sa/*"), Peer((f"{WEB}\n",)), True),
        (Rule("t", uri="spiffe://cluster.local"), Peer(("spiffe://clusterxlocal",)), False),
        (Rule("t", uri=WEB), Peer((), "CN=web"), False),
        (Rule("t", subject="CN=web,O=Search"), Peer((), "CN=web,O=Search"), True),
        (Rule("t", subject="CN=web"), Peer((), "CN=web,O=Search"), False),
        (Rule("t", uri=WEB, subject="CN=web"), Peer((WEB,), "CN=other"), False),
    ],
)
def test_a_rule_holds_for_what_it_says_and_nothing_like_it(rule: Rule, peer: Peer, *, holds: bool) -> None:
    assert rule.holds(peer) is holds


def test_the_first_rule_that_holds_decides() -> None:
    rules = Rules.of([Rule("first", uri=WEB), Rule("second", uri="spiffe://cluster.local/ns/*/sa/*")])
    assert rules.tenant(Peer((WEB,))) == "first"
    assert rules.tenant(Peer((WEB.replace("web", "other"),))) == "second"
    assert rules.tenant(Peer()) is None


def test_a_file_is_read_in_its_order() -> None:
    text = b'certificates: [{uri: "a*", tenant: search}, {subject: "CN=x", tenant: mail}]'
    assert parse(text) == Rules((Rule("search", uri="a*"), Rule("mail", subject="CN=x")))
    assert parse(b"") == Rules()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"certificates: [{tenant: mail}]", "certificates.0: give a uri or a subject"),
        (b"certificates: [{uri: a, tenant: NOT}]", "certificates.0.tenant"),
        (b"certificates: [{url: a, tenant: mail}]", "certificates.0.url"),
        (b"{", "not YAML"),
    ],
)
def test_what_is_not_valid_is_refused_and_named(text: bytes, complaint: str) -> None:
    with pytest.raises(RulesFileError, match=complaint.replace(".", r"\.")):
        parse(text)
