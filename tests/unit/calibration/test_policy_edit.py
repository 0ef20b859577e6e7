from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from steersman.calibration import policy_edit
from steersman.classifier.errors import DataError
from steersman.router.model import Fallback

PATH = Path("policies.yaml")
TEXT = """\
# Who answers, and what it costs.
tiers:
  weak: {model: small, upstream: {kind: backend, target: "weak:9000"}}
  mid:
    model: "middling"     # hosted
    upstream: {kind: openai, url: "https://example.com", api_key_env: A_KEY_THAT_IS_NOT_SET}
  strong: {model: large, upstream: {kind: backend, target: "strong:9000"}}
policies:
  auto: {tiers: [weak, strong], threshold: 0.7, fallback: weak}   # the default

  'listed':
    fallback: strong
    boundaries: [0.5,  0.8]  # two
    tiers: [weak, mid, strong]
  stacked:
    tiers: [weak, mid, strong]
    boundaries:
    - .5    # first
    - 0.8   # second
  single: {tiers: [weak]}
default_policy: auto
"""


def edited(text: str, policy: str, *boundaries: float) -> str:
    return policy_edit.with_boundaries(text, PATH, policy=policy, boundaries=boundaries)


@pytest.mark.parametrize(
    ("policy", "boundaries", "changes"),
    [
        ("auto", (0.1234,), {"threshold: 0.7": "threshold: 0.1234"}),
        ("listed", (0.25, 0.75), {"[0.5,  0.8]": "[0.25,  0.75]"}),
        ("stacked", (0.25, 0.75), {"- .5    #": "- 0.25    #", "- 0.8   #": "- 0.75   #"}),
    ],
)
def test_only_the_numbers_change(policy: str, boundaries: tuple[float, ...], changes: dict[str, str]) -> None:
    expected = TEXT
    for before, after in changes.items():
        expected = expected.replace(before, after)
    assert edited(TEXT, policy, *boundaries) == expected


@given(st.floats(0, 1))
def test_any_boundary_is_read_back_as_it_was_written(boundary: float) -> None:
    text = edited(TEXT, "auto", boundary)
    assert policy_edit.parse(text, PATH).policies["auto"].boundaries == (boundary,)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_foreign_letters_stay(end: str) -> None:
    text = ("# Größe \N{GRINNING FACE}\n" + TEXT).replace("\n", end)
    assert edited(text, "auto", 0.2) == text.replace("threshold: 0.7", "threshold: 0.2")


def test_a_boundary_that_is_shared_with_another_policy_is_left_alone() -> None:
    text = TEXT.replace("threshold: 0.7", "threshold: &shared 0.7").replace(
        "single: {tiers: [weak]}", "other: {tiers: [weak, strong], threshold: *shared}"
    )
    with pytest.raises(DataError, match=r"not written out there; write them yourself: 0.2"):
        edited(text, "other", 0.2)


def test_a_policy_that_is_merged_from_another_is_left_alone() -> None:
    text = TEXT.replace("auto: {", "auto: &auto {").replace("single: {tiers: [weak]}", "other: {<<: *auto}")
    with pytest.raises(DataError, match="write them yourself"):
        edited(text, "other", 0.2)


def test_a_policy_is_found_by_name_or_is_the_default_one() -> None:
    catalogue = policy_edit.parse(TEXT, PATH)
    assert policy_edit.policy_of(catalogue, None, PATH).name == "auto"
    assert policy_edit.policy_of(catalogue, "listed", PATH).boundaries == (0.5, 0.8)
    with pytest.raises(DataError, match="no policy other; there are auto, listed, stacked, single"):
        policy_edit.policy_of(catalogue, "other", PATH)


@pytest.mark.parametrize("text", ["", "tiers: {}", "a: b: c", "{"])
def test_a_policy_file_that_the_router_would_refuse_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"policies.yaml: "):
        policy_edit.parse(text, PATH)


def test_a_file_is_replaced_where_its_link_points_to_with_its_permissions(tmp_path: Path) -> None:
    target, link = tmp_path / "target.yaml", tmp_path / "link.yaml"
    target.write_text("before")
    target.chmod(0o600)
    link.symlink_to(target)
    policy_edit.replace(link, "after\r\n")
    assert link.is_symlink()
    assert target.read_bytes() == b"after\r\n"
    assert target.stat().st_mode & 0o777 == 0o600
    assert {each.name for each in tmp_path.iterdir()} == {"target.yaml", "link.yaml"}


def test_a_file_that_cannot_be_replaced_stays_and_nothing_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="cannot write"):
        policy_edit.replace(tmp_path / "folder", "after")
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


