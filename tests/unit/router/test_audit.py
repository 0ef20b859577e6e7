from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from fakes.catalogue import a_catalogue, a_policy, a_resource
from steersman.identity.keys import Change, Keyring, make
from steersman.router import audit
from steersman.router.model import Catalogue, Rights, UpstreamSpec

NOW = datetime(2026, 11, 24, tzinfo=UTC)
TEXT, ONE = make("search", created=NOW)
_, TWO = make("mail", created=NOW)


@pytest.fixture(autouse=True)
def _heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "steersman.audit")


def last(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    return vars(caplog.records[-1])


def test_a_change_of_keys_is_told_by_ids_and_digests_and_by_whom(caplog: pytest.LogCaptureFixture) -> None:
    made = Change(NOW, "ada", "create", TWO.id)
    before = Keyring.of([ONE], [Change(NOW, "ada", "create", ONE.id)])
    after = Keyring.of([replace(ONE, revoked=NOW), TWO], [*before.history, made])
    audit.keys(before, after, source="secret")
    line = last(caplog)
    assert (line["source"], line["added"], line["removed"]) == ("secret", [TWO.id], [])
    assert (line["revoked"], line["changed"]) == ([ONE.id], [ONE.id])
    assert line["history"] == [f"2026-11-24T00:00:00+00:00 ada create {TWO.id}"]
    assert line["digest_before"] != line["digest_after"]
    told = str({name: value for name, value in line.items() if name != "msg"})
    assert TEXT.rpartition("-")[2] not in told
    assert ONE.sha256 not in told


def test_the_digest_is_of_the_keys_so_that_replicas_agree(caplog: pytest.LogCaptureFixture) -> None:
    audit.keys(Keyring(), Keyring.of([ONE]), source="file")
    one = last(caplog)["digest_after"]
    audit.keys(Keyring.of([ONE]), Keyring.of([TWO]), source="secret")
    assert last(caplog)["digest_before"] == one


def test_what_is_the_same_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    audit.keys(Keyring.of([ONE]), Keyring.of([ONE]), source="file")
    assert not caplog.records


def test_a_change_of_policies_is_told_by_names_versions_and_sources(caplog: pytest.LogCaptureFixture) -> None:
    before = a_catalogue(a_policy("auto"), a_policy("gone"))
    after = a_catalogue(
        replace(a_policy("auto", resource=a_resource(generation=3)), version="v2"), a_policy("new")
    )
    audit.policies(before, after)
    line = last(caplog)
    assert line["policies"] == {
        "auto": ["v-of-auto of file", "v2 of generation 3"],
        "gone": ["v-of-gone of file", None],
        "new": [None, "v-of-new of file"],
    }
    assert (line["tiers"], line["tenants"], line["default_policy"]) == ({}, {}, ["auto", "auto"])


def test_a_change_of_tenants_or_of_tiers_is_told_without_what_is_secret_in_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = a_catalogue()
    dearer = replace(
        before.tiers["strong"], upstream=UpstreamSpec("openai", "https://x", api_key="sk-very-secret")
    )
    after: Catalogue = replace(before, tiers={**before.tiers, "strong": dearer}, tenants={"search": Rights()})
    audit.policies(before, after)
    line = last(caplog)
    assert (list(line["tiers"]), list(line["tenants"])) == (["strong"], ["search"])
    assert line["tenants_told_apart"]
    assert "sk-very-secret" not in str(line)


def test_whose_prompts_are_kept_is_told(caplog: pytest.LogCaptureFixture) -> None:
    tenants = {"search": Rights(captured={"auto": 0.05}), "mail": Rights()}
    audit.policies(a_catalogue(), replace(a_catalogue(), tenants=tenants))
    assert last(caplog)["captured"] == {"search": {"auto": 0.05}}
