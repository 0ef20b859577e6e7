"""YAML that operators write, read safely and strictly.

PyYAML takes the last of two equal keys silently, and lets ValueErrors, KeyErrors and others of its own conversions
out where a value is none of its tag (`!!int ''`, the 99th of a month). Here both are faults with a line.
"""

from __future__ import annotations

from typing import Any, Final

import yaml

_NO_VALUE_OF_ITS_TAG: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_LONGEST_KEY: Final = 80


class NotYaml(ValueError):
    """It cannot be read; says where and why.

    Args:
        told: What PyYAML says, which may quote the text.
        line: From 1 on; None where it is not known.
    """

    def __init__(self, told: str, line: int | None) -> None:
        super().__init__(f"not YAML: {told}")
        self.line = line


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - as inherited
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a text", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value[:_LONGEST_KEY]} stands here twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - as inherited
        try:
            return super().construct_object(node, deep)
        except _NO_VALUE_OF_ITS_TAG as error:
            raise yaml.constructor.ConstructorError(
                None, None, f"this is no value of {node.tag}", node.start_mark
            ) from error


def load(text: bytes) -> Any:
    """The one document of a file.

    Raises:
        NotYaml: It cannot be read, or has several.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a safe one
    except (yaml.YAMLError, RecursionError) as error:
        raise _not_yaml(error) from error


def load_all(text: bytes) -> list[Any]:
    """All documents of a file.

    Raises:
        NotYaml: One of them cannot be read.
    """
    try:
        return list(yaml.load_all(text, Loader=_Loader))
    except (yaml.YAMLError, RecursionError) as error:
        raise _not_yaml(error) from error


def _not_yaml(error: Exception) -> NotYaml:
    mark = getattr(error, "problem_mark", None)
    told = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    return NotYaml(told, None if mark is None else mark.line + 1)
