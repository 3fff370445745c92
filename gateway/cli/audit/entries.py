"""How entries look: a line each for people, an object each for machines, and one entry in full."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any

import orjson

from gateway.compliance.opening import Condition, OpenedEntry

_WORDS = {
    Condition.OPEN: "every field is shown",
    Condition.ERASED: "erased: the data owner's key was destroyed, its private fields with it; the proof stays valid",
    Condition.PRUNED: "pruned: its bytes were dropped after their retention; the leaf hash and the proof stay",
    Condition.UNREADABLE: "unreadable: not what was recorded; run `cdi-gateway audit verify` on the published log",
}


def line(entry: OpenedEntry, zone: tzinfo) -> str:
    """index, time, type, actor, request, outcome or reason, and what else there is to say."""
    body = entry.body or {}
    actor = body.get("actor") or {}
    condition = "" if entry.condition is Condition.OPEN else f"[{entry.condition.value}]"
    columns = (
        f"{entry.index:>9}",
        f"{_local(body.get('time'), zone):<32}",
        f"{body.get('type', '-'):<24}",
        f"{_who(actor):<24}",
        f"{body.get('request', '-'):<36}",
        f"{body.get('outcome') or body.get('reason') or '-'}",
        condition,
    )
    return "  ".join(columns).rstrip()


HEADING = "  ".join(
    (f"{'index':>9}", f"{'time':<32}", f"{'type':<24}", f"{'actor':<24}", f"{'request':<36}", "outcome")
)


def document(entry: OpenedEntry) -> dict[str, Any]:
    return {
        "index": entry.index,
        "leafHash": entry.leaf_hash.hex(),
        "condition": entry.condition.value,
        "entry": entry.body,
    }


def in_full(entry: OpenedEntry, origin: str) -> str:
    head = f"entry {entry.index} of {origin}\nleaf hash {entry.leaf_hash.hex()}\n{_WORDS[entry.condition]}"
    if entry.body is None:
        return head
    return f"{head}\n{orjson.dumps(entry.body, option=orjson.OPT_INDENT_2).decode()}"


def _who(actor: dict[str, Any]) -> str:
    return " ".join(part for part in (actor.get("participant"), actor.get("client")) if part) or "-"


def _local(time: str | None, zone: tzinfo) -> str:
    return datetime.fromisoformat(time).astimezone(zone).isoformat(timespec="microseconds") if time else "-"
