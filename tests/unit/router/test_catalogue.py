from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml
from hypothesis import given, strategies as st

from fakes.catalogue import a_resource
from steersman.router.catalogue import CatalogueError, parse, parse_resource
from steersman.router.model import (
    ALL_RIGHTS,
    NO_RIGHTS,
    Capabilities,
    Catalogue,
    Fallback,
    OutOfDomain,
    Price,
    Rights,
    UpstreamSpec,
    WhenCold,
)
from steersman.router.quotas import DAY, MINUTE, Kind, Quota, Quotas

GOOD = """
tiers:
  weak:
    model: SmolLM2-135M-Instruct
    upstream: { kind: backend, target: "dns:///weak:9001" }
    price: { input_usd_per_million_tokens: 0.1, output_usd_per_million_tokens: 0.4 }
    capabilities: { context_window: 2048, tools: false }
  strong:
    model: gpt-5
    upstream: { kind: openai, url: "https://api.example/v1", api_key_env: STRONG_KEY }
    price:
      input_usd_per_million_tokens: 2.5
      output_usd_per_million_tokens: 10
      joules_per_output_token: 3
    capabilities: { context_window: 128000, images: true }
policies:
  auto: { tiers: [weak, strong], threshold: 0.7 }
  careful:
    tiers: [weak, strong]
    boundaries: [0.2]
    fallback: strong
    out_of_domain: { novelty: 0.9, rule: weak }
    tier_fallback: false
    when_cold: wait
  cheap: { tiers: [weak] }
default_policy: auto
"""
ENVIRONMENT = {"STRONG_KEY": "hush"}


def read(text: str = GOOD, environment: dict[str, str] | None = None) -> Catalogue:
    return parse(text.encode(), environment=ENVIRONMENT if environment is None else environment)


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def fault(text: str | bytes, environment: dict[str, str] | None = None) -> str:
    raw = text.encode() if isinstance(text, str) else text
    with pytest.raises(CatalogueError) as refused:
        parse(raw, environment=ENVIRONMENT if environment is None else environment)
    return str(refused.value)


def test_tiers_are_read_with_all_that_they_are() -> None:
    strong = read().tiers["strong"]
    assert (strong.name, strong.model) == ("strong", "gpt-5")
    assert strong.upstream == UpstreamSpec("openai", "https://api.example/v1", "hush")
    assert strong.price == Price(2.5, 10.0, 3.0)
    assert strong.capabilities == Capabilities(128_000, images=True, tools=True, json_schema=True)


@pytest.mark.parametrize("target", ["dns:///weak:9001", "k8s:///weak:9001", "weak:9001,weak:9002"])
def test_a_backends_target_is_read(target: str) -> None:
    text = changed("dns:///weak:9001", target)
    assert read(text).tiers["weak"].upstream == UpstreamSpec("backend", target, None)


def test_policies_are_read_with_all_that_they_are() -> None:
    careful = read().policies["careful"]
    assert (careful.name, careful.tiers, careful.boundaries) == ("careful", ("weak", "strong"), (0.2,))
    assert (careful.fallback, careful.tier_fallback) == (Fallback.STRONG, False)
    assert careful.when_cold is WhenCold.WAIT
    assert careful.out_of_domain == OutOfDomain(0.9, Fallback.WEAK)


def test_a_threshold_is_short_for_one_boundary() -> None:
    assert read().policies["auto"].boundaries == (0.7,)


def test_what_a_policy_does_not_say_has_a_default() -> None:
    auto = read().policies["auto"]
    assert (auto.fallback, auto.tier_fallback) == (Fallback.PROPORTIONAL, True)
    assert auto.when_cold is WhenCold.OTHER
    assert auto.out_of_domain == OutOfDomain(0.999, Fallback.PROPORTIONAL)


def test_half_a_rule_for_queries_out_of_domain_keeps_the_default_of_the_rest() -> None:
    for written, expected in (
        ("{ novelty: 0.95 }", OutOfDomain(0.95, Fallback.PROPORTIONAL)),
        ("{ rule: strong }", OutOfDomain(0.999, Fallback.STRONG)),
    ):
        assert (
            read(changed("{ novelty: 0.9, rule: weak }", written)).policies["careful"].out_of_domain
            == expected
        )


