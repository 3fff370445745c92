"""The guarded log: unhealthy beyond a limit, and what was accepted may finish all the same."""

from __future__ import annotations

from gateway.audit.record import Record
from gateway.followers.guard import GuardedAuditLog, patience
from tests.fakes_trail import MemoryLog


def record() -> Record:
    return Record(record_id="r", time=0, type="service.started")


async def test_appends_pass_and_their_size_is_told() -> None:
    log, sizes = MemoryLog(3), []
    guarded = GuardedAuditLog(log, limits=[lambda: False], acknowledged=sizes.append)
    assert [position.index for position in await guarded.append([record(), record()])] == [3, 4]
    assert list(await guarded.append([])) == []
    assert sizes == [5]


def test_it_is_healthy_while_the_log_is_and_every_limit_holds() -> None:
    log, within = MemoryLog(), {"a": True, "b": True}
    guarded = GuardedAuditLog(log, limits=[lambda: within["a"], lambda: within["b"]], acknowledged=lambda size: None)
    assert guarded.healthy()
    within["b"] = False
    assert not guarded.healthy()
    within["b"] = True
    log.dead = True
    assert not guarded.healthy()


def test_patience_of_zero_never_ends() -> None:
    assert patience(lambda: 1e9, 0)()
    assert patience(lambda: 5.0, 5)()
    assert not patience(lambda: 5.1, 5)()
