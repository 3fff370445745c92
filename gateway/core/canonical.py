"""RFC 8785 (JCS) bytes of the values that are hashed or signed here.

Those values are objects, arrays, strings, integers within ±(2^53-1), booleans and null. For them orjson's sorted
output is RFC 8785 as long as keys stay in the Basic Multilingual Plane, where UTF-16 order (§3.2.3) and code point
order agree. Floats and other keys are refused rather than written almost right.
"""

from __future__ import annotations

import hashlib
from types import NoneType
from typing import Any

import orjson

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER  # the latter refuses what is beyond ±(2^53-1)
_SCALARS = frozenset({str, int, bool, NoneType})


def canonical(value: Any) -> bytes:
    """The RFC 8785 bytes. Raises ValueError for what this subset does not hold (floats, huge integers)."""
    _check_values(value)
    try:
        data = orjson.dumps(value, option=_OPTIONS)
    except TypeError as error:  # also of keys that are no strings, and of lone surrogates
        raise ValueError(f"no canonical form here: {error}") from error
    if not data.isascii():
        _check_keys(value)
    return data


def canonical_sha256(value: Any) -> str:
    """Hex SHA-256 over the RFC 8785 bytes."""
    return hashlib.sha256(canonical(value)).hexdigest()


def _check_values(value: Any) -> None:
    kind = type(value)
    if kind is dict or kind is list or kind is tuple:
        items = value.values() if kind is dict else value
        if _SCALARS.issuperset(map(type, items)):  # most are such: this is on the way of every signature and record
            return
        for item in items:
            if type(item) is not str:
                _check_values(item)
    elif kind not in _SCALARS and not isinstance(value, str):  # a StrEnum is a string
        raise ValueError(f"{kind.__name__} has no canonical form here")


def _check_keys(value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not key.isascii() and max(key) > "\uffff":
                raise ValueError("object key outside the supported set")
            _check_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_keys(item)