def test_the_rule_may_be_that_the_score_decides_for_every_query() -> None:
    text = changed("{ novelty: 0.9, rule: weak }", "{ rule: score }")
    assert read(text).policies["careful"].out_of_domain is None


def test_a_policy_may_have_one_tier_and_then_no_boundary() -> None:
    assert read().policies["cheap"].boundaries == ()


def test_names_keep_their_order() -> None:
    assert list(read().tiers) == ["weak", "strong"]
    assert list(read().policies) == ["auto", "careful", "cheap"]
    assert read().default_policy == "auto"


def test_a_policys_version_changes_with_the_policy_and_with_nothing_else() -> None:
    before, after = read().policies, read(changed("threshold: 0.7", "threshold: 0.71")).policies
    assert before["auto"].version != after["auto"].version
    assert before["careful"].version == after["careful"].version
    assert read().policies["auto"].version == before["auto"].version


TENANTS = """
tenants:
  search: { policies: [auto, from-a-resource], tiers: [weak, strong], default_policy: auto }
  operations: { limits: { requests_per_minute: 600, usd_per_month: 25, when_strong_is_spent: weak }, weight: 3 }
  researchers: { capture: { auto: 0.25, careful: 0 } }
"""


def test_what_a_tenant_may_ask_for_is_read() -> None:
    catalogue = read(GOOD + TENANTS)
    assert catalogue.rights("search") == Rights(
        frozenset({"auto", "from-a-resource"}), frozenset({"weak", "strong"}), "auto"
    )
    assert catalogue.rights("operations") == Rights(
        quotas=Quotas(
            (
                Quota("requests_per_minute", Kind.REQUESTS, 600.0, MINUTE),
                Quota("usd_per_month", Kind.USD, 25.0, 30 * DAY),
            ),
            weak_when_spent=True,
        ),
        weight=3.0,
    )
    assert catalogue.rights("researchers") == Rights(captured={"auto": 0.25})
    assert catalogue.rights("stranger") == NO_RIGHTS


def test_without_tenants_everybody_may_ask_for_everything() -> None:
    assert read().rights("anybody") == ALL_RIGHTS


@pytest.mark.parametrize(
    ("tenants", "complaint"),
    [
        ("{search: {tiers: [strongest]}}", "tenant search names tiers that do not exist: strongest"),
        (
            "{search: {policies: [cheap], default_policy: auto}}",
            "tenant search may not use its own default_policy",
        ),
        ("{search: {policy: auto}}", "tenants.search.policy"),
        ("{search: {capture: {auto: 5}}}", "tenants.search.capture.auto"),
        ("{search: {limits: {requests_per_minute: 0}}}", "tenants.search.limits.requests_per_minute"),
        ("{search: {limits: {requests_per_second: 1}}}", "tenants.search.limits.requests_per_second"),
        ("{Search Team: {}}", "tenants.Search Team"),
    ],
)
def test_a_right_that_cannot_be_is_a_fault(tenants: str, complaint: str) -> None:
    assert complaint in fault(f"{GOOD}tenants: {tenants}")


