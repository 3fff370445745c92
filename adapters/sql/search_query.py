"""A `Query` as one SQL statement, the same on every database. What it means is said by `Query.matches`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, and_, func, or_, select
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from adapters.sql import search_tables as tables
from gateway.audit.query import Qualifier, Query, Term

_entries, _digests = tables.entries.c, tables.digests.c
_FAMILY = ".*"


def period(query: Query) -> Select[int | None, int | None] | None:
    """The first and the last index whose time is in the query's period; None when it has none.

    Time is nearly in the order of the log, but clocks are set back. These two narrow the way through the rows, so that
    they can be read in their order without sorting a period of any length.
    """
    conditions = _in_period(query, _entries.time)
    return select(func.min(_entries.idx), func.max(_entries.idx)).where(*conditions) if conditions else None


def candidates(term: Term, *, low: int, high: int, limit: int) -> Select[int]:
    """Some of the indices from `low` to `high` of the rows that have one of the term's values, in no order."""
    return select(_entries.idx).where(_entries.idx >= low, _entries.idx <= high, _condition(term)).limit(limit)


def matching(
    query: Query,
    *,
    low: int,
    high: int,
    among: Sequence[int] | None,
    newest_first: bool,
    limit: int,
) -> Select[int]:
    """The indices, in order, of the rows from `low` to `high` that match; `among`: of these rows only."""
    rows: FromClause = tables.entries
    if among is not None:
        # Its limit keeps the planner from going by any other index than that of the rows.
        rows = select(tables.entries).where(_entries.idx.in_(among)).limit(len(among)).subquery()
    # `+ 0`: the planner is not to go by the index on time, and sort.
    conditions = [rows.c.idx >= low, rows.c.idx <= high, *_in_period(query, rows.c.time + 0)]
    conditions += [_condition(term, rows.c) for term in query.terms]
    order = rows.c.idx.desc() if newest_first else rows.c.idx.asc()
    return select(rows.c.idx).where(and_(*conditions)).order_by(order).limit(limit)


def _in_period(query: Query, time: ColumnElement[int]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if query.since is not None:
        conditions.append(time >= query.since)
    if query.until is not None:
        conditions.append(time < query.until)
    return conditions


def _condition(term: Term, row: ReadOnlyColumnCollection[str, Any] = _entries) -> ColumnElement[bool]:
    holds: ColumnElement[bool]
    if term.qualifier is Qualifier.DIGEST:
        holds = row.idx.in_(select(_digests.idx).where(_digests.digest.in_([stored(v) for v in term.values])))
    elif term.qualifier is Qualifier.TYPE:
        families = [value.removesuffix(_FAMILY) for value in term.values if value.endswith(_FAMILY)]
        types = [value for value in term.values if not value.endswith(_FAMILY)]
        ways = [column.in_(values) for column, values in ((row.family, families), (row.type, types)) if values]
        holds = or_(*ways)
    else:
        column = row[term.qualifier.value]
        holds = column == term.values[0] if len(term.values) == 1 else column.in_(term.values)
        if term.negated:
            return or_(column.is_(None), ~holds)
    return ~holds if term.negated else holds


def stored(digest: str) -> bytes:
    """Half of a digest's pseudonym is enough to find it by: what is found is compared with the entry."""
    return bytes.fromhex(digest)[:16]
