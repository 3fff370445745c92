"""Witnesses and time-stamps as operations people see them: every failure counts, every change is one line."""

from __future__ import annotations

import io
from typing import Any

import orjson

from gateway.errors import AuditUnavailable, UpstreamUnavailable
from gateway.observe.attestations import ObservedCosigning, ObservedTimestamping
from gateway.observe.logs import configure
from gateway.observe.metrics import Metrics


def lines(stream: io.BytesIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


def test_a_failure_that_goes_on_is_counted_each_time_and_told_once() -> None:
    metrics, stream = Metrics(version="0"), io.BytesIO()
    seen = ObservedCosigning(metrics, configure("info", stream))
    for first in (True, False, False):
        seen.witness_failed("witness.example", "timeout", conflict=False, first=first)
    assert metrics.registry.get_sample_value("cdi_audit_witness_failures_total", {"witness": "witness.example"}) == 3
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["name"], line["reason"]) == (
        "audit.witness_failed",
        "warning",
        "witness.example",
        "timeout",
    )


def test_a_conflict_is_an_alarm_each_time() -> None:
    metrics, stream = Metrics(version="0"), io.BytesIO()
    seen = ObservedCosigning(metrics, configure("info", stream))
    for first in (True, False):
        seen.witness_failed("witness.example", "other_history", conflict=True, first=first)
    assert [(line["event"], line["level"]) for line in lines(stream)] == [("audit.witness_conflict", "error")] * 2


def test_changes_of_the_quorum_and_trouble_of_our_own_are_told() -> None:
    stream = io.BytesIO()
    seen = ObservedCosigning(Metrics(version="0"), configure("info", stream))
    seen.quorum_missed()
    seen.quorum_reached()
    seen.witness_recovered("witness.example")
    seen.witness_broke("witness.example", ValueError("a value that nobody may read"))
    seen.witnesses_forgotten(AuditUnavailable(private="a path"))
    assert [line["event"] for line in lines(stream)] == [
        "audit.quorum_missed",
        "audit.quorum_reached",
        "audit.witness_recovered",
        "audit.witness_failed",
        "audit.witnessed_unkept",
    ]
    assert b"nobody may read" not in stream.getvalue()
    assert b"a path" not in stream.getvalue()


def test_time_stamps_are_told_by_size_and_failures_by_code() -> None:
    stream = io.BytesIO()
    seen = ObservedTimestamping(configure("info", stream))
    seen.stamped(17)
    for first in (True, False):
        seen.stamp_failed(UpstreamUnavailable(private="timestamp_invalid"), "timestamp_invalid", first=first)
    told = lines(stream)
    assert [line["event"] for line in told] == ["audit.timestamped", "audit.timestamp_failed"]
    assert (told[0]["index"], told[1]["reason"], told[1]["level"]) == (17, "timestamp_invalid", "error")
