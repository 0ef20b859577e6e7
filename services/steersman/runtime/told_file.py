"""A YAML file of a closed form, read so that every fault is named and nothing of what the file holds is told.

For files that hold secrets, or what comes near to one: their faults go to logs and terminals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from steersman.runtime import strict_yaml

M = TypeVar("M", bound=BaseModel)


class Faulty(ValueError):
    """The file cannot be used; says where and why."""


def read(text: bytes, form: type[M]) -> M:
    """The content of a file, which may be empty where its form allows that.

    Raises:
        Faulty: It is not valid.
    """
    try:
        return form.model_validate(strict_yaml.load(text) or {})
    except strict_yaml.NotYaml as error:
        place = "" if error.line is None else f" in line {error.line}"
        raise Faulty(f"not YAML{place}") from None  # whose own words quote the file
    except RecursionError as error:
        raise Faulty("file: is nested too deeply") from error
    except ValidationError as error:
        raise Faulty("; ".join(map(_fault, error.errors(include_url=False, include_input=False)))) from None


def check_distinct(identifiers: Sequence[str]) -> None:
    """For a form's own validation.

    Raises:
        ValueError: Some ids stand there more than once.
    """
    if twice := {each for each in identifiers if identifiers.count(each) > 1}:
        raise ValueError(f"these ids stand there twice: {', '.join(sorted(twice))}")


def _fault(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"]) or "file"
    return f"{place}: {error['msg'].removeprefix('Value error, ')}"
