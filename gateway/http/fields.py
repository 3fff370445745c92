"""Header fields and query parameters as the bank API reads them: strict, bounded, and never echoed."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from multidict import MultiMapping

from gateway.errors import IdempotencyKeyMissing, SchemaInvalid, TokenInvalid, Violation
from gateway.exchange.admission import Credentials
from gateway.exchange.possession import Shown

_CREDENTIALS = re.compile(r"(bearer|dpop) +([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)  # RFC 6750 §2.1, RFC 9449 §7.1
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_WAIT = re.compile(r"[0-9]{1,6}")
# RFC 7240 §2: token [= word] *(; [token [= word]]). Each blank belongs to one place only: linear in any input.
_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_WORD = rf"""(?:{_NAME}|"(?:[^"\\]|\\.)*")"""
_PREFERENCE = re.compile(
    rf"[ \t,]*({_NAME})[ \t]*(?:=[ \t]*({_WORD})[ \t]*)?"
    rf"(?:;[ \t]*(?:{_NAME}[ \t]*(?:=[ \t]*{_WORD}[ \t]*)?)?)*(?:,|$)"
)
_NUMBER = re.compile(r"[0-9]{1,15}")

Status = TypeVar("Status", bound=Enum)


def credentials(headers: MultiMapping[str], *, method: str, url: str) -> Credentials | None:
    """The access token of the Authorization field and the DPoP proof beside it, None without the field.

    `url`: of this resource, without query, as clients know it. Raises TokenInvalid for another scheme.
    """
    value = headers.get("Authorization")
    if value is None:
        return None
    matched = _CREDENTIALS.fullmatch(value)
    if matched is None:
        raise TokenInvalid(private="scheme")
    proof = headers.get("DPoP")
    return Credentials(
        token=matched[2],
        dpop=matched[1].lower() == "dpop",
        shown=Shown(proof=proof, method=method, url=url) if proof is not None else None,
    )


def idempotency_key(headers: MultiMapping[str]) -> str:
    """The Idempotency-Key field: 1 to 255 visible ASCII characters."""
    value = headers.get("Idempotency-Key")
    if value is None:
        raise IdempotencyKeyMissing()
    if _KEY.fullmatch(value) is None:
        raise invalid("/header/Idempotency-Key", "pattern", "must be 1 to 255 visible ASCII characters")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What the client prefers (RFC 7240). `wait`: whole seconds, cut to the limit; None: not asked for.
    `covered`: a final answer only when a published checkpoint covers the outcome's record."""

    wait: int | None = None
    covered: bool = False

    @property
    def wait_seconds(self) -> float:
        return float(self.wait or 0)

    def applied(self, *, covered: bool) -> dict[str, str]:
        """The field that says what was honoured (RFC 7240 §3), if anything was."""
        honoured = [] if self.wait is None else [f"wait={self.wait}"]
        if covered and self.covered:
            honoured.append("covered")
        return {"Preference-Applied": ", ".join(honoured)} if honoured else {}


def preferences(headers: MultiMapping[str], seconds_max: float) -> Preferences:
    """Of the Prefer fields. What is unknown or malformed is ignored, and of a repeated one all but the first (§2)."""
    found: dict[str, str] = {}
    for field in headers.getall("Prefer", []):
        place = 0
        while place < len(field) and (matched := _PREFERENCE.match(field, place)):
            found.setdefault(matched[1].lower(), (matched[2] or "").strip('"'))
            place = matched.end()
    wait = found.get("wait")
    return Preferences(
        wait=min(int(wait), int(seconds_max)) if wait is not None and _WAIT.fullmatch(wait) else None,
        covered=found.get("covered") == "",
    )


class Query:
    """The query string's parameters: each at most once, none unknown."""

    def __init__(self, query: MultiMapping[str], *known: str) -> None:
        for name in query:
            if name not in known:
                raise invalid("/query", "additionalProperties", "has a parameter that this route does not know")
            if len(query.getall(name)) > 1:
                raise invalid(f"/query/{name}", "uniqueItems", "is given more than once")
        self._query = query

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        value = self._query.get(name)
        if value is None:
            return default
        if _NUMBER.fullmatch(value) is None or not least <= int(value) <= most:
            raise invalid(f"/query/{name}", "range", f"must be a whole number from {least} to {most}")
        return int(value)

    def uuid(self, name: str) -> str | None:
        value = self._query.get(name)
        if value is None:
            return None
        parsed = as_uuid(value)
        if parsed is None:
            raise invalid(f"/query/{name}", "format", "must be a UUID")
        return parsed

    def one_of(self, name: str, kind: type[Status]) -> Status | None:
        value = self._query.get(name)
        if value is None:
            return None
        try:
            return kind(value)
        except ValueError as error:
            raise invalid(f"/query/{name}", "enum", "must be a value of its code list") from error


def as_uuid(value: str) -> str | None:
    """The UUID in its canonical form, or None. Only the 36-character form counts."""
    if len(value) != 36:
        return None
    try:
        return str(uuid.UUID(value))
    except ValueError:
        return None


def invalid(pointer: str, keyword: str, message: str) -> SchemaInvalid:
    return SchemaInvalid(violations=(Violation(pointer, keyword, message),))
