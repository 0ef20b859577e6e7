from __future__ import annotations

from dataclasses import replace

import pytest

from fakes.catalogue import a_catalogue, a_policy
from fakes.router import RouterOnFakes, a_request, router_on_fakes
from steersman.router.choosing import model_names
from steersman.router.model import CacheState, Catalogue, Rights
from steersman.runtime.errors import UnknownModel

POLICIES = (a_policy(), a_policy("frugal", tiers=("weak",), boundaries=()))
EVERYTHING = ["auto", "frugal", "weak", "strong"]


async def router_for(rights: Rights) -> RouterOnFakes:
    """A router with one tenant on its list, `team`."""
    catalogue = replace(a_catalogue(*POLICIES), tenants={"team": rights})
    return await router_on_fakes(catalogue)


def models(catalogue: Catalogue, tenant: str) -> list[str]:
    return model_names(catalogue, catalogue.rights(tenant))


def test_without_a_list_of_tenants_every_tenant_may_ask_for_everything() -> None:
    assert models(a_catalogue(*POLICIES), "anybody") == EVERYTHING


@pytest.mark.parametrize(
    ("rights", "allowed"),
    [
        (Rights(), EVERYTHING),
        (Rights(policies=frozenset({"auto"})), ["auto", "weak", "strong"]),
        (Rights(tiers=frozenset({"weak"})), ["frugal", "weak"]),
        (Rights(policies=frozenset({"auto"}), tiers=frozenset({"weak"})), ["weak"]),
        (Rights(policies=frozenset(), tiers=frozenset()), []),
    ],
)
async def test_a_tenant_is_told_of_what_it_may_ask_for_and_gets_it_and_nothing_else(
    rights: Rights, allowed: list[str]
) -> None:
    router = await router_for(rights)
    assert models(router.routing.catalogue, "team") == allowed
    for model in EVERYTHING:
        asked = a_request(model=model, tenant="team")
        if model in allowed:
            await router.decided(asked)
        else:
            with pytest.raises(UnknownModel) as told:
                await router.decided(asked)
            there_are = told.value.message.partition("there are ")[2]
            assert there_are == (", ".join(allowed) or "none for this tenant")


async def test_a_tenant_that_is_not_on_the_list_may_ask_for_nothing() -> None:
    router = await router_for(Rights())
    with pytest.raises(UnknownModel, match="none for this tenant"):
        await router.decided(a_request(tenant="stranger"))


async def test_what_a_tenant_may_not_ask_for_looks_like_what_there_is_not() -> None:
    router = await router_for(Rights(policies=frozenset({"frugal"})))
    refusals = []
    for model in ("auto", "no-such"):
        with pytest.raises(UnknownModel) as told:
            await router.decided(a_request(model=model, tenant="team"))
        refusals.append(told.value.message)
    assert refusals[0] == refusals[1]


async def test_a_tier_is_found_by_its_models_name_only_where_it_may_be_used() -> None:
    router = await router_for(Rights(tiers=frozenset({"weak"})))
    model = router.routing.catalogue.tiers["strong"].model
    with pytest.raises(UnknownModel):
        await router.decided(a_request(model=model, tenant="team"))


async def test_a_tenant_may_have_a_default_policy_of_its_own() -> None:
    router = await router_for(Rights(default_policy="frugal"))
    assert (await router.decided(a_request(tenant="team"))).policy.name == "frugal"


async def test_a_score_is_cached_for_the_tenant_that_asked_alone() -> None:
    catalogue = replace(a_catalogue(), tenants={"one": Rights(), "other": Rights()})
    router = await router_on_fakes(catalogue)
    states = [
        (await router.decided(a_request(tenant=tenant))).scored.cache for tenant in ("one", "other", "one")
    ]
    assert states == [CacheState.MISS, CacheState.MISS, CacheState.L1_HIT]