def test_a_key_is_not_shown() -> None:
    assert "hush" not in repr(read())


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        pytest.param("threshold: 0.7", "treshold: 0.7", "policies.auto.treshold", "Extra", id="misspelt key"),
        pytest.param("default_policy:", "default:", "default_policy", "required", id="missing key"),
        pytest.param("default_policy: auto", "", "default_policy", "required", id="no default"),
        pytest.param("default_policy: auto", "default_policy: x", "file", "x does not exist", id="default"),
        pytest.param("threshold: 0.7", "threshold: 1.5", "policies.auto.threshold", "1", id="threshold"),
        pytest.param("threshold: 0.7", "threshold: .nan", "policies.auto.threshold", "", id="NaN"),
        pytest.param("threshold: 0.7", "threshold: high", "policies.auto.threshold", "number", id="word"),
        pytest.param("boundaries: [0.2]", "boundaries: [-1]", "careful.boundaries.0", "0", id="boundary"),
        pytest.param(
            "boundaries: [0.2]", "boundaries: [.nan]", "careful.boundaries.0", "", id="NaN boundary"
        ),
        pytest.param(
            "boundaries: [0.2]", "boundaries: [0.2, 0.3]", "careful", "2 tiers need 1", id="too many"
        ),
        pytest.param(", threshold: 0.7", "", "policies.auto", "either threshold or bound", id="no boundary"),
        pytest.param(
            "threshold: 0.7", "threshold: 0.7, boundaries: [0.7]", "policies.auto", "either", id="two ways"
        ),
        pytest.param("[weak]", "[]", "policies.cheap.tiers", "at least 1", id="no tiers"),
        pytest.param("[weak]", "[other]", "file", "cheap names tiers that do not exist: other", id="tier"),
        pytest.param(
            "tiers: [weak] ", "tiers: [weak, weak], threshold: 0.5", "cheap", "once", id="a tier twice"
        ),
        pytest.param(
            "tiers: [weak] ",
            "tiers: [weak, strong, other], boundaries: [0.5, 0.2]",
            "policies.cheap",
            "ascend",
            id="descending",
        ),
        pytest.param("cheap:", "strong:", "file", "strong names both", id="ambiguous name"),
        pytest.param("  cheap:", "  Cheap Policy:", "policies.Cheap Policy", "pattern", id="name"),
        pytest.param("fallback: strong", "fallback: luck", "careful.fallback", "proportional", id="fallback"),
        pytest.param(
            "novelty: 0.9", "novelty: 0", "careful.out_of_domain.novelty", "greater than 0", id="all novel"
        ),
        pytest.param(
            "novelty: 0.9", "novelty: 99", "careful.out_of_domain.novelty", "equal to 1", id="percent"
        ),
        pytest.param("novelty: 0.9", "novelty: .nan", "careful.out_of_domain.novelty", "", id="NaN novelty"),
        pytest.param(
            "rule: weak",
            "rule: cheap",
            "careful.out_of_domain.rule",
            "'proportional', 'strong', 'weak' or 'score'",
            id="rule",
        ),
        pytest.param("{ novelty: 0.9, rule: weak }", "weak", "careful.out_of_domain", "", id="no object"),
        pytest.param("novelty: 0.9", "novel: 0.9", "careful.out_of_domain.novel", "Extra", id="misspelt"),
        pytest.param("kind: backend", "kind: telnet", "tiers.weak.upstream.kind", "backend", id="kind"),
        pytest.param(
            "kind: backend", "kind: openai", "tiers.weak.upstream", "openai has a url and no", id="no url"
        ),
        pytest.param(
            "kind: openai", "kind: backend", "tiers.strong.upstream", "has a target and no", id="no target"
        ),
        pytest.param("dns:///weak:9001", "weak", "tiers.weak.upstream", "HOST:PORT", id="no port"),
        pytest.param("dns:///weak:9001", "", "tiers.weak.upstream", "HOST:PORT", id="empty target"),
        pytest.param(
            "dns:///weak:9001",
            "k8s:///weak:grpc",
            "tiers.weak.upstream",
            "k8s:///SERVICE:PORT",
            id="a named port",
        ),
        pytest.param(
            "dns:///weak:9001",
            "k8s:///a:1,b:1",
            "tiers.weak.upstream",
            "k8s:///SERVICE:PORT",
            id="two Services",
        ),
        pytest.param("dns:///weak:9001", "weak:99999", "tiers.weak.upstream", "HOST:PORT", id="port"),
        pytest.param("dns:///weak:9001", "dns:///:9001", "tiers.weak.upstream", "HOST:PORT", id="no host"),
        pytest.param(
            "https://api.example/v1", "api.example", "tiers.strong.upstream", "http", id="no scheme"
        ),
        pytest.param("https://api.example/v1", "https://", "tiers.strong.upstream", "http", id="no url host"),
        pytest.param(
            "https://api.example/v1", "http://x:99999", "tiers.strong.upstream", "http", id="url port"
        ),
        pytest.param("https://api.example/v1", "ftp://x", "tiers.strong.upstream", "http", id="scheme"),
        pytest.param("context_window: 2048", "context_window: 0", "context_window", "0", id="no context"),
        pytest.param(
            "input_usd_per_million_tokens: 0.1",
            "input_usd_per_million_tokens: -1",
            "weak.price.input",
            "0",
            id="price",
        ),
        pytest.param(
            "input_usd_per_million_tokens: 0.1",
            "input_usd_per_million_tokens: .inf",
            "weak.price.input",
            "finite",
            id="boundless price",
        ),
        pytest.param("    model: gpt-5\n", "", "tiers.strong.model", "required", id="no model"),
        pytest.param("  weak:\n", "  strong:\n", "", "strong", id="a key twice"),
    ],
)
def test_each_fault_is_named_with_its_place(old: str, new: str, where: str, what: str) -> None:
    told = fault(changed(old, new))
    assert where in told
    assert what in told


