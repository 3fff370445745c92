"""Publishes schemas: `python -m schemas.publish` records the SHA-256 of each new file in `published.json`, and writes
the bank API's OpenAPI document as one file for tools that follow no references. (The authorization server's has none.)

What is recorded there is frozen: banks generated code from it. A changed shape is a new version in a new file. A code
list may gain codes, never lose one, so for a list its codes are recorded instead.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from schemas import openapi_bundle, published_files

_RECORD = "published.json"
BUNDLE = "bank-v1.json"
_CODELISTS = "codelists/"
_READABLE = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE

Published = dict[str, str | list[str]]
"""By name: hex SHA-256 of a schema's file, or the codes of a list."""


def current() -> Published:
    """What would be recorded of the files as they are."""
    return {name: _entry(name, file.read_bytes()) for name, file in published_files()}


def recorded() -> Published:
    """What was published."""
    entries: Published = orjson.loads(files("schemas").joinpath(_RECORD).read_bytes())
    return entries


def edited(before: Mapping[str, str | list[str]], now: Mapping[str, str | list[str]]) -> list[str]:
    """Names of what was published and is no longer the same."""
    return [name for name, entry in before.items() if not _kept(entry, now.get(name))]


def main() -> int:
    """0: recorded; 1: a published file was edited, and nothing is recorded."""
    file = Path(__file__).with_name(_RECORD)
    now = current()
    wrong = edited(recorded() if file.exists() else {}, now)
    if wrong:
        sys.stderr.writelines(f"{name}: published; put the change into a new version\n" for name in wrong)
        return 1
    file.write_bytes(orjson.dumps(now, option=_READABLE | orjson.OPT_SORT_KEYS))
    Path(__file__).with_name("openapi").joinpath(BUNDLE).write_bytes(bundle())
    return 0


def bundle() -> bytes:
    """The file of the self-contained OpenAPI document."""
    return orjson.dumps(openapi_bundle(), option=_READABLE)


def _entry(name: str, data: bytes) -> str | list[str]:
    if name.startswith(_CODELISTS):
        document: dict[str, Any] = orjson.loads(data)
        return list(document["enum"])
    return hashlib.sha256(data).hexdigest()


def _kept(before: str | list[str], now: str | list[str] | None) -> bool:
    if isinstance(before, list):
        return isinstance(now, list) and set(before) <= set(now)
    return before == now


if __name__ == "__main__":
    sys.exit(main())
