"""The observed audit log: the same log, and what operations people see of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.audit.record import Record
from gateway.errors import AuditUnavailable
from gateway.observe.audit import ObservedAuditLog
from gateway.observe.metrics import Metrics
from gateway.ports import Position
from tests import samples
from tests.fakes import FakeClock


class SlowLog:
    """Takes a quarter of a second by the clock, or is dead."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.size = 0
        self.dead = False

    async def append(self, records: Sequence[Record]) -> Sequence[Position]:
        if self.dead:
            raise AuditUnavailable()
        self._clock.advance(0.25)
        first, self.size = self.size, self.size + len(records)
        return [Position(index=index, leaf_hash=b"\x00" * 32) for index in range(first, self.size)]

    def healthy(self) -> bool:
        return not self.dead


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def test_entries_are_counted_by_type_with_size_and_time(clock: FakeClock) -> None:
    metrics = Metrics(version="0")
    log = ObservedAuditLog(SlowLog(clock), metrics=metrics, clock=clock)
    await log.append([samples.record(), samples.record(type="verification.decided")])
    positions = await log.append([samples.record()])
    assert [position.index for position in positions] == [2]
    value = metrics.registry.get_sample_value
    assert value("cdi_audit_entries_total", {"type": "verification.intended"}) == 2
    assert value("cdi_audit_entries_total", {"type": "verification.decided"}) == 1
    assert value("cdi_audit_tree_size") == 3
    assert value("cdi_audit_append_seconds_count") == 2
    assert value("cdi_audit_append_seconds_sum") == 0.5


async def test_what_was_not_appended_is_not_counted(clock: FakeClock) -> None:
    metrics, inner = Metrics(version="0"), SlowLog(clock)
    log = ObservedAuditLog(inner, metrics=metrics, clock=clock)
    assert log.healthy()
    inner.dead = True
    with pytest.raises(AuditUnavailable):
        await log.append([samples.record()])
    assert not log.healthy()
    assert metrics.registry.get_sample_value("cdi_audit_entries_total", {"type": "verification.intended"}) is None
    assert metrics.registry.get_sample_value("cdi_audit_append_seconds_count") == 0


async def test_nothing_appended_leaves_the_size_alone(clock: FakeClock) -> None:
    metrics = Metrics(version="0")
    log = ObservedAuditLog(SlowLog(clock), metrics=metrics, clock=clock)
    await log.append([samples.record()])
    assert await log.append([]) == []
    assert metrics.registry.get_sample_value("cdi_audit_tree_size") == 1
