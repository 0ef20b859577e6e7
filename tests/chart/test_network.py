"""NetworkPolicies: exactly the arrows of the architecture, and names, metrics and spans."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chart.rendering import Manifest, Release, nested, render

Arrow = tuple[str, str, int]
"""Who speaks, to whom, at which port."""

_ARROWS = {
    ("router", "backend", 9000),
    ("router", "classifier", 8001),
    ("router", "redis", 6379),
    ("scaler", "router", 9000),
    ("controller", "router", 9000),
    ("test", "router", 9000),
    ("test", "router", 8080),
}
_OUTSIDERS = {
    ("kubernetes.io/metadata.name", "keda"): "KEDA",
    ("kubernetes.io/metadata.name", "kube-system"): "DNS",
    ("kubernetes.io/metadata.name", "apps"): "callers",
    ("app.kubernetes.io/name", "prometheus"): "Prometheus",
}


def _who(peer: Any) -> str:
    selector = peer.get("podSelector", peer.get("namespaceSelector", {})).get("matchLabels", {})
    if "ipBlock" in peer:
        return "DNS" if peer["ipBlock"]["cidr"] == "169.254.0.0/16" else "anywhere"
    if "app.kubernetes.io/component" in selector:
        assert selector["app.kubernetes.io/instance"] == "steersman"
        assert "namespaceSelector" not in peer
        return str(selector["app.kubernetes.io/component"])
    (label,) = selector.items() or [("", "")]
    return _OUTSIDERS.get(label, "any namespace")


def _rules(policy: Manifest, direction: str) -> Iterator[tuple[str, int]]:
    for rule in policy["spec"].get(direction, []):
        peers = rule.get("from" if direction == "ingress" else "to", [{"ipBlock": {"cidr": "0.0.0.0/0"}}])
        for peer in peers:
            for port in rule["ports"]:
                yield _who(peer), port["port"]


def _arrows(release: Release, direction: str) -> set[Arrow]:
    arrows = set()
    for policy in release.of("NetworkPolicy"):
        own = policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
        for other, port in _rules(policy, direction):
            arrows.add((other, own, port) if direction == "ingress" else (own, other, port))
    return arrows


def _inside(arrows: set[Arrow]) -> set[Arrow]:
    components = {"router", "backend", "classifier", "redis", "scaler", "controller", "test"}
    return {arrow for arrow in arrows if {arrow[0], arrow[1]} <= components}


def test_pods_may_call_each_other_along_the_arrows_and_nowhere_else(everything: Release) -> None:
    assert _inside(_arrows(everything, "egress")) == _ARROWS
    assert _inside(_arrows(everything, "ingress")) == _ARROWS


def test_both_ends_of_every_arrow_allow_it(release: Release) -> None:
    called, calling = _inside(_arrows(release, "ingress")), _inside(_arrows(release, "egress"))
    anybody = {
        ("test", "router", 9000),
        ("test", "router", 8080),
    }  # where callers are not named, all may call

    assert called | anybody == calling | anybody


def test_what_comes_from_outside_is_callers_keda_and_prometheus(everything: Release) -> None:
    outside = _arrows(everything, "ingress") - _ARROWS

    assert outside == {
        ("callers", "router", 9000),
        ("callers", "router", 8080),
        ("KEDA", "scaler", 9000),
        ("Prometheus", "router", 9090),
        ("Prometheus", "backend", 9090),
        ("Prometheus", "backend", 8000),
        ("Prometheus", "classifier", 8002),
        ("Prometheus", "scaler", 9090),
        ("Prometheus", "controller", 9090),
    }


def test_what_goes_outside_is_names_spans_the_api_server_and_engines(everything: Release) -> None:
    outside = _arrows(everything, "egress") - _ARROWS
    names = {arrow for arrow in outside if arrow[2] == 53}
    elsewhere = ("anywhere", "any namespace")  # pods are no addresses to every network plugin

    assert {arrow[:2] for arrow in names} == {
        (each, "DNS") for each in ("router", "backend", "classifier", "scaler", "controller", "test")
    }
    assert outside - names == {
        *(
            (each, "any namespace", 4318)
            for each in ("router", "backend", "classifier", "scaler", "controller")
        ),
        *((each, "anywhere", port) for each in ("router", "scaler", "controller") for port in (443, 6443)),
        *(("backend", where, 8001) for where in elsewhere),  # the engine of tier strong
        ("router", "any namespace", 443),  # the hosted tier; anywhere is above
    }


def test_a_first_install_speaks_to_nobody_outside_but_the_api_server(default: Release) -> None:
    outside = _arrows(default, "egress") - _ARROWS

    assert {arrow for arrow in outside if arrow[1] != "DNS"} == {
        (each, "anywhere", port) for each in ("router", "controller") for port in (443, 6443)
    }


def test_redis_speaks_to_nobody(default: Release) -> None:
    policy = default.one("NetworkPolicy", "steersman-redis")["spec"]

    assert policy["egress"] == []
    assert policy["policyTypes"] == ["Ingress", "Egress"]


def test_engines_may_fetch_models_only_where_that_is_said(gpu: Release, default: Release) -> None:
    assert ("backend", "anywhere", 443) in _arrows(gpu, "egress")
    assert ("backend", "anywhere", 443) not in _arrows(default, "egress")


def test_a_cache_and_a_classifier_elsewhere_are_reached_at_their_ports() -> None:
    release = render(
        {
            "redis": {"enabled": False},
            "cache": {"external": {"url": "rediss://:secret@cache.example.com:6390/1", "port": 6380}},
            "classifier": {"enabled": False, "target": "dns:///triton.models:8011"},
        }
    )

    assert {("router", "anywhere", 6390), ("router", "anywhere", 8011)} <= _arrows(release, "egress")
    assert ("router", "anywhere", 6380) not in _arrows(release, "egress")
    assert (
        release.environment("steersman-router")["STEERSMAN_CLASSIFIER__TARGET"] == "dns:///triton.models:8011"
    )
    assert {"steersman-redis", "steersman-classifier"}.isdisjoint(release.names("Deployment"))


@pytest.mark.parametrize(("given", "port"), [({}, 6379), ({"port": 6380}, 6380)])
def test_a_cache_whose_url_is_in_a_secret_is_reached_at_the_port_that_values_say(
    given: dict[str, int], port: int
) -> None:
    release = render(
        {"redis": {"enabled": False}, "cache": {"external": {"existingSecret": "redis-url", **given}}}
    )
    outside = {where for who, to, where in _arrows(release, "egress") if (who, to) == ("router", "anywhere")}

    assert outside == {port, 443, 6443}


def test_every_pod_has_a_policy(release: Release) -> None:
    assert release.names("NetworkPolicy") == {name for name, _ in release.pods()}


def test_policies_can_be_left_out() -> None:
    assert render(nested("networkPolicy.enabled", value=False)).of("NetworkPolicy") == []
