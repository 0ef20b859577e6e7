from __future__ import annotations

import math

import pytest

from fakes.reviewer import a_token
from steersman.identity.keys import PREFIX
from steersman.identity.service_accounts import Account, Rule, account_of, expiry, is_token, tenant_of


@pytest.mark.parametrize(
    ("user", "account"),
    [
        ("system:serviceaccount:search:web", Account("search", "web")),
        ("system:serviceaccount:search:", None),
        ("system:serviceaccount:search", None),
        ("system:node:node-1", None),
        ("search:web", None),
        ("", None),
    ],
)
def test_only_the_user_of_a_service_account_is_one(user: str, account: Account | None) -> None:
    assert account_of(user) == account


RULES = [
    Rule("search", "batch-*", "nightly"),
    Rule("search", "*", "search"),
    Rule("team-*", "web"),
]


@pytest.mark.parametrize(
    ("account", "tenant"),
    [
        (Account("search", "batch-7"), "nightly"),
        (Account("search", "web"), "search"),
        (Account("team-a", "web"), "team-a"),
        (Account("team-a", "other"), None),
        (Account("xsearch", "web"), None),
        (Account("searchx", "batch-7"), None),
    ],
)
def test_the_first_rule_that_covers_an_account_says_whose_requests_it_makes(
    account: Account, tenant: str | None
) -> None:
    assert tenant_of(account, RULES) == tenant


def test_a_key_is_no_token_and_a_token_is_no_key() -> None:
    assert is_token(a_token())
    assert not a_token().startswith(PREFIX)
    assert not is_token(f"{PREFIX}0123-4567")
    assert not is_token("eyJ" + "x" * 10_000 + "..")


def test_the_end_of_a_token_is_read_where_it_is_for_the_audience() -> None:
    assert expiry(a_token(ends=1_800_000_000), audience="steersman") == 1.8e9
    assert expiry(a_token(audience=["a", "steersman"], ends=5), audience="steersman") == 5.0
    assert expiry(a_token(audience="steersman-2"), audience="steersman") is None


@pytest.mark.parametrize(
    "token",
    [
        "eyJ.x.y",
        "eyJ.!!!.y",
        "eyJ..",
        "eyJ",
        "",
        a_token(ends="never"),
        a_token(ends=10**400),
        a_token(ends=math.inf),
        a_token(ends=math.nan),
        a_token(ends=None, aud=7),
        a_token(audience=None),
        "eyJ.WyJhIl0.y",
        "eyJ.bnVsbA.y",
    ],
)
def test_what_is_no_token_has_no_end(token: str) -> None:
    assert expiry(token, audience="steersman") is None
