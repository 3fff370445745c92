"""Events in ArcSight's Common Event Format (`CEF:0`), one line each: keys of the standard dictionary, and escaping.

Sources: Micro Focus Security ArcSight Common Event Format, version 26 (header, extension dictionary, escaping).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from gateway.audit.event import PRODUCT, Event, Gap, Severity

_SEVERITY = {Severity.INFORMATIONAL: 1, Severity.LOW: 3, Severity.MEDIUM: 6, Severity.HIGH: 8}  # CEF counts to 10

_HEADER = str.maketrans({"\\": r"\\", "|": r"\|", "\n": " ", "\r": " "})  # a header has no line ends at all
_VALUE = str.maketrans({"\\": r"\\", "=": r"\=", "\n": r"\n", "\r": r"\r"})


def cef(item: Event | Gap) -> bytes:
    """One line, without its end."""
    if isinstance(item, Gap):
        name = "entries were pruned before they could be forwarded"
        return _line("", "log.gap", name, Severity.MEDIUM, _gap(item))
    return _line(item.software, item.type, item.type, item.severity, _event(item))


def _line(version: str, signature: str, name: str, severity: Severity, extension: Iterator[tuple[str, Any]]) -> bytes:
    fields = ("CEF:0", *(escaped_header(text) for text in (PRODUCT, PRODUCT, version, signature, name)))
    pairs = " ".join(f"{key}={escaped_value(str(value))}" for key, value in extension)
    return "|".join((*fields, str(_SEVERITY[severity]), pairs)).encode()


def escaped_header(text: str) -> str:
    return text.translate(_HEADER)


def escaped_value(text: str) -> str:
    return text.translate(_VALUE)


_OPTIONAL: tuple[tuple[str, str, str], ...] = (
    ("reason", "", "reason"),
    ("cnt", "", "count"),
    ("suid", "", "actor.participant"),
    ("suser", "", "actor.client"),
    ("destinationServiceName", "", "counterparty"),
    ("cs3", "consent", "consent.id"),
    ("cs4", "request", "request"),
    ("cs5", "interaction", "interaction"),
    ("cs6", "facts", "facts"),
    ("flexString1", "documentType", "document.type"),
    ("flexString2", "direction", "direction"),
    ("cn2", "latencyMs", "latencyMs"),
    ("cn3", "attempts", "attempts"),
)
"""Key of the dictionary, label where the key is one for custom values, field of the entry."""


def _event(event: Event) -> Iterator[tuple[str, Any]]:
    yield "rt", event.milliseconds
    yield "externalId", event.body["id"]
    yield from _labelled("cn1", "index", event.index)
    yield from _labelled("cs1", "origin", event.origin)
    yield from _labelled("cs2", "leafHash", event.leaf_hash.hex())
    yield "outcome", event.body.get("outcome", event.status.name.lower())
    for key, label, path in _OPTIONAL:
        holder, _, name = path.rpartition(".")
        value = (event.body.get(holder, {}) if holder else event.body).get(name)
        if isinstance(value, dict):
            value = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
        if value is not None:
            yield from _labelled(key, label, value)


def _gap(gap: Gap) -> Iterator[tuple[str, Any]]:
    yield "rt", gap.milliseconds
    yield from _labelled("cn1", "index", gap.first)
    yield from _labelled("cn2", "below", gap.below)
    yield from _labelled("cs1", "origin", gap.origin)
    yield "cnt", gap.below - gap.first


def _labelled(key: str, label: str, value: Any) -> Iterator[tuple[str, Any]]:
    yield key, value
    if label:
        yield f"{key}Label", label