def test_what_is_no_text_or_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff")
    for name, message in (("binary", "not UTF-8"), ("nowhere", "cannot read")):
        with pytest.raises(DataError, match=message):
            policy_edit.read(tmp_path / name)


RESOURCES = """\
# What the team has agreed on.
apiVersion: v1
kind: Namespace
metadata: {name: steersman}
---
apiVersion: steersman.dev/v1alpha1
kind: RoutingPolicy
metadata:
  name: auto                      # what callers write
  namespace: steersman
  annotations: {threshold: "0.7"}
spec:
  threshold: 0.7   # agreed in May
  tiers: [weak, strong]
  outOfDomain: {rule: Score}
---
{"apiVersion": "steersman.dev/v1alpha1", "kind": "RoutingPolicy", "metadata": {"name": "three"},
 "spec": {"tiers": ["weak", "mid", "strong"], "boundaries": [0.5, 0.8], "fallback": "Weak"}}
"""
FIRST = "---".join(RESOURCES.split("---")[:2])


@pytest.mark.parametrize(
    ("policy", "boundaries", "changes"),
    [
        ("auto", (0.1234,), {"threshold: 0.7   #": "threshold: 0.1234   #"}),
        ("three", (0.25, 0.75), {"[0.5, 0.8]": "[0.25, 0.75]"}),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_only_the_numbers_of_a_resource_change(
    policy: str, boundaries: tuple[float, ...], changes: dict[str, str], end: str
) -> None:
    expected = RESOURCES
    for before, after in changes.items():
        expected = expected.replace(before, after)
    assert edited(RESOURCES.replace("\n", end), policy, *boundaries) == expected.replace("\n", end)


def test_a_resource_is_read_as_the_router_reads_it() -> None:
    found = policy_edit.parse_either(RESOURCES, PATH)
    auto, three = found.policies["auto"], found.policies["three"]
    assert (auto.tiers, auto.boundaries, auto.out_of_domain) == (("weak", "strong"), (0.7,), None)
    assert (three.boundaries, three.fallback) == ((0.5, 0.8), Fallback.WEAK)


def test_the_only_resource_of_a_file_needs_no_name_and_one_of_several_does() -> None:
    assert policy_edit.policy_of(policy_edit.parse_either(FIRST, PATH), None, PATH).name == "auto"
    several = policy_edit.parse_either(RESOURCES, PATH)
    assert policy_edit.policy_of(several, "three", PATH).name == "three"
    with pytest.raises(DataError, match="holds several policies; say which with --policy: auto, three"):
        policy_edit.policy_of(several, None, PATH)
    with pytest.raises(DataError, match="no policy other; there are auto, three"):
        policy_edit.policy_of(several, "other", PATH)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param(
            "threshold: 0.7   #", "treshold: 0.7   #", "RoutingPolicy auto: .*treshold", id="misspelt"
        ),
        pytest.param("threshold: 0.7   #", "threshold: 7   #", "RoutingPolicy auto: threshold", id="range"),
        pytest.param("rule: Score", "rule: Coin", "RoutingPolicy auto: outOfDomain.rule", id="rule"),
        pytest.param("  name: auto ", "  nickname: auto ", "without metadata.name", id="no name"),
        pytest.param("spec:\n", "specs:\n", "or without spec", id="no spec"),
        pytest.param(
            "kind: RoutingPolicy", "kind: Route", "no RoutingPolicy of steersman.dev", id="other kind"
        ),
        pytest.param("steersman.dev/", "example.com/", "no RoutingPolicy of steersman.dev", id="other group"),
        pytest.param("  name: auto ", "  name: auto\n  name: other ", "stands here twice", id="a key twice"),
    ],
)
def test_a_resource_that_the_router_would_refuse_is_refused(old: str, new: str, message: str) -> None:
    assert FIRST.count(old) == 1
    with pytest.raises(DataError, match=message):
        policy_edit.parse_either(FIRST.replace(old, new), PATH)


def test_two_resources_of_one_name_are_refused() -> None:
    with pytest.raises(DataError, match="two resources of one name"):
        policy_edit.parse_either(RESOURCES.replace('"three"', '"auto"'), PATH)


def test_a_boundary_of_a_resource_that_is_shared_is_left_alone() -> None:
    text = FIRST.replace("threshold: 0.7   #", "threshold: &shared 0.7   #")
    with pytest.raises(DataError, match=r"not written out there; write them yourself: 0.2"):
        edited(text, "auto", 0.2)