def test_all_faults_of_fields_are_named_at_once() -> None:
    told = fault(changed("threshold: 0.7", "threshold: 7").replace("kind: backend", "kind: telnet"))
    assert "policies.auto.threshold" in told
    assert "tiers.weak.upstream.kind" in told


@pytest.mark.parametrize("environment", [{}, {"STRONG_KEY": ""}])
def test_a_key_that_is_not_in_the_environment_is_a_fault(environment: dict[str, str]) -> None:
    assert "tiers.strong.upstream: STRONG_KEY is not set" in fault(GOOD, environment)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"just words", id="words"),
        pytest.param(b"tiers: {", id="not YAML"),
        pytest.param(b"\xff\xfe\x00", id="not UTF-8"),
        pytest.param(b"tiers: \x00", id="NUL"),
        pytest.param(b"!!python/object/apply:os.system [ls]", id="a tag"),
        pytest.param(b"a: &a [*a]", id="an alias of itself"),
        pytest.param(b"[" * 1_000, id="nested without end"),
        pytest.param(b"tiers: " + b"[" * 150 + b"]" * 150, id="nested deeply"),
        pytest.param(b"tiers: !!int ''", id="a number without digits"),
        pytest.param(b"tiers: !!bool x", id="neither true nor false"),
        pytest.param(b"tiers: !!timestamp x", id="no time"),
        pytest.param(b"tiers: 2001-99-99", id="a month that there is not"),
        pytest.param(b"tiers: {? {a: b} : c}", id="a mapping as a key"),
    ],
)
def test_what_is_no_policy_file_is_refused_and_nothing_worse(text: bytes) -> None:
    assert fault(text)


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(text: bytes) -> None:
    with pytest.raises(CatalogueError):
        parse(text, environment={})


def test_nothing_of_a_bad_file_is_taken() -> None:
    data = yaml.safe_load(GOOD)
    data["policies"]["cheap"]["tiers"] = ["other"]
    fault(yaml.safe_dump(data))


RESOURCE = a_resource("careful", generation=2)


@pytest.mark.parametrize(
    "target",
    [
        "weak backend:9000",
        "weak\0:9000",
        "weak:٣",
        "weak/:9000",
        "dns:///we?ak:9000",
        "[::1:9000",
        "weak:-1",
        ":9",
    ],
)
def test_a_target_that_can_be_no_host_and_port_is_refused(target: str) -> None:
    told = fault(changed('"dns:///weak:9001"', json.dumps(target)))
    assert "tiers.weak.upstream.target" in told


@pytest.mark.parametrize(
    "target", ["10.0.0.1:9000, weak_1.svc.:80", "[fe80::1%eth0]:9000", "dns:///[::1]:9000"]
)
def test_a_target_of_names_and_addresses_is_taken(target: str) -> None:
    assert read(changed('"dns:///weak:9001"', json.dumps(target))).tiers["weak"].upstream.target == target


def test_a_resource_says_the_same_as_the_file_and_is_the_same_version() -> None:
    spec = {
        "tiers": ["weak", "strong"],
        "boundaries": [0.2],
        "fallback": "Strong",
        "outOfDomain": {"novelty": 0.9, "rule": "Weak"},
        "tierFallback": False,
        "whenCold": "Wait",
    }
    assert parse_resource(RESOURCE, spec) == replace(read().policies["careful"], resource=RESOURCE)
