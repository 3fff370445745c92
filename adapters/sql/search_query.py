"""A `Query` as one SQL statement, the same on every database. What it means is said by `Query.matches`."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

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


def matching(query: Query, *, low: int, high: int, after: int | None, newest_first: bool, limit: int) -> Select[int]:
    """The indices, in order, of the rows from `low` to `high` (with it) that match."""
    conditions = [_entries.idx >= max(low, query.first or 0)]
    conditions.append(_entries.idx <= (high if query.last is None else min(high, query.last)))
    # `+ 0`: the planner is not to go by the index on time, and sort.
    conditions += _in_period(query, _entries.time + 0)
    conditions += [_condition(term) for term in query.terms]
    if after is not None:
        conditions.append(_entries.idx < after if newest_first else _entries.idx > after)
    order = _entries.idx.desc() if newest_first else _entries.idx.asc()
    return select(_entries.idx).where(and_(*conditions)).order_by(order).limit(limit)


def _in_period(query: Query, time: ColumnElement[int]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if query.since is not None:
        conditions.append(time >= query.since)
    if query.until is not None:
        conditions.append(time < query.until)
    return conditions


def _condition(term: Term) -> ColumnElement[bool]:
    if term.qualifier is Qualifier.DIGEST:
        found = _entries.idx.in_(
            select(_digests.idx).where(_digests.digest.in_([bytes.fromhex(v) for v in term.values]))
        )
        return ~found if term.negated else found
    if term.qualifier is Qualifier.TYPE:
        families = [value.removesuffix(_FAMILY) for value in term.values if value.endswith(_FAMILY)]
        types = [value for value in term.values if not value.endswith(_FAMILY)]
        ways = [
            column.in_(values) for column, values in ((_entries.family, families), (_entries.type, types)) if values
        ]
        return ~or_(*ways) if term.negated else or_(*ways)
    column = _entries[term.qualifier.value]
    if term.negated:
        return or_(column.is_(None), column.not_in(term.values))
    return column == term.values[0] if len(term.values) == 1 else column.in_(term.values)
