from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from steersman.classifier import training_data
from steersman.classifier.datasets import conversions, registry
from steersman.classifier.datasets.registry import DataSet
from steersman.classifier.errors import DataError

ALL = registry.data_sets()
FETCHED = [each for each in ALL if each.why_not is None]
HASH = re.compile(r"[0-9a-f]{64}")


def test_names_and_files_are_given_once() -> None:
    assert len({each.name for each in ALL}) == len(ALL)
    outputs = [output.path for each in ALL for output in each.outputs]
    assert len(set(outputs)) == len(outputs)


@pytest.mark.parametrize("data_set", FETCHED, ids=lambda each: each.name)
def test_what_can_be_fetched_comes_by_https_from_a_state_that_cannot_change(data_set: DataSet) -> None:
    assert data_set.files
    for file in data_set.files:
        url = urlsplit(data_set.base + file.path)
        assert url.scheme == "https"
        assert re.search(r"/[0-9a-f]{40}/", url.path)
        assert file.sha256 is None or HASH.fullmatch(file.sha256)


@pytest.mark.parametrize("data_set", FETCHED, ids=lambda each: each.name)
def test_every_form_is_known(data_set: DataSet) -> None:
    assert data_set.form in {registry.VERBATIM, *conversions.FORMS}


@pytest.mark.parametrize("data_set", [each for each in ALL if each.why_not], ids=lambda each: each.name)
def test_what_cannot_be_fetched_has_a_reason_and_no_address(data_set: DataSet) -> None:
    assert not data_set.files
    assert data_set.outputs


def test_every_source_of_training_is_a_data_set_that_may_ship() -> None:
    trained_on = {each.name for each in ALL if each.use == "training" and each.ships.startswith("yes")}
    assert trained_on == {source.folder for source in training_data.sources()}


def test_a_name_that_is_nearly_right_is_guessed() -> None:
    with pytest.raises(DataError, match=r"did you mean 'routellm_eval'\?"):
        registry.named("routelm_eval")


@pytest.mark.parametrize(
    ("folder", "advice"),
    [
        ("routellm_eval", "`steersman data fetch routellm_eval --into here` gets it"),
        ("zeroeval_crux", "zeroeval_crux cannot be fetched and has to be brought"),
        ("eval_only_extra", "gets it, except zeroeval_gsm, which has to be brought"),
        ("mine", "`steersman data list`"),
    ],
)
def test_a_missing_folder_comes_with_advice(folder: str, advice: str) -> None:
    assert advice in registry.how_to_get(Path("here") / folder)
