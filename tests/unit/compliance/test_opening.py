"""Entries are opened while their key lives; what cannot be read says why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.audit.privacy import Ciphertext, Open
from gateway.audit.query import Qualifier, Query, Term
from gateway.audit.record import entry
from gateway.compliance.opening import Condition, matches, open_entries
from gateway.core.merkle import leaf_hash
from gateway.ports import Head, StoredEntry
from tests import samples


class Log:
    """Entries sealed by their subject's name; `gone` were erased."""

    def __init__(self, count: int) -> None:
        self.gone: set[str] = set()
        self.reads: list[tuple[int, int]] = []
        self.stored: list[StoredEntry] = []
        for _ in range(count):
            data = entry(samples.record(), samples.ORIGIN, _seal)
            self.stored.append(StoredEntry(index=len(self.stored), entry=data, leaf_hash=leaf_hash(data)))

    def put(self, index: int, data: bytes | None, *, leaf: bytes | None = None) -> None:
        """With the leaf hash that was there, if no other is given."""
        self.stored[index] = StoredEntry(index=index, entry=data, leaf_hash=leaf or self.stored[index].leaf_hash)

    async def head(self) -> Head:
        return Head(origin="test/audit", size=len(self.stored), root=b"", pruned=0)

    async def entries(self, start: int, count: int) -> Sequence[StoredEntry]:
        self.reads.append((start, count))
        return self.stored[start : start + count]

    async def open_for(self, subjects: Sequence[str]) -> Open:
        known = set(subjects) - self.gone

        def open_(subject: str, _entry_id: str, ciphertext: Ciphertext) -> bytes | None:
            if ciphertext.key != subject:
                raise ValueError("not this entry's")
            return bytes.fromhex(ciphertext.data) if subject in known else None

        return open_


def _seal(subject: str, _entry_id: str, plaintext: bytes) -> Ciphertext:
    return Ciphertext(key=subject, data=plaintext.hex())


async def test_entries_come_in_the_order_asked_for_and_neighbours_are_read_at_once() -> None:
    log = Log(8)
    found = await open_entries(log, [6, 2, 3, 1, 99])
    assert [one.index for one in found] == [6, 2, 3, 1]
    assert log.reads == [(1, 3), (6, 1), (99, 1)]
    assert {one.condition for one in found} == {Condition.OPEN}
    assert found[0].body is not None
    assert found[0].body["document"]["digest"] == "d" * 64
    assert found[0].leaf_hash == log.stored[6].leaf_hash
    assert await open_entries(log, []) == []


async def test_a_long_run_is_read_in_parts() -> None:
    log = Log(1)
    await open_entries(log, range(2_500))
    assert log.reads == [(0, 1_000), (1_000, 1_000), (2_000, 500)]


async def test_what_cannot_be_read_says_why_and_shows_what_is_left() -> None:
    log = Log(4)
    log.gone.add("b" * 64)
    log.put(1, None)
    log.put(2, b"no JSON", leaf=leaf_hash(b"no JSON"))
    foreign_key = (log.stored[3].entry or b"").replace(b'"key":"b', b'"key":"c')
    log.put(3, foreign_key, leaf=leaf_hash(foreign_key))
    erased, pruned, broken, foreign = await open_entries(log, range(4))
    assert erased.condition is Condition.ERASED
    assert erased.body is not None
    assert "digest" not in erased.body["document"]
    assert (pruned.condition, pruned.body) == (Condition.PRUNED, None)
    assert (broken.condition, broken.body) == (Condition.UNREADABLE, None)
    assert foreign.condition is Condition.UNREADABLE
    assert foreign.body is not None
    assert foreign.body["outcome"] == "MATCH"


async def test_an_entry_that_was_changed_behind_its_leaf_hash_is_not_shown_as_if_it_were_whole() -> None:
    log = Log(1)
    log.put(0, (log.stored[0].entry or b"").replace(b'"MATCH"', b'"MISMATCH"'))
    [changed] = await open_entries(log, [0])
    assert changed.condition is Condition.UNREADABLE
    assert changed.body is not None
    assert "sealed" in changed.body


async def test_what_the_index_found_is_looked_at_again() -> None:
    log = Log(2)
    log.put(1, None)
    wanted = Query(terms=(Term(qualifier=Qualifier.OUTCOME, values=("MATCH",)),))
    other = Query(terms=(Term(qualifier=Qualifier.OUTCOME, values=("MISMATCH",)),))
    there, pruned = await open_entries(log, [0, 1])
    assert matches(wanted, there, _keyed)
    assert not matches(other, there, _keyed)
    assert not matches(Query(), pruned, _keyed)
    nothing_of_ours = replace(there, body={"type": 7})
    assert not matches(Query(), nothing_of_ours, _keyed)


def _keyed(_what: str, value: str) -> str:
    return value
