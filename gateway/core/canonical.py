"""RFC 8785 (JCS) bytes of the values that are hashed or signed here.

Those values are objects, arrays, strings, integers within ±(2^53-1), booleans and null. For them orjson's sorted
output is RFC 8785 as long as keys stay in the Basic Multilingual Plane, where UTF-16 order (§3.2.3) and code point
order agree. Floats and other keys are refused rather than written almost right.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

_INTEGER_MAX = 2**53 - 1


def canonical(value: Any) -> bytes:
    """The RFC 8785 bytes. Raises ValueError for what this subset does not hold (floats, huge integers)."""
    _check(value)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def canonical_sha256(value: Any) -> str:
    """Hex SHA-256 over the RFC 8785 bytes."""
    return hashlib.sha256(canonical(value)).hexdigest()


def _check(value: Any) -> None:
    kind = type(value)
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or (not key.isascii() and max(key) > "\uffff"):
                raise ValueError("object key outside the supported set")
            if type(item) is not str:
                _check(item)
    elif kind is list or kind is tuple:
        for item in value:
            if type(item) is not str:
                _check(item)
    elif kind is int:
        if not -_INTEGER_MAX <= value <= _INTEGER_MAX:
            raise ValueError("integer outside the I-JSON range")
    elif kind is not bool and value is not None and not isinstance(value, str):  # a StrEnum is a string
        raise ValueError(f"{kind.__name__} has no canonical form here")
