"""The wire shapes as data: JSON Schemas 2020-12, code lists, the OpenAPI documents.

A published file is never edited: a change is a new version beside it (`schemas/publish.py`). References stay inside
this package; nothing is ever fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import orjson
import yaml

_FOLDERS = ("cdi/v1", "dvp/v1", "audit/v1", "codelists")


def load() -> dict[str, dict[str, Any]]:
    """Every schema and code list by its relative name, e.g. `cdi/v1/consent-request`, `codelists/purpose`."""
    return {name: orjson.loads(file.read_bytes()) for name, file in published_files()}


def codelist(name: str) -> dict[str, dict[str, str]]:
    """The codes of one list with their titles by language (`en`, `zh-Hant`), in order. Raises FileNotFoundError."""
    document = orjson.loads(files(__name__).joinpath("codelists", f"{name}.json").read_bytes())
    titles: dict[str, dict[str, str]] = document["x-titles"]
    return titles


def published_files() -> Iterator[tuple[str, Traversable]]:
    """Name and file of every schema and code list, in order."""
    root = files(__name__)
    for folder in _FOLDERS:
        for file in sorted(root.joinpath(folder).iterdir(), key=lambda entry: entry.name):
            if file.name.endswith(".json"):
                yield f"{folder}/{file.name.removesuffix('.json')}", file


def openapi_bundle() -> dict[str, Any]:
    """The OpenAPI document of the bank API as one self-contained value: every schema under `components/schemas`."""
    document = _openapi("bank-v1")
    known = load()
    by_id = {schema["$id"]: name for name, schema in known.items()}
    bundled: dict[str, Any] = {}
    document = _inlined(document, by_id, known, bundled)
    document["components"]["schemas"] = dict(sorted(bundled.items()))
    return dict(document)


def oauth_openapi() -> dict[str, Any]:
    """The OpenAPI document of the authorization server. Self-contained as it is: its shapes are the RFCs' own."""
    return _openapi("oauth-v1")


def _openapi(name: str) -> dict[str, Any]:
    file = files(__name__).joinpath("openapi", f"{name}.yaml")
    document: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return document


def _inlined(node: Any, by_id: dict[str, str], known: dict[str, dict[str, Any]], bundled: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(item, by_id, known, bundled) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if not isinstance(reference, str) or reference.startswith("#"):
        return {key: _inlined(item, by_id, known, bundled) for key, item in node.items()}
    target, _, pointer = reference.partition("#")
    name = by_id.get(target) or target.removeprefix("../").removesuffix(".json")
    component = _component(name, pointer.removeprefix("/$defs/"))
    if component not in bundled:
        bundled[component] = {}  # taken, should the schema refer to itself
        schema = known[name]["$defs"][pointer.removeprefix("/$defs/")] if pointer else known[name]
        bundled[component] = _inlined(
            {key: item for key, item in schema.items() if key not in {"$id", "$schema"}}, by_id, known, bundled
        )
    return {**node, "$ref": f"#/components/schemas/{component}"}


def _component(name: str, definition: str) -> str:
    """`cdi/v1/data-request` → DataRequest, `codelists/purpose` → PurposeCode, a definition of the types → UuidValue."""
    stem = definition or name.rpartition("/")[2]
    words = "".join(word[:1].upper() + word[1:] for word in stem.split("-"))
    if definition:
        return f"{words}Value"
    return f"{words.removesuffix('Code')}Code" if name.startswith("codelists/") else words
