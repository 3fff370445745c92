"""Entries as people read them: found by index, private fields opened while their subject's key lives.

Opening is not showing: who shows an entry records that first (`reading`, exports).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any, Protocol

import orjson

from gateway.audit.privacy import Open, opened
from gateway.audit.query import Query
from gateway.audit.searchable import Keyed, searchable
from gateway.core.merkle import leaf_hash
from gateway.ports import LogReader, OpeningKeys, StoredEntry

_RUN_MAX = 1_000  # entries of one read


class Condition(StrEnum):
    OPEN = "open"  # every field is there
    ERASED = "erased"  # the subject's key was destroyed, and with it the private fields
    PRUNED = "pruned"  # the bytes were dropped; the leaf hash stays
    UNREADABLE = "unreadable"  # not what was appended or sealed, or no entry: `audit verify` tells more


class ReadableLog(LogReader, OpeningKeys, Protocol):
    """What is read from: the committed entries and the keys that open them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedEntry:
    """`body`: as far as it can be read; None when nothing of it can."""

    index: int
    leaf_hash: bytes
    condition: Condition
    body: dict[str, Any] | None


async def open_entries(log: ReadableLog, indices: Sequence[int]) -> Sequence[OpenedEntry]:
    """In the order of `indices`; without those that the log does not have. Raises AuditUnavailable."""
    found = {one.index: one for one in await open_stored(log, await stored_at(log, sorted(set(indices))))}
    return [found[index] for index in indices if index in found]


async def stored_at(log: LogReader, indices: Sequence[int]) -> Sequence[StoredEntry]:
    """In the order of `indices`, which is ascending; without those that the log does not have."""
    runs = await asyncio.gather(*(log.entries(start, count) for start, count in _runs(indices)))
    return [stored for run in runs for stored in run]


async def open_stored(keys: OpeningKeys, entries: Sequence[StoredEntry]) -> Sequence[OpenedEntry]:
    """In their order. Raises AuditUnavailable."""
    subjects = {subject for stored in entries if (subject := _subject(stored)) is not None}
    open_ = await keys.open_for(sorted(subjects))
    return [_opened(stored, open_) for stored in entries]


def matches(query: Query, entry: OpenedEntry, keyed: Keyed) -> bool:
    """Whether the entry itself is what the query asks for: since the index found it, it may have been erased or
    pruned."""
    if entry.body is None:
        return False
    try:
        return query.matches(searchable(entry.index, entry.body, keyed))
    except ValueError:
        return False


def _opened(stored: StoredEntry, open_: Open) -> OpenedEntry:
    body: dict[str, Any] | None = None
    if stored.entry is None:
        condition = Condition.PRUNED
    elif leaf_hash(stored.entry) != stored.leaf_hash:  # what is in clear may be changed as well
        body, condition = _parsed(stored.entry), Condition.UNREADABLE
    else:
        try:
            body = opened(stored.entry, open_)
            condition = Condition.ERASED if body.get("sealed") == "erased" else Condition.OPEN
        except ValueError:
            body, condition = _parsed(stored.entry), Condition.UNREADABLE
    return OpenedEntry(index=stored.index, leaf_hash=stored.leaf_hash, condition=condition, body=body)


def _subject(stored: StoredEntry) -> str | None:
    body = _parsed(stored.entry) if stored.entry is not None else None
    subject = body.get("subject") if body is not None and "sealed" in body else None
    return subject if isinstance(subject, str) else None


def _parsed(entry: bytes) -> dict[str, Any] | None:
    try:
        body = orjson.loads(entry)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _runs(indices: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(start, count) of neighbours, so that they are read at once."""
    if not indices:
        return
    start = indices[0]
    for one, following in pairwise([*indices, None]):
        if one is not None and (following != one + 1 or following - start >= _RUN_MAX):
            yield start, one + 1 - start
            if following is not None:
                start = following
