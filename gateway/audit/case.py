"""The case bundle: what its manifest says, how it is signed, and the edges of a range that is given whole. Pure.

The bundle is read by `adapters/casefile/verify.py`, which shares nothing with this on purpose; `FORMAT` is their bond.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from gateway.audit.note import Checkpoint, NoteSigner, signed
from gateway.audit.query import Query
from gateway.audit.tree import Node

FORMAT = "cdi-gateway/case/v1"
RECORDS_MAX = 50_000
"""Each record is three files: with more of them a bundle is no longer one that people open."""

MANIFEST, MANIFEST_NOTE, VKEYS, RANGE = "manifest.json", "manifest.note", "vkeys.txt", "range/entries"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What was searched and found. `end`: index behind the last entry that was searched. `whole`: every entry of the
    range is in the bundle. `timestamps`: sizes of the stamped checkpoints. `files`: hex SHA-256 by name."""

    head: Checkpoint
    query: Query
    first: int
    end: int
    records: Sequence[int]
    erased: int
    unreadable: int
    whole: bool
    timestamps: Sequence[int]
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """When, by whom and by what. `time`: Unix seconds."""

    time: float
    operator: str
    participant: str
    software: str


def manifest(contents: Contents, made: Made, node: Node) -> bytes:
    """The bytes of `manifest.json` (`schemas/audit/v1/case-manifest.json`). `node`: of the tree of `contents.head`."""
    head = contents.head
    body: dict[str, Any] = {
        "format": FORMAT,
        "log": head.origin,
        "made": {
            "time": datetime.fromtimestamp(int(made.time), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "operator": made.operator,
            "participant": made.participant,
            "software": made.software,
        },
        "query": asked(contents.query),
        "checkpoint": {"size": head.size, "root": head.root.hex()},
        "range": {"first": contents.first, "end": contents.end},
        "completeness": "rerun" if contents.whole else "stated",
        "statement": _statement(contents),
        "counts": {
            "matched": len(contents.records),
            "erased": contents.erased,
            "unreadable": contents.unreadable,
        },
        "records": list(contents.records),
        "timestamps": list(contents.timestamps),
        "files": dict(sorted(contents.files.items())),
    }
    if contents.whole:
        body["edges"] = {
            "left": [[level, _hash(node(level, place))] for level, place in subtrees(0, contents.first)],
            "right": [[level, _hash(node(level, place))] for level, place in subtrees(contents.end, head.size)],
        }
    return orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def asked(query: Query) -> dict[str, Any]:
    """The query, so that another program can ask it again. Times as entries have them, so that they compare as text."""
    return {
        "text": str(query),
        "terms": [
            {"qualifier": term.qualifier.value, "values": list(term.values), "negated": term.negated}
            for term in query.terms
        ],
        "since": _time(query.since),
        "until": _time(query.until),
        "first": query.first,
        "last": query.last,
    }


def manifest_note(data: bytes, signers: Iterable[NoteSigner], origin: str) -> bytes:
    """The signed note over the manifest, by `case_signer`s."""
    text = f"{origin}/case\nmanifest.json sha256 {hashlib.sha256(data).hexdigest()}\n"
    return signed(text, (signer.line(text) for signer in signers)).encode()


def case_name(origin: str) -> str:
    """Under which name the log's key signs bundles: never that of its checkpoints."""
    return f"{origin}/case"


def subtrees(low: int, high: int) -> list[tuple[int, int]]:
    """(level, place) of the largest complete subtrees that the leaves from `low` to below `high` fall into, in order.
    A tree is put together from its left by these and the leaves between them."""
    found = []
    while low < high:
        level = (high - low).bit_length() - 1
        if low:
            level = min(level, (low & -low).bit_length() - 1)
        found.append((level, low >> level))
        low += 1 << level
    return found


def ranged(entry: bytes | None, leaf_hash: bytes) -> bytes:
    """One entry in `range/entries`: its length and bytes as in an entry bundle; 0 and the leaf hash when pruned."""
    if entry is None:
        return b"\x00\x00" + leaf_hash
    return len(entry).to_bytes(2, "big") + entry


def vkeys(logs: Iterable[str], witnesses: Iterable[str]) -> bytes:
    lines = [
        "# Verifier keys (C2SP signed-note). Compare them with what you were given elsewhere.",
        *(f"log {vkey}" for vkey in logs),
        *(f"witness {vkey}" for vkey in witnesses),
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def stamps(sizes: Sequence[int], *, head: int, records: Sequence[int]) -> list[int]:
    """Which time-stamps belong to the case: the first that covers all records, and the newest."""
    known = [size for size in sorted(sizes) if 0 < size <= head]
    last = max(records, default=-1)
    covering = next((size for size in known if size > last), None)
    return sorted({*([covering] if covering is not None else []), *known[-1:]})


def consistency(path: Sequence[bytes]) -> bytes:
    return "".join(f"{_hash(node)}\n" for node in path).encode()


def _statement(contents: Contents) -> str:
    if contents.end == contents.first:
        where = "No entry was searched"
    else:
        where = f"Searched were the entries {contents.first} to {contents.end - 1}"
    found = f"{len(contents.records)} of them matched and are in this bundle; no other did."
    how = (
        "All entries that were searched are in range/entries, so that the search can be repeated."
        if contents.whole
        else "That no other entry matched is the signed statement of the keeper of the log."
    )
    return f"{where} of the log {contents.head.origin} under its checkpoint of size {contents.head.size}. {found} {how}"


def _time(moment: int | None) -> str | None:
    if moment is None:
        return None
    seconds, microseconds = divmod(moment, 1_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{microseconds:06}Z"


def _hash(node: bytes) -> str:
    return base64.b64encode(node).decode()
