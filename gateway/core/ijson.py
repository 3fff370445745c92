"""Strict I-JSON (RFC 7493): bytes to a value that every parser reads alike, or a refusal without values.

Stricter in one point: no message here has a fraction, so numbers are integers and nothing is lost by rounding.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import orjson

from gateway.errors import SchemaInvalid, Violation

DEPTH_MAX = 32
_INTEGER_MAX = 2**53 - 1  # RFC 7493 §2.2
_NONCHARACTER = re.compile(
    "[\ufdd0-\ufdef" + "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF)) + "]"
)


class _Refused(Exception):
    """Why this is not I-JSON."""


def parse(data: bytes) -> Any:
    """The value. Raises SchemaInvalid with one violation (keyword `i-json`) that holds nothing of the input."""
    try:
        # orjson refuses what json.loads lets pass: invalid UTF-8, a BOM, NaN, lone surrogates.
        value = orjson.loads(data)
        if data.count(b"{") + data.count(b"[") > DEPTH_MAX:
            _check_depth(value, DEPTH_MAX)
        if not data.isascii() or b"\\u" in data:
            _check_characters(value)
        # What is written back to the same bytes had no name twice; most machines write JSON as tightly as orjson does.
        if _whole(value) and orjson.dumps(value) == data:
            return value
        return _DECODER.decode(data.decode())
    except orjson.JSONDecodeError as error:
        raise _invalid("Must be valid JSON in UTF-8 without a byte order mark") from error
    except _Refused as error:
        raise _invalid(str(error)) from None


def _invalid(message: str) -> SchemaInvalid:
    return SchemaInvalid(violations=(Violation("", "i-json", message),))


def _check_depth(value: Any, left: int) -> None:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return
    if left == 0:
        raise _Refused(f"Must not be nested deeper than {DEPTH_MAX}")
    for item in value:
        _check_depth(item, left - 1)


def _whole(value: Any) -> bool:
    """Whether all numbers are integers in range."""
    kind = type(value)
    if kind is dict:
        value = value.values()
    elif kind is int:
        return bool(-_INTEGER_MAX <= value <= _INTEGER_MAX)
    elif kind is not list:
        return kind is not float
    for item in value:  # noqa: SIM110 - a plain loop costs half of a generator, and this is on the hot path
        if type(item) is not str and not _whole(item):
            return False
    return True


def _check_characters(value: Any) -> None:
    # RFC 7493 §2.1; orjson writes all of them unescaped.
    if _NONCHARACTER.search(orjson.dumps(value).decode()):
        raise _Refused("Must not contain Unicode noncharacters")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Refused("Must not contain duplicate names")  # RFC 7493 §2.3
    return members


def _integer(digits: str) -> int:
    # Longer text cannot be in range; int() of thousands of digits is slow.
    if len(digits) > 17 or not -_INTEGER_MAX <= (value := int(digits)) <= _INTEGER_MAX:
        raise _Refused("Must not contain integers beyond 2^53-1")
    return value


def _fraction(_digits: str) -> NoReturn:
    raise _Refused("Must not contain numbers with a fraction or an exponent")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_integer, parse_float=_fraction)
