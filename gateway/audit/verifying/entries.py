"""What the bytes of one entry must be, whatever it says: RFC 8785 JSON, an object, version 1, at most 16 KiB."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

ENTRY_BYTES_MAX = 16 * 1024
_INTEGER_MAX = 2**53 - 1


def examined(entry: bytes) -> dict[str, Any] | str:
    """The entry, or what is wrong with it: a text without any of its values."""
    if len(entry) > ENTRY_BYTES_MAX:
        return "is longer than an entry may be"
    try:
        body = orjson.loads(entry)
        # Sorted output of the same bytes is RFC 8785, as long as there is no number that ECMAScript writes otherwise.
        same = orjson.dumps(body, option=orjson.OPT_SORT_KEYS) == entry
    except (ValueError, TypeError):
        return "is not JSON"
    if type(body) is not dict:
        return "is not a JSON object"
    if not same or not _exact(body):
        return "is not in canonical form (RFC 8785)"
    if type(body.get("v")) is not int or body["v"] != 1:
        return "is not of version 1"
    return body


def pruned_below(body: dict[str, Any]) -> int:
    """The index below which this entry lets entries be absent."""
    if body.get("type") != "audit.pruned":
        return 0
    facts = body.get("facts")
    below = facts.get("below") if type(facts) is dict else None
    return below if type(below) is int else 0


def _exact(value: dict[str, Any] | list[Any]) -> bool:
    items: Iterable[Any] = value.values() if isinstance(value, dict) else value
    for item in items:
        kind = type(item)
        if kind is str:
            continue
        if kind is int:
            if not -_INTEGER_MAX <= item <= _INTEGER_MAX:
                return False
        elif kind is dict or kind is list:
            if not _exact(item):
                return False
        elif kind is float:
            return False
    return True
