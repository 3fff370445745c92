"""The shapes as data: valid schemas, closed and bounded everywhere, and one vocabulary with the model."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import pairwise
from typing import Any

import jsonschema
import pytest
import referencing
import referencing.exceptions

import schemas
from gateway.core import model
from gateway.errors import ERRORS

SCHEMAS = schemas.load()

# Closed by what they hold: the body by its own schema, an item by the schema of a single request.
OPEN_OBJECTS = {"dvp/v1/envelope/properties/body", "cdi/v1/data-request-batch/properties/requests/items"}


def nodes(value: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        yield path, value
        for key, item in value.items():
            if key not in {"enum", "const", "x-titles"}:
                yield from nodes(item, f"{path}/{key}")
    elif isinstance(value, list):
        for item in value:
            yield from nodes(item, path)


ALL_NODES = [node for name, schema in SCHEMAS.items() for node in nodes(schema, name)]


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_follows_the_meta_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("name", SCHEMAS)
def test_id_says_where_the_file_is(name: str) -> None:
    kind = "codelist" if name.startswith("codelists/") else "schema"
    place = name.removeprefix("codelists/").replace("/", ":")
    assert SCHEMAS[name]["$id"] == f"urn:cdi-gateway:{kind}:{place}"


def test_references_stay_inside() -> None:
    registry = referencing.Registry().with_contents((schema["$id"], schema) for schema in SCHEMAS.values())
    for path, node in ALL_NODES:
        if "$ref" in node:
            assert node["$ref"].startswith(("urn:cdi-gateway:schema:", "urn:cdi-gateway:codelist:")), path
            assert registry.resolver().lookup(node["$ref"]).contents, path


def test_every_string_array_and_integer_is_bounded() -> None:
    for path, node in ALL_NODES:
        if node.get("type") == "string":
            assert "maxLength" in node or "enum" in node, path
        if node.get("type") == "array":
            assert "maxItems" in node, path
        if node.get("type") == "integer":
            assert {"minimum", "maximum"} <= node.keys(), path


def test_every_object_is_closed() -> None:
    for path, node in ALL_NODES:
        if node.get("type") == "object" and path not in OPEN_OBJECTS and "oneOf" not in node:
            assert node.get("additionalProperties") is False, path


def test_every_pattern_reads_alike_in_every_engine() -> None:
    for path, node in ALL_NODES:
        pattern = node.get("pattern")
        if isinstance(pattern, str):
            # `$` stands before a last newline too in some engines, and `\d` and `\w` take other scripts' characters.
            assert pattern.startswith("^") or path.endswith("/not"), path
            # A look-ahead makes long texts slow: there the line break is forbidden beside the pattern.
            assert (
                pattern.endswith("$(?!\n)")
                or (pattern.endswith("$") and node["minLength"] == node["maxLength"])
                or node.get("not") == {"pattern": "\n"}
                or path.endswith("/not")
            ), path
            assert not set("dwsDWS") & {after for before, after in pairwise(pattern) if before == "\\"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("outcome", model.Outcome),
        ("reason", model.Reason),
        ("fact", model.Fact),
        ("hash-algorithm", model.HashAlgorithm),
        ("consent-status", model.ConsentStatus),
        ("data-request-status", model.ExchangeStatus),
        ("evidence-status", model.EvidenceStatus),
    ],
)
def test_code_list_is_the_models_enumeration(name: str, kind: type[StrEnum]) -> None:
    assert SCHEMAS[f"codelists/{name}"]["enum"] == [member.value for member in kind]


def test_error_codes_are_those_of_the_gateway() -> None:
    assert set(SCHEMAS["codelists/error-code"]["enum"]) == {error.code for error in ERRORS}


def test_every_reason_can_be_the_detail_of_a_rejection() -> None:
    assert {reason.value for reason in model.Reason} <= set(SCHEMAS["codelists/reject-detail"]["enum"])


@pytest.mark.parametrize("name", [name for name in SCHEMAS if name.startswith("codelists/")])
def test_every_code_has_a_title_in_both_languages(name: str) -> None:
    titles = schemas.codelist(name.removeprefix("codelists/"))
    assert list(titles) == SCHEMAS[name]["enum"]
    for title in titles.values():
        assert title["en"].isascii()
        assert title["zh-Hant"].strip()


def test_unknown_code_list_is_no_file() -> None:
    with pytest.raises(FileNotFoundError):
        schemas.codelist("unknown")
