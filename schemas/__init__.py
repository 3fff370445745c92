"""The wire shapes as data: JSON Schemas 2020-12, code lists, the OpenAPI document.

A published file is never edited: a change is a new version beside it (`schemas/publish.py`). References stay inside
this package; nothing is ever fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import orjson

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
