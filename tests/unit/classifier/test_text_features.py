from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from steersman.classifier import text_features


def feature(name: str, text: str) -> float:
    return float(text_features.extract([text.encode()])[0, text_features.NAMES.index(name)])


@pytest.mark.parametrize(
    ("name", "with_it", "without"),
    [
        pytest.param("share_code_marks", "a[0] = {};", "in other words", id="code"),
        pytest.param("share_latex_marks", r"$x$ and \frac{1}{2}", "a half of two", id="mathematics"),
        pytest.param("share_digits", "12 and 34", "twelve and more", id="digits"),
        pytest.param("share_question_marks", "Why? How?", "Tell me.", id="question marks"),
        pytest.param("share_beyond_ascii", "où ça", "ou ca", id="beyond ASCII"),
        pytest.param("log_lines", "a\nb\nc", "a b c", id="lines"),
    ],
)
def test_a_feature_is_higher_where_the_text_has_it(name: str, with_it: str, without: str) -> None:
    assert feature(name, with_it) > feature(name, without)


def test_length_is_a_logarithm_of_bytes() -> None:
    assert feature("log_bytes", "é" * 50) == pytest.approx(np.log1p(100))


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_a_text_has_the_same_features_alone_and_in_company(texts: list[bytes]) -> None:
    together = text_features.extract(texts)
    assert together.shape == (len(texts), len(text_features.NAMES))
    assert np.isfinite(together).all()
    for row, text in zip(together, texts, strict=True):
        assert np.array_equal(row, text_features.extract([text])[0])
