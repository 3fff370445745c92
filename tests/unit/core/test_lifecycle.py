from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest

from gateway.core.lifecycle import CONSENT, EXCHANGE, OPEN_CONSENT, OPEN_EXCHANGE, step
from gateway.core.model import ConsentStatus, ExchangeStatus
from gateway.errors import StateConflict

TABLES: list[tuple[Any, type[StrEnum]]] = [
    (CONSENT, ConsentStatus),
    (EXCHANGE, ExchangeStatus),
]
STEPS = [
    pytest.param(table, current, following, id=f"{current}-{following}")
    for table, statuses in TABLES
    for current in statuses
    for following in statuses
]


@pytest.mark.parametrize(("table", "statuses"), TABLES)
def test_every_status_has_its_row(table: Any, statuses: type[StrEnum]) -> None:
    assert set(table) == set(statuses)


@pytest.mark.parametrize(("table", "current", "following"), STEPS)
def test_a_step_is_possible_exactly_when_the_table_has_it(table: Any, current: Any, following: Any) -> None:
    if following in table[current]:
        assert step(table, current, following) is following
    else:
        with pytest.raises(StateConflict) as refused:
            step(table, current, following)
        assert current.value in refused.value.detail


@pytest.mark.parametrize(("table", "statuses"), TABLES)
def test_every_life_comes_to_an_end(table: Any, statuses: type[StrEnum]) -> None:
    # No status is reached twice: every path ends within as many steps as there are statuses.
    reached = set(statuses)
    for _ in statuses:
        reached = {following for status in reached for following in table[status]}
    assert not reached


@pytest.mark.parametrize(
    ("table", "start"),
    [(CONSENT, ConsentStatus.SUBMITTED), (EXCHANGE, ExchangeStatus.PENDING)],
)
def test_every_status_can_be_reached(table: Any, start: Any) -> None:
    reached = {start}
    while more := {following for status in reached for following in table[status]} - reached:
        reached |= more
    assert reached == set(table)


def test_a_walk_stops_at_the_first_impossible_step() -> None:
    walk = (ExchangeStatus.APPROVED, ExchangeStatus.SHARED, ExchangeStatus.RECEIVED)
    assert step(EXCHANGE, ExchangeStatus.PENDING, *walk) is ExchangeStatus.RECEIVED
    with pytest.raises(StateConflict):
        step(EXCHANGE, ExchangeStatus.PENDING, ExchangeStatus.SHARED, ExchangeStatus.RECEIVED)


def test_what_is_open_has_a_way_to_its_end() -> None:
    assert all(ExchangeStatus.REJECTED in EXCHANGE[status] for status in OPEN_EXCHANGE)
    assert all(ConsentStatus.EXPIRED in CONSENT[status] for status in OPEN_CONSENT)
