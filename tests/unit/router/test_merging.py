"""Which policies are in force, of those in the file and those in the cluster."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from fakes.catalogue import a_catalogue, a_policy, a_resource, a_tier
from steersman.router.merging import Offer, merge
from steersman.router.model import Catalogue, Policy, PolicyResource, Refusal

FILE = a_catalogue(a_policy("auto"), a_policy("careful", boundaries=[0.4]))
NOTHING = Catalogue({}, {}, "")


def resource_policy(
    name: str = "auto",
    *,
    generation: int = 1,
    threshold: float = 0.9,
    tiers: tuple[str, str] = ("weak", "strong"),
) -> Policy:
    """A policy that comes from a resource."""
    return a_policy(
        name, tiers=tiers, boundaries=[threshold], resource=a_resource(name, generation=generation)
    )


def in_force(catalogue: Catalogue, name: str = "auto") -> tuple[int, float]:
    """Generation, 0 for the file, and threshold of a policy."""
    policy = catalogue.policies[name]
    return policy.resource.generation if policy.resource else 0, policy.boundaries[0]


def test_without_resources_the_file_is_in_force() -> None:
    assert merge(FILE, (), before=NOTHING) == FILE


def test_a_resource_overrides_the_policy_of_its_name_and_no_other() -> None:
    merged = merge(FILE, [resource_policy("auto", generation=3)], before=NOTHING)
    assert in_force(merged) == (3, 0.9)
    assert merged.policies["careful"] == FILE.policies["careful"]


def test_a_resource_of_a_new_name_is_a_policy_more() -> None:
    merged = merge(FILE, [resource_policy("cheap")], before=NOTHING)
    assert list(merged.policies) == ["auto", "careful", "cheap"]
    assert merged.default_policy == "auto"


def test_a_resource_that_is_gone_leaves_the_name_to_the_file() -> None:
    before = merge(FILE, [resource_policy("auto")], before=NOTHING)
    assert merge(FILE, (), before=before) == FILE


def test_a_tier_that_is_not_in_the_catalogue_is_named_and_so_are_those_that_are() -> None:
    merged = merge(FILE, [resource_policy(tiers=("weak", "mighty"))], before=NOTHING)
    assert merged.refused == (
        Refusal(a_resource("auto"), "there is no tier mighty; there are weak, strong", 0),
    )
    assert merged.policies == FILE.policies


def test_a_policy_may_not_have_the_name_of_a_tier() -> None:
    merged = merge(FILE, [resource_policy("strong")], before=NOTHING)
    assert [refusal.reason for refusal in merged.refused] == [
        "strong is the name of a tier already; rename the policy"
    ]
    assert "strong" not in merged.policies


def test_one_that_is_refused_does_not_keep_another_from_being_taken() -> None:
    merged = merge(
        FILE,
        [Refusal(a_resource("auto"), "broken"), resource_policy("careful", generation=2)],
        before=NOTHING,
    )
    assert in_force(merged, "careful") == (2, 0.9)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(Refusal(a_resource("auto", generation=2), "broken"), id="that cannot be read"),
        pytest.param(
            resource_policy(generation=2, tiers=("weak", "mighty")), id="with a tier that there is not"
        ),
    ],
)
def test_a_generation_that_cannot_be_used_leaves_the_older_one_in_force(broken: Offer) -> None:
    before = merge(FILE, [resource_policy(generation=1)], before=NOTHING)
    merged = merge(FILE, [broken], before=before)
    assert in_force(merged) == (1, 0.9)
    assert [(each.resource.generation, each.generation_in_force) for each in merged.refused] == [(2, 1)]


def test_the_older_one_stays_however_often_the_catalogue_is_merged() -> None:
    merged = merge(FILE, [resource_policy(generation=1)], before=NOTHING)
    for _ in range(3):
        merged = merge(FILE, [Refusal(a_resource(generation=2), "broken")], before=merged)
    assert in_force(merged) == (1, 0.9)


def test_a_resource_that_was_made_anew_has_no_older_generation() -> None:
    before = merge(FILE, [resource_policy()], before=NOTHING)
    merged = merge(FILE, [Refusal(a_resource(uid="another"), "broken")], before=before)
    assert in_force(merged) == (0, 0.7)


def test_an_older_generation_whose_tier_has_left_the_file_goes_too() -> None:
    file = a_catalogue(tiers=[a_tier("weak"), a_tier("strong"), a_tier("mighty")])
    before = merge(file, [resource_policy(tiers=("weak", "mighty"))], before=NOTHING)
    merged = merge(FILE, [Refusal(a_resource(generation=2), "broken")], before=before)
    assert in_force(merged) == (0, 0.7)
    assert merged.refused[0].generation_in_force == 0


def test_a_resource_whose_tier_comes_back_is_taken_again() -> None:
    offer = resource_policy(tiers=("weak", "mighty"))
    file = a_catalogue(tiers=[a_tier("weak"), a_tier("strong"), a_tier("mighty")])
    without = merge(FILE, [offer], before=merge(file, [offer], before=NOTHING))
    assert in_force(without) == (0, 0.7)
    assert in_force(merge(file, [offer], before=without)) == (1, 0.9)


NAMES = st.sampled_from(["auto", "careful", "cheap", "weak", "strong"])
TIERS = st.sampled_from([("weak", "strong"), ("weak", "mighty"), ("weak", "weak-too")])


@st.composite
def offers(draw: st.DrawFn) -> list[Offer]:
    """What the resources of a namespace may come to."""
    made: list[Offer] = []
    for name in draw(st.sets(NAMES)):
        generation = draw(st.integers(min_value=1, max_value=9))
        policy = resource_policy(name, generation=generation, tiers=draw(TIERS))
        broken = Refusal(a_resource(name, generation=generation), "broken")
        made.append(policy if draw(st.booleans()) else broken)
    return made


def _resource(offer: Offer) -> PolicyResource:
    assert offer.resource is not None
    return offer.resource


@given(st.lists(offers(), max_size=4))
def test_whatever_the_resources_say_every_policy_in_force_can_be_carried_out(
    history: list[list[Offer]],
) -> None:
    merged = NOTHING
    for step in history:
        merged = merge(FILE, step, before=merged)
        assert merged.default_policy in merged.policies
        assert merged.policies.keys().isdisjoint(merged.tiers)
        assert all(set(policy.tiers) <= merged.tiers.keys() for policy in merged.policies.values())
        assert FILE.policies.keys() <= merged.policies.keys()


@given(st.lists(offers(), min_size=1, max_size=4))
def test_every_resource_is_in_force_or_refused_and_never_both(history: list[list[Offer]]) -> None:
    merged = NOTHING
    for step in history:
        merged = merge(FILE, step, before=merged)
        taken = {policy.resource for policy in merged.policies.values() if policy.resource}
        refused = {refusal.resource for refusal in merged.refused}
        offered = {_resource(offer) for offer in step}
        assert refused <= offered <= taken | refused
        assert {each.uid for each in taken} <= {each.uid for each in offered}


@given(offers(), offers())
def test_merging_the_same_again_changes_nothing(first: list[Offer], second: list[Offer]) -> None:
    before = merge(FILE, first, before=NOTHING)
    once = merge(FILE, second, before=before)
    assert replace(merge(FILE, second, before=once)) == once
