"""Reads an OpenAPI document as its tests do: operations, references, examples with the schemas that they follow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs

METHODS = ("get", "post", "delete")


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """`POST /path` and the operation."""
    return [
        (f"{method.upper()} {path}", item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for item in node.values():
            yield from references(item)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def resolved(document: dict[str, Any], node: dict[str, Any]) -> Any:
    """What the node refers to, or the node itself."""
    if "$ref" not in node:
        return node
    value: Any = document
    for part in node["$ref"].removeprefix("#/").split("/"):
        value = value[part]
    return value


def examples(node: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Media types, parameters and fields with examples: schema and example."""
    if isinstance(node, dict):
        if "example" in node and "schema" in node:
            yield node["schema"], node["example"]
        if "examples" in node and "schema" in node:
            for example in node["examples"].values():
                yield node["schema"], example["value"]
        for item in node.values():
            yield from examples(item)
    elif isinstance(node, list):
        for item in node:
            yield from examples(item)


def follows(document: dict[str, Any], schema: dict[str, Any], value: Any) -> bool:
    """Whether the value is valid by a schema of this document."""
    return jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]}).is_valid(value)
