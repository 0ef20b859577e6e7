from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
from hypothesis import given, strategies as st

from fakes.catalogue import a_policy, a_tier
from fakes.classifier import assessment
from fakes.logged import a_logged
from steersman.calibration import out_of_domain, shares
from steersman.calibration.bootstrap import Resampling
from steersman.classifier.evaluation.bootstrap import Floats
from steersman.classifier.scores import Scores
from steersman.router import policy
from steersman.router.model import Fallback, Needs, OutOfDomain, Scored

TIERS = ("weak", "strong")
NOVEL = OutOfDomain().novelty

percentiles = st.floats(0, 1, width=32)
rules = st.one_of(
    st.none(),
    st.builds(OutOfDomain, st.floats(0.5, 1.0), st.sampled_from(Fallback)),
)


def scores_of(scores: Sequence[float], novelty: Sequence[float]) -> Scores:
    count = len(scores)
    return Scores(
        np.array(scores, dtype=np.float32),
        np.full(count, np.nan, dtype=np.float32),
        np.array(novelty, dtype=np.float32),
        np.zeros(count, dtype=np.bool_),
    )


def decided(text: str, score: float, novelty: float, rule: OutOfDomain | None, boundary: float) -> str:
    """The tier that the router chooses."""
    tier, _ = policy.choose(
        a_policy(boundaries=[boundary], out_of_domain=rule),
        boundaries=[boundary],
        scored=Scored(assessment(score, novelty=novelty)),
        stand_in=partial(policy.stand_in_of, text),
        tiers={name: a_tier(name) for name in TIERS},
        needs=Needs(),
    )
    return tier


@given(st.text(), percentiles, percentiles, rules, st.floats(0, 1, exclude_min=True))
def test_a_place_goes_up_where_the_router_goes_up(
    text: str, score: float, novelty: float, rule: OutOfDomain | None, boundary: float
) -> None:
    (place,) = out_of_domain.of_texts([text], scores_of([score], [novelty]), rule).values
    assert TIERS[int(place >= boundary)] == decided(text, score, novelty, rule, boundary)


def test_without_queries_out_of_domain_places_are_scores() -> None:
    found = out_of_domain.of_texts(["a", "b"], scores_of([0.25, 0.75], [0.5, 1.0]), None)
    assert found.values.tolist() == [0.25, 0.75]
    assert found.out_of_domain == 0


def test_queries_that_go_by_the_rule_are_counted() -> None:
    found = out_of_domain.of_texts(["a", "b"], scores_of([0.25, 0.75], [0.5, 1.0]), OutOfDomain())
    assert found.out_of_domain == 1
    assert found.values[0] == 0.25


def traffic(seed: int, rows: int) -> tuple[list[str], Floats, Floats]:
    """Texts of which every fifth is out of domain, which score far too high."""
    generator = np.random.default_rng(seed)
    novelty = np.where(generator.random(rows) < 0.2, 1.0, 0.5)
    scores = np.where(novelty == 1.0, 1.0, generator.random(rows) ** 2)
    return [f"query {number} of traffic {seed}" for number in range(rows)], scores, novelty


@pytest.mark.parametrize("rule", Fallback)
@pytest.mark.parametrize("wanted", [0.25, 0.3, 0.5])
def test_a_calibrated_share_comes_true_where_many_queries_are_out_of_domain(
    rule: Fallback, wanted: float
) -> None:
    beyond = OutOfDomain(rule=rule)
    texts, scores, novelty = traffic(1, 2000)
    places = out_of_domain.of_texts(texts, scores_of(scores.tolist(), novelty.tolist()), beyond)
    assert places.out_of_domain > 300
    found = shares.calibrate(places.values, np.ones(2000), (1 - wanted, wanted), Resampling(200))
    fresh = zip(*traffic(2, 2000), strict=True)
    came = [decided(*each, beyond, found.boundaries[0]) for each in fresh].count("strong") / 2000
    assert found.shares[1].next_queries.low <= came <= found.shares[1].next_queries.high


def test_a_boundary_for_the_scores_alone_would_miss_it() -> None:
    """Which is why there are places."""
    texts, scores, novelty = traffic(1, 2000)
    found = shares.calibrate(scores, np.ones(2000), (0.7, 0.3), Resampling(200))
    rows = zip(texts, scores, novelty, strict=True)
    came = [decided(*each, OutOfDomain(), found.boundaries[0]) for each in rows].count("strong") / 2000
    assert came < found.shares[1].next_queries.low


@given(st.floats(0, 1), st.text())
def test_a_stand_in_that_has_decided_is_drawn_from_where_it_lay(boundary: float, text: str) -> None:
    tier = TIERS[policy.stand_in_of(text) >= boundary]
    known = a_logged(
        novelty=1.0,
        out_of_domain="proportional",
        wanted_for="OUT_OF_DOMAIN",
        boundaries=(boundary,),
        wanted_tier=tier,
    )
    assert TIERS[out_of_domain.stand_in(known, TIERS) >= boundary] == tier


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"out_of_domain": "strong"}, id="another rule"),
        pytest.param({"out_of_domain": ""}, id="the score"),
        pytest.param({"wanted_for": "CAPABILITY"}, id="one tier alone could"),
        pytest.param({"wanted_for": "SESSION"}, id="a conversation kept its tier"),
        pytest.param({"wanted_tier": "mid"}, id="a tier that the policy does not have"),
        pytest.param({"boundaries": (0.2, 0.9)}, id="other tiers"),
    ],
)
def test_a_stand_in_is_drawn_from_all_numbers_where_nothing_is_known_of_it(
    changes: dict[str, object],
) -> None:
    fields = {"out_of_domain": "proportional", "wanted_for": "OUT_OF_DOMAIN", "novelty": 1.0, **changes}
    decisions = [a_logged(0.9, **fields) for _ in range(400)]
    drawn = [out_of_domain.stand_in(each, TIERS) for each in decisions]
    assert sum(number < 0.5 for number in drawn) == pytest.approx(200, abs=60)


def test_a_decision_in_the_domain_has_its_score_as_its_place() -> None:
    decisions = [a_logged(0.9), a_logged(0.2)]
    found = out_of_domain.of_decisions(decisions, OutOfDomain(), TIERS)
    assert found.values.tolist() == [0.9, 0.2]
    assert not out_of_domain.covers(decisions[0], OutOfDomain())
    assert not out_of_domain.covers(a_logged(novelty=1.0), None)


@pytest.mark.parametrize(("rule", "place"), [(Fallback.STRONG, math.inf), (Fallback.WEAK, -math.inf)])
def test_a_decision_that_goes_to_one_tier_is_beyond_all_boundaries(rule: Fallback, place: float) -> None:
    novel = a_logged(0.5, novelty=NOVEL)
    assert out_of_domain.covers(novel, OutOfDomain(rule=rule))
    assert out_of_domain.place(novel, OutOfDomain(rule=rule), TIERS) == place
    found = out_of_domain.of_decisions([novel], OutOfDomain(rule=rule), TIERS)
    assert found.values.tolist() == [float(place > 0)]
