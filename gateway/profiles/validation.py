"""All schemas, compiled once. What comes in is refused with its violations; what goes out wrong is our own bug.

A violation names the place and the rule, never a value of the input. No reference is ever fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, NoReturn

import jsonschema_rs

from gateway.errors import SchemaInvalid, Violation

VIOLATIONS_MAX = 20

_MESSAGES = {
    "additionalProperties": "Holds a member that is not defined here",
    "const": "Must be the one value that is allowed here",
    "enum": "Must be one of the defined codes",
    "falseSchema": "Is not allowed here",
    "format": "Does not have the required format",
    "maxItems": "Has too many items",
    "maxLength": "Is too long",
    "maximum": "Is too large",
    "minItems": "Has too few items",
    "minLength": "Is too short",
    "minimum": "Is too small",
    "not": "Must not contain a line break",
    "oneOf": "Must be exactly one of the defined shapes",
    "pattern": "Does not have the required form",
    "required": "Lacks a required member",
    "type": "Has the wrong type",
    "uniqueItems": "Must not repeat an item",
}


class InvalidOutput(AssertionError):
    """We were about to send something that breaks its own schema."""


class Validators:
    """One compiled validator per schema name, e.g. `cdi/v1/consent-request`."""

    def __init__(self, schemas: Mapping[str, Mapping[str, Any]]) -> None:
        """Raises ValueError when a schema is not valid, or refers to something that is not in `schemas`."""
        registry = jsonschema_rs.Registry(
            [(schema["$id"], dict(schema)) for schema in schemas.values()],
            draft=jsonschema_rs.Draft202012,
            retriever=_never,
        )
        self._validators = {
            name: jsonschema_rs.Draft202012Validator(
                dict(schema), registry=registry, retriever=_never, validate_formats=True, ignore_unknown_formats=False
            )
            for name, schema in schemas.items()
        }

    def is_valid(self, name: str, value: Any) -> bool:
        """The fast path: no reasons. Raises KeyError for an unknown schema."""
        return self._validators[name].is_valid(value)

    def check(self, name: str, value: Any, *, at: str = "") -> None:
        """Raises SchemaInvalid with at most VIOLATIONS_MAX violations; `at` is the pointer of `value` in the body."""
        validator = self._validators[name]
        if validator.is_valid(value):
            return
        errors = islice(validator.iter_errors(value), VIOLATIONS_MAX)
        raise SchemaInvalid(violations=tuple(_violation(error, at) for error in errors))

    def assert_valid(self, name: str, value: Any) -> None:
        """Raises InvalidOutput, naming the schema and the first broken rule."""
        validator = self._validators[name]
        if not validator.is_valid(value):
            broken = _violation(next(validator.iter_errors(value)), "")
            raise InvalidOutput(f"{name}: {broken.keyword} at '{broken.pointer}'")


def _violation(error: jsonschema_rs.ValidationError, at: str) -> Violation:
    # Every object is closed, so the names in a path are the schema's own, never the client's.
    path = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.instance_path)
    keyword = error.kind.name
    pointer = at + path
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required):
        pointer += f"/{error.kind.property}"  # the schema's name of what is missing
    return Violation(pointer, keyword, _MESSAGES.get(keyword, "Does not follow the schema"))


def _never(uri: str) -> NoReturn:
    raise LookupError(f"{uri} is not one of our schemas")
