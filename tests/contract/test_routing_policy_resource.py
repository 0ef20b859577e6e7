"""What the API server says to a RoutingPolicy: what is right is taken, and what is wrong is refused with a way out."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.real_cluster import Space

pytestmark = pytest.mark.cluster

TWO = {"tiers": ["weak", "strong"], "threshold": 0.7}
THREE = {"tiers": ["a", "b", "c"], "boundaries": [0.5, 0.9]}


def said(space: Space, spec: dict[str, Any], name: str = "tried") -> str:
    """What the API server has against a resource; it is not kept."""
    content = {
        "apiVersion": "steersman.dev/v1alpha1",
        "kind": "RoutingPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }
    return space.kubectl("apply", "--dry-run=server", "--filename=-", content=content).stderr


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(TWO, id="two tiers and a threshold"),
        pytest.param({"tiers": ["weak", "strong"], "boundaries": [0.7]}, id="two tiers and a boundary"),
        pytest.param({"tiers": ["weak"]}, id="one tier"),
        pytest.param(THREE, id="three tiers"),
        pytest.param({**THREE, "boundaries": [0.5, 0.5]}, id="a tier that is left out"),
        pytest.param({**TWO, "threshold": 0}, id="everything to strong"),
        pytest.param({**TWO, "outOfDomain": {}}, id="the usual rule for queries out of domain"),
        pytest.param({**TWO, "outOfDomain": {"rule": "Score"}}, id="no rule for queries out of domain"),
        pytest.param({**TWO, "outOfDomain": {"novelty": 1, "rule": "Strong"}}, id="nothing but odd texts"),
        pytest.param({**TWO, "sticky": {}}, id="the usual way with conversations"),
        pytest.param({**TWO, "sticky": {"moves": "Free"}}, id="no heed of conversations"),
        pytest.param({**TWO, "sticky": {"moves": "Both", "hysteresis": 0}}, id="the quickest conversations"),
        pytest.param({**TWO, "threshold": 1}, id="nearly everything to weak"),
        pytest.param(
            {**TWO, "fallback": "Weak", "tierFallback": False, "whenCold": "Wait"}, id="all options"
        ),
    ],
)
def test_what_is_right_is_taken(space: Space, spec: dict[str, Any]) -> None:
    assert said(space, spec) == ""


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        pytest.param(
            {"tiers": ["weak", "strong"]},
            "spec: Invalid value: say where a query moves to a dearer tier: threshold for two tiers, or boundaries, "
            "one fewer than tiers",
            id="neither",
        ),
        pytest.param(
            {**TWO, "boundaries": [0.7]}, "threshold and boundaries say the same; keep one of them", id="both"
        ),
        pytest.param(
            {"tiers": ["weak"], "threshold": 0.7},
            "a policy with one tier decides nothing; remove threshold and boundaries, or add a tier",
            id="a threshold without a choice",
        ),
        pytest.param(
            {"tiers": ["a", "b", "c"], "threshold": 0.7},
            "threshold is for two tiers; give boundaries instead, one fewer than tiers",
            id="one threshold for three tiers",
        ),
        pytest.param(
            {**THREE, "boundaries": [0.5]},
            "there must be one boundary fewer than tiers; each says where a query moves to the next tier",
            id="too few boundaries",
        ),
        pytest.param(
            {**THREE, "boundaries": [0.9, 0.5]},
            "spec.boundaries: Invalid value: boundaries must ascend, as tiers do in cost, such as [0.5, 0.9]",
            id="boundaries that fall",
        ),
        pytest.param(
            {**TWO, "tiers": ["weak", "weak"]},
            "spec.tiers: Invalid value: a tier may stand in a policy once; name each tier once, cheapest first",
            id="a tier twice",
        ),
        pytest.param(
            {**TWO, "tiers": ["weak", "Strong"]}, "a tier's name has small letters", id="no name of a tier"
        ),
        pytest.param({**TWO, "tiers": []}, "spec.tiers in body should have at least 1 items", id="no tier"),
        pytest.param({**TWO, "threshold": 1.5}, "should be less than or equal to 1", id="over 1"),
        pytest.param({**TWO, "threshold": -0.1}, "should be greater than or equal to 0", id="below 0"),
        pytest.param(
            {**TWO, "fallback": "strong"},
            'supported values: "Proportional", "Strong", "Weak"',
            id="no choice",
        ),
        pytest.param(
            {**TWO, "outOfDomain": {"novelty": 0}},
            "spec.outOfDomain.novelty in body should be greater than 0",
            id="everything is novel",
        ),
        pytest.param({**TWO, "outOfDomain": {"novelty": 99}}, "less than or equal to 1", id="percent"),
        pytest.param(
            {**TWO, "outOfDomain": {"rule": "score"}},
            'supported values: "Proportional", "Strong", "Weak", "Score"',
            id="no rule",
        ),
        pytest.param(
            {**TWO, "outOfDomain": {"novel": 0.9}}, 'unknown field "spec.outOfDomain.novel"', id="no novelty"
        ),
        pytest.param(
            {**TWO, "sticky": {"moves": "upward"}},
            'supported values: "Upward", "Both", "Free"',
            id="no way to move",
        ),
        pytest.param({**TWO, "sticky": {"hysteresis": 5}}, "less than or equal to 1", id="points"),
        pytest.param({**TWO, "treshold": 0.7}, 'unknown field "spec.treshold"', id="a misspelt field"),
    ],
)
def test_what_is_wrong_is_refused_with_a_way_out(space: Space, spec: dict[str, Any], sentence: str) -> None:
    # Between the two stands the type of the value, in words of the API server's own.
    complaint = said(space, spec).replace('"object": ', "").replace('"array": ', "")
    assert sentence in complaint


def test_a_name_too_long_to_be_a_model_is_refused(space: Space) -> None:
    assert "the name is what callers write as their model; at most 63 characters" in said(
        space, TWO, name="a" * 64
    )


def test_people_see_the_rule_and_how_far_it_has_got(space: Space) -> None:
    space.apply(
        {
            "apiVersion": "steersman.dev/v1alpha1",
            "kind": "RoutingPolicy",
            "metadata": {"name": "shown"},
            "spec": TWO,
        }
    )
    status = {
        "status": {
            "strongShare": 0.3,
            "conditions": [
                {
                    "type": "Programmed",
                    "status": "True",
                    "reason": "AllRouters",
                    "message": "2 of 2 routers decide by this generation",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }
            ],
        }
    }
    patched = space.kubectl(
        "patch", "routingpolicy", "shown", "--subresource=status", "--type=merge", "--patch-file=/dev/stdin",
        content=status,
    )  # fmt: skip
    assert patched.returncode == 0, patched.stderr

    header, line = space.kubectl("get", "routingpolicies").stdout.splitlines()

    assert header.split()[:2] == ["NAME", "TIERS"]
    assert [
        line[header.index(title) :].split()[0] for title in ("TIERS", "THRESHOLD", "STRONG", "PROGRAMMED")
    ] == [
        '["weak","strong"]',
        "0.7",
        "0.3",
        "True",
    ]
