"""What is given: a YAML file and environment variables, merged into plain data with every doubtful spot named.

Strict where YAML is lax: a key given twice, a key that is no string and a type beyond JSON's are mistakes, not
surprises. A key without a value counts as not given. No message holds a value: it could be a pasted secret.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

FILE_BYTES_MAX = 4 * 1024 * 1024
_DEPTH_MAX = 32

Problem = tuple[str, str]
"""Where (dotted path, environment variable, or empty for the whole file), and what to do about it."""


class _Loader(yaml.SafeLoader):
    """SafeLoader that notes duplicate keys, and keeps dates as the strings that were written."""

    duplicates: list[Problem]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # no text, which `_beyond_json` reports
            if key.value in seen:
                self.duplicates.append((f"line {key.start_mark.line + 1}", "the key is given twice in this mapping"))
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(file: Path) -> tuple[dict[str, Any], list[Problem]]:
    """The file's mapping without empty keys, and what is wrong with it as YAML. Never raises for its content."""
    try:
        with file.open("rb") as stream:
            text = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        return {}, [("", f"cannot be read: {error.strerror}")]
    if len(text) > FILE_BYTES_MAX:
        return {}, [("", f"is larger than {FILE_BYTES_MAX} bytes")]
    value, problems = _parse(text)
    if problems:
        return {}, problems
    if not isinstance(value, dict):
        return {}, [("", "must be a mapping of sections")]
    problems = list(_beyond_json(value))
    return ({}, problems) if problems else (_given(value), [])


def overrides(
    environment: Mapping[str, str], prefix: str
) -> tuple[dict[tuple[str, ...], tuple[str, Any]], list[Problem]]:
    """What variables `PREFIX<SECTION>__<KEY>` set: path to (variable, value). Values are YAML: numbers, lists, text."""
    found: dict[tuple[str, ...], tuple[str, Any]] = {}
    problems: list[Problem] = []
    for variable in sorted(environment):
        if not variable.startswith(prefix):
            continue
        value, mistakes = _parse(environment[variable].encode("utf-8", "surrogateescape"))
        mistakes = mistakes or list(_beyond_json(value))
        path = tuple(variable.removeprefix(prefix).lower().split("__"))
        if mistakes:
            problems.append((variable, "is not a YAML value; put text with special characters into double quotes"))
        elif not all(path):
            problems.append((variable, "names no key"))
        else:
            found[path] = (variable, value)
    return found, problems


def put(data: dict[str, Any], path: tuple[str, ...], value: Any) -> bool:
    """Set `value` at `path` (a number in it is the index of a list's item). False when the path leads nowhere."""
    here: Any = data
    for name in path[:-1]:
        if isinstance(here, dict):
            here = here.setdefault(name, {})
        elif isinstance(here, list) and name.isdecimal() and int(name) < len(here):
            here = here[int(name)]
        else:
            return False
    last = path[-1]
    if isinstance(here, dict):
        here[last] = value
    elif isinstance(here, list) and last.isdecimal() and int(last) < len(here):
        here[int(last)] = value
    else:
        return False
    return True


def _parse(text: bytes) -> tuple[Any, list[Problem]]:
    try:
        loader = _Loader(text.decode())
    except (yaml.YAMLError, UnicodeDecodeError):
        return None, [("", "is not UTF-8 text")]
    loader.duplicates = []
    try:
        value = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        return None, [(f"line {mark.line + 1}" if mark else "", "is not YAML here")]
    except (yaml.YAMLError, RecursionError, ValueError):
        return None, [("", "is not YAML")]
    finally:
        loader.dispose()
    return value, loader.duplicates


def _beyond_json(value: Any, path: tuple[str, ...] = ()) -> Iterator[Problem]:
    where = ".".join(path)
    if len(path) > _DEPTH_MAX:
        yield where, "is nested too deeply"
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, str):
                yield from _beyond_json(item, (*path, key))
            else:
                yield where, "has a key that is not text: put it into double quotes"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _beyond_json(item, (*path, str(index)))
    elif isinstance(value, float) and not math.isfinite(value):
        yield where, "must be a finite number"
    elif isinstance(value, int) and abs(value) >= 1 << 63:
        yield where, "is too large a number"
    elif value is not None and not isinstance(value, str | int | float | bool):
        yield where, "must be text, a number, true, false, a list or a mapping"


def _given(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _given(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_given(item) for item in value]
    return value
