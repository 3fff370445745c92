from __future__ import annotations

from gateway.compliance.operator import Operator


def test_an_act_is_recorded_with_the_person_and_the_deployment() -> None:
    operator = Operator(name="alice", participant="HKGATEWAY01")
    one, other = (operator.record(1_800_000_000.5, "audit.read", count=3) for _ in range(2))
    assert one.actor is not None
    assert (one.actor.participant, one.actor.role, one.actor.client) == ("HKGATEWAY01", "auditor", "alice")
    assert (one.type, one.time, one.count) == ("audit.read", 1_800_000_000.5, 3)
    assert one.record_id != other.record_id
    assert one.record_id[:11] == other.record_id[:11]  # time-ordered
