"""An opened entry as a flat row: what tables for people and programs show of it, in one order. Pure.

CSV, JSON Lines and Parquet are the adapters' to write; that they agree begins here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.canonical import canonical

Cell = str | int | None

COLUMNS: Mapping[str, type[str] | type[int]] = {
    "index": int,
    "time": str,
    "type": str,
    "direction": str,
    "participant": str,
    "role": str,
    "client": str,
    "counterparty": str,
    "interaction": str,
    "request": str,
    "consent": str,
    "consentStatus": str,
    "purpose": str,
    "subject": str,
    "documentType": str,
    "issuer": str,
    "algorithm": str,
    "digest": str,
    "otherDigests": str,
    "outcome": str,
    "reason": str,
    "evidence": str,
    "latencyMs": int,
    "attempts": int,
    "count": int,
    "facts": str,
    "condition": str,
    "record": str,
    "retention": str,
    "certificate": str,
    "software": str,
    "leafHash": str,
}
"""Name and type of every column. `condition`: whether the private fields could be opened (`erased`: their key was
destroyed). `facts` is JSON."""

_PLAIN = (
    "time",
    "type",
    "direction",
    "counterparty",
    "interaction",
    "request",
    "subject",
    "outcome",
    "reason",
    "evidence",
    "latencyMs",
    "attempts",
    "count",
    "retention",
    "software",
)


def row(index: int, leaf_hash: bytes, condition: str, body: Mapping[str, Any] | None) -> dict[str, Cell]:
    """One cell for each column; None where the entry says nothing. `body`: None when nothing of it can be read."""
    body = body or {}
    actor, consent, document = (body.get(name) or {} for name in ("actor", "consent", "document"))
    found: dict[str, Cell] = {name: body.get(name) for name in _PLAIN}
    found |= {
        "index": index,
        "participant": actor.get("participant"),
        "role": actor.get("role"),
        "client": actor.get("client"),
        "certificate": actor.get("certificate"),
        "consent": consent.get("id"),
        "consentStatus": consent.get("status"),
        "purpose": consent.get("purpose"),
        "documentType": document.get("type"),
        "issuer": document.get("issuer"),
        "algorithm": document.get("algorithm"),
        "digest": document.get("digest"),
        "otherDigests": _others(document),
        "facts": canonical(body["facts"]).decode() if body.get("facts") else None,
        "condition": condition,
        "record": body.get("id"),
        "leafHash": leaf_hash.hex(),
    }
    return {name: found[name] for name in COLUMNS}


def _others(document: Mapping[str, Any]) -> str | None:
    others = (
        f"{digest['algorithm']}:{digest['value']}"
        for digest in document.get("digests", ())
        if digest["value"] != document.get("digest")
    )
    return " ".join(others) or None
