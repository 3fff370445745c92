"""How entries look."""

from __future__ import annotations

from datetime import UTC

import pytest

from gateway.cli.audit import entries
from gateway.compliance.opening import Condition, OpenedEntry

BODY = {
    "id": "01900000-0000-7000-8000-000000000001",
    "time": "2026-11-23T12:30:00.000001Z",
    "type": "verification.decided",
    "actor": {"participant": "BANKA01DC", "role": "bank", "client": "bank-a"},
    "request": "01900000-0000-7000-8000-000000000002",
    "outcome": "MATCH",
}


def entry(condition: Condition = Condition.OPEN, body: dict[str, object] | None = BODY) -> OpenedEntry:
    return OpenedEntry(index=4711, leaf_hash=b"\x01" * 32, condition=condition, body=body)


def test_the_columns_stand_under_their_headings() -> None:
    line = entries.line(entry(), UTC)
    for heading, value in (("time", "2026-11-23"), ("type", "verification.decided"), ("outcome", "MATCH")):
        assert line.index(value) == entries.HEADING.index(heading)
    assert "BANKA01DC bank-a" in line
    assert line.startswith("     4711  ")


def test_a_line_says_when_something_is_missing() -> None:
    assert entries.line(entry(Condition.ERASED), UTC).endswith("MATCH  [erased]")
    assert entries.line(entry(Condition.PRUNED, None), UTC).split() == ["4711", "-", "-", "-", "-", "-", "[pruned]"]
    assert "TIMEOUT" in entries.line(entry(body={"type": "verification.decided", "reason": "TIMEOUT"}), UTC)


@pytest.mark.parametrize("condition", list(Condition))
def test_one_entry_says_its_condition_in_words(condition: Condition) -> None:
    text = entries.in_full(entry(condition, None if condition is Condition.PRUNED else BODY), "test/audit")
    first, second, third, *rest = text.splitlines()
    assert (first, second) == ("entry 4711 of test/audit", "leaf hash " + "01" * 32)
    assert third.count(" ") >= 2
    assert bool(rest) is (condition is not Condition.PRUNED)
    assert entries.document(entry(condition))["condition"] == condition.value
