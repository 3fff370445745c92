"""The validator of the hot path judges as the reference validator does, on every schema and on damaged messages."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import jsonschema
import pytest
import referencing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import schemas
from tests.fakes_profiles import validators, vectors

EXAMPLES: dict[str, list[Any]] = {}
for _, vector in vectors("schemas"):
    EXAMPLES.setdefault(vector["schema"], []).append(vector["message"])

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(2**53), max_value=2**53),
    st.sampled_from([0, 1, 1.0, 1.5, -1, 253402300799, 253402300800, 2**53 - 1]),
    st.sampled_from(
        ["", "\n", "a\n", "A" * 32, "A" * 33, "0" * 64, "0" * 63 + "\n", "٣" * 64, "\u2028", "DataScopeTypeUDR"]
    ),
    st.text(max_size=8),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


@cache
def reference(name: str) -> jsonschema.Draft202012Validator:
    known = schemas.load()
    registry: referencing.Registry[Any] = referencing.Registry().with_contents(
        (schema["$id"], schema) for schema in known.values()
    )
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return jsonschema.Draft202012Validator(known[name], registry=registry, format_checker=checker)


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path]
    if isinstance(value, dict):
        for key, item in value.items():
            found += places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += places(item, (*path, index))
    return found


@st.composite
def damaged(draw: st.DrawFn, name: str) -> Any:
    """A message of this schema after up to three changes at random places; sometimes it stays whole."""
    message = copy.deepcopy(draw(st.sampled_from(EXAMPLES[name])))
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(places(message)))
        if not path:
            return draw(VALUES)
        holder = message
        for part in path[:-1]:
            holder = holder[part]
        _change(draw, holder, path[-1])
    return message


def _change(draw: st.DrawFn, holder: Any, key: str | int) -> None:
    old = holder[key]
    match draw(st.integers(0, 5)):
        case 0:
            del holder[key]
        case 1:
            holder[key] = draw(VALUES)
        case 2 if isinstance(old, str):
            holder[key] = draw(st.sampled_from([old + "\n", old[:-1], old + old, old.swapcase(), " " + old]))
        case 3 if isinstance(old, int):
            holder[key] = old + draw(st.sampled_from([-1, 1, 2**53, -(2**53)]))
        case 4 if isinstance(old, list):
            holder[key] = old * draw(st.integers(0, 3))
        case _ if isinstance(holder, dict):
            holder[draw(st.text(max_size=6))] = draw(SCALARS)
        case _:
            holder.append(draw(SCALARS))


@pytest.mark.parametrize("name", sorted(EXAMPLES))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_damaged_message_is_judged_as_by_the_reference(name: str, data: st.DataObject) -> None:
    message = data.draw(damaged(name))
    assert validators().is_valid(name, message) == reference(name).is_valid(message)


@pytest.mark.parametrize("name", sorted(name for name in schemas.load() if name.startswith("codelists/")))
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_code_list_is_judged_as_by_the_reference(name: str, data: st.DataObject) -> None:
    codes = schemas.load()[name]["enum"]
    code = data.draw(st.sampled_from(codes) | st.sampled_from([codes[0] + "\n", codes[0].lower(), ""]) | SCALARS)
    assert validators().is_valid(name, code) == reference(name).is_valid(code)
