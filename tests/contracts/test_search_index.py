"""The contract of `ports.SearchIndex`, on every database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from adapters.sql import engine as engines
from adapters.sql import search_tables as tables
from adapters.sql.search_index import SqlSearchIndex, open_search_index
from gateway.audit.query import Query, parse
from gateway.audit.searchable import Searchable
from gateway.core.pseudonym import pseudonym
from gateway.ports import Erasure, Indexed

ORIGIN = "test/audit"
KEYED = partial(pseudonym, b"k" * 32)
UUIDS = [f"01900000-0000-7000-8000-00000000000{digit}" for digit in range(3)]
SUBJECTS = [letter * 64 for letter in "abc"]
SECOND = 1_000_000


@pytest.fixture
async def index(database: str) -> AsyncIterator[SqlSearchIndex]:
    async with open_search_index(database) as opened:
        yield opened


def query(text: str = "") -> Query:
    return parse(text, now=0.0, zone=UTC, keyed=KEYED)


def row(index: int, **changes: Any) -> Searchable:
    values: dict[str, Any] = {
        "index": index,
        "time": index * SECOND,
        "type": "verification.decided",
        "record": UUIDS[0],
    }
    return Searchable(**(values | changes))


async def add(index: SqlSearchIndex, rows: Sequence[Searchable], to: int, *erasures: Erasure) -> bool:
    done = await index.position()
    if not done.origin:
        await index.start_over(ORIGIN, instead_of=done)
        done = await index.position()
    moved = replace(done, next=to, last_leaf=to.to_bytes(32, "big"))
    return await index.add(rows, erasures=erasures, done=done, to=moved)


async def find(index: SqlSearchIndex, text: str = "", **options: Any) -> list[int]:
    return list(await index.find(query(text), **({"after": None, "newest_first": False, "limit": 100} | options)))


def count(database: str, table: Any) -> int:
    with engines.create(database, reads_only=True).connect() as connection:
        found: int = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return found


async def test_a_new_index_is_of_no_log(index: SqlSearchIndex) -> None:
    assert await index.position() == Indexed(origin="", next=0, last_leaf=b"", pruned=0)
    assert await find(index) == []


async def test_the_position_moves_with_the_rows(index: SqlSearchIndex) -> None:
    assert await add(index, [row(0), row(2)], 3)
    assert await index.position() == Indexed(origin=ORIGIN, next=3, last_leaf=(3).to_bytes(32, "big"), pruned=0)
    assert await find(index) == [0, 2]


async def test_rows_that_another_process_added_are_not_added_again(index: SqlSearchIndex, database: str) -> None:
    await add(index, [], 0)
    done = await index.position()
    to = replace(done, next=2, last_leaf=b"x" * 32)
    async with open_search_index(database) as other:
        batches = [one.add([row(0), row(1)], erasures=(), done=done, to=to) for one in (index, other, index, other)]
        assert sorted(await asyncio.gather(*batches)) == [False, False, False, True]
        assert await find(other) == [0, 1]


async def test_a_batch_that_fails_leaves_nothing(index: SqlSearchIndex, database: str) -> None:
    await add(index, [row(0)], 1)
    with pytest.raises(ValueError):
        await add(index, [row(1, digests=("no pseudonym",))], 2)
    assert (await index.position()).next == 1
    assert await find(index) == [0]
    assert count(database, tables.entries) == 1
    assert await add(index, [row(1)], 2)


async def test_pages_go_on_behind_an_index_in_both_orders(index: SqlSearchIndex) -> None:
    await add(index, [row(number) for number in range(7)], 7)
    assert await find(index, limit=3) == [0, 1, 2]
    assert await find(index, after=2, limit=3) == [3, 4, 5]
    assert await find(index, newest_first=True, limit=3) == [6, 5, 4]
    assert await find(index, newest_first=True, after=4, limit=9) == [3, 2, 1, 0]


async def test_a_clock_that_jumped_hides_no_entry_from_a_period(index: SqlSearchIndex) -> None:
    times = [10, 11, 500, 12, 13, 3, 14]
    await add(index, [row(number, time=time * SECOND) for number, time in enumerate(times)], len(times))
    assert await find(index, "from:1970-01-01T00:00:11Z to:1970-01-01T00:00:14Z") == [1, 3, 4]
    assert await find(index, "to:1970-01-01T00:00:11Z", newest_first=True) == [5, 0]
    assert await find(index, "from:1970-01-01T00:00:15Z") == [2]
    assert await find(index, "from:1970-01-02") == []


async def test_an_erasure_drops_the_digests_of_what_came_before_it(index: SqlSearchIndex, database: str) -> None:
    gone, stays = SUBJECTS[:2]
    digests = tuple(letter * 64 for letter in "de")
    await add(index, [row(0, subject=gone, digests=digests), row(1, subject=stays, digests=digests)], 2)
    later = [row(2, subject=gone, digests=digests), row(3, subject=gone), row(4, subject=gone, digests=digests)]
    await add(index, later, 5, Erasure(subject=gone, index=3))
    assert await find(index, f"digest:keyed:{'d' * 64}") == [1, 4]
    assert await find(index, f"subject:{gone}") == [0, 2, 3, 4]
    await index.forget_digests(gone)
    assert await find(index, f"digest:keyed:{'e' * 64}") == [1]
    assert count(database, tables.digests) == 2


async def test_pruned_rows_are_gone_and_stay_gone(
    index: SqlSearchIndex, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.sql.search_index._SLICE", 3)
    await add(index, [row(number, digests=("d" * 64,)) for number in range(10)], 10)
    await index.prune(7)
    assert await find(index) == [7, 8, 9]
    assert (await index.position()).pruned == 7
    assert count(database, tables.digests) == 3
    await index.prune(5)  # an older one that comes late
    assert (await index.position()).pruned == 7


async def test_an_index_that_starts_over_is_empty_and_of_the_new_log(
    index: SqlSearchIndex, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.sql.search_index._SLICE", 3)
    await add(index, [row(number, digests=("d" * 64,)) for number in range(10)], 10)
    before = await index.position()
    await index.start_over("test/other", instead_of=before)
    assert await index.position() == Indexed(origin="test/other", next=0, last_leaf=b"", pruned=0)
    assert await find(index) == []
    assert (count(database, tables.entries), count(database, tables.digests)) == (0, 0)


async def test_an_index_that_others_started_over_is_not_emptied_again(index: SqlSearchIndex, database: str) -> None:
    before = await index.position()
    async with open_search_index(database) as other:
        for one in (index, other):
            await one.start_over(ORIGIN, instead_of=before)
            await add(one, [row((await one.position()).next)], (await one.position()).next + 1)
        assert await find(other) == [0, 1]


async def test_starting_over_takes_nothing_that_others_add_meanwhile(index: SqlSearchIndex, database: str) -> None:
    await add(index, [row(number) for number in range(50)], 50)

    async def fill(one: SqlSearchIndex) -> None:
        while (done := await one.position()).next < 30 or done.origin == ORIGIN:
            following = done.next + 1
            await one.add([row(done.next)], erasures=(), done=done, to=replace(done, next=following))

    async with open_search_index(database) as other:
        for origin in ("test/other", "test/third"):
            before = await index.position()
            restarts = [one.start_over(origin, instead_of=before) for one in (index, other)]
            await asyncio.gather(*restarts, fill(index), fill(other))
            assert await find(other) == list(range((await other.position()).next))
    assert count(database, tables.entries) == (await index.position()).next


async def test_what_a_crash_left_above_the_position_is_not_seen_and_is_replaced(
    index: SqlSearchIndex, database: str
) -> None:
    await add(index, [row(number, outcome="MATCH", digests=("d" * 64,)) for number in range(6)], 6)
    with engines.create(database).connect() as connection, connection.begin():  # the first step of `start_over`
        connection.execute(tables.position.update().values(next=0))
    assert await find(index) == []
    await add(index, [row(0), row(2, outcome="REVOKED")], 4)
    assert await find(index) == [0, 2]
    assert await find(index, "outcome:MATCH") == []
    assert await find(index, f"digest:keyed:{'d' * 64}") == []
    await index.start_over(ORIGIN, instead_of=await index.position())
    assert count(database, tables.entries) == 0


# --- the same as a scan that knows nothing of SQL ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    terms: tuple[tuple[str, str, bool], ...]  # qualifier, value, negated
    since: int | None
    until: int | None
    first: int | None
    last: int | None

    def text(self) -> str:
        words = [f"{'-' * negated}{name}:{'keyed:' * (name == 'digest')}{value}" for name, value, negated in self.terms]
        words += [
            f"{name}:1970-01-01T00:00:{bound:02}Z"
            for name, bound in (("from", self.since), ("to", self.until))
            if bound is not None
        ]
        if self.first is not None or self.last is not None:
            first, last = ("" if bound is None else str(bound) for bound in (self.first, self.last))
            words.append(f"index:{first}..{last}")
        return " ".join(words)

    def scan(self, rows: Sequence[Searchable]) -> list[int]:
        return [one.index for one in rows if self._bounds(one) and self._terms(one)]

    def _bounds(self, one: Searchable) -> bool:
        seconds = one.time / SECOND
        return not (
            (self.since is not None and seconds < self.since)
            or (self.until is not None and seconds >= self.until)
            or (self.first is not None and one.index < self.first)
            or (self.last is not None and one.index > self.last)
        )

    def _terms(self, one: Searchable) -> bool:
        wanted = {name for name, _, negated in self.terms if not negated}
        had = {name for name, value, negated in self.terms if not negated and value in _values(one, name)}
        return wanted == had and not any(negated and value in _values(one, name) for name, value, negated in self.terms)


def _values(one: Searchable, name: str) -> set[str]:
    if name == "digest":
        return set(one.digests)
    if name == "type":
        return {one.type, one.type.split(".")[0] + ".*"}
    return {getattr(one, name)}


VALUES = {
    "type": ["verification.decided", "verification.refused", "audit.read", "consent.revoked"],
    "outcome": ["MATCH", "REVOKED"],
    "actor": ["BANKA01DC", "BANKB01DC"],
    "client": ["bank-a", "alice"],
    "consent": UUIDS,
    "request": UUIDS,
    "record": UUIDS,
    "subject": SUBJECTS,
    "digest": [letter * 64 for letter in "def"],
}


def rows_of(values: Sequence[dict[str, Any] | None]) -> list[Searchable]:
    return [Searchable(index=place, **one) for place, one in enumerate(values) if one is not None]  # None: pruned


optional = {
    name: st.none() | st.sampled_from(VALUES[name])
    for name in ("outcome", "actor", "client", "consent", "request", "subject")
}
logs = st.lists(
    st.none()
    | st.fixed_dictionaries(
        {
            "time": st.integers(0, 59 * SECOND),
            "type": st.sampled_from(VALUES["type"]),
            "record": st.sampled_from(UUIDS),
            "digests": st.lists(st.sampled_from(VALUES["digest"]), unique=True).map(tuple),
            **optional,
        }
    ),
    max_size=25,
).map(rows_of)
terms = st.sampled_from(sorted(VALUES)).flatmap(
    lambda name: st.tuples(
        st.just(name),
        st.sampled_from(VALUES[name] + ([] if name != "type" else ["verification.*", "audit.*"])),
        st.booleans(),
    )
)
bound = st.none() | st.integers(0, 30)
asked = st.builds(
    Asked, terms=st.lists(terms, max_size=5).map(tuple), since=bound, until=bound, first=bound, last=bound
)


@given(
    rows=logs,
    questions=st.lists(asked, min_size=1, max_size=8),
    limit=st.integers(1, 7),
    split=st.integers(0, 25),
    few=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_query_finds_what_a_scan_finds(
    database: str, *, rows: list[Searchable], questions: list[Asked], limit: int, split: int, few: int
) -> None:
    async def compare() -> None:
        async with open_search_index(database) as index:
            await index.start_over(ORIGIN, instead_of=await index.position())
            await add(index, [one for one in rows if one.index < split], split)
            await add(index, [one for one in rows if one.index >= split], 30)
            for question in questions:
                expected = question.scan(rows)
                asked = query(question.text())
                assert [one.index for one in rows if asked.matches(one)] == expected
                for newest_first in (False, True):
                    found: list[int] = []
                    after: int | None = None
                    while page := await index.find(asked, after=after, newest_first=newest_first, limit=limit):
                        found += page
                        after = page[-1]
                    assert found == (expected[::-1] if newest_first else expected)

    with pytest.MonkeyPatch.context() as changed:
        changed.setattr("adapters.sql.search_index._FEW", few)
        asyncio.run(compare())
