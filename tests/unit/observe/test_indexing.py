from __future__ import annotations

import io

import orjson

from gateway.errors import AuditUnavailable
from gateway.observe import logs
from gateway.observe.indexing import ObservedIndexing
from gateway.observe.metrics import Metrics


def test_lag_and_failures_are_metrics_and_a_row_of_failures_is_one_line() -> None:
    stream, metrics = io.BytesIO(), Metrics(version="0")
    observed = ObservedIndexing(metrics, logs.configure("info", stream))
    observed.lag(7, 2.5)
    observed.failed(AuditUnavailable(private="OperationalError"))
    observed.failed(AuditUnavailable(private="OperationalError"))
    observed.lag(0, 0.0)
    observed.started_over()
    observed.unreadable(12)
    observed.failed(ValueError("with a value in it"))
    rendered = metrics.render().decode()
    assert "cdi_audit_index_lag_entries 0.0" in rendered
    assert "cdi_audit_index_lag_seconds 0.0" in rendered
    assert "cdi_audit_index_failures_total 3.0" in rendered
    lines = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("audit.index_failed", "error"),
        ("audit.index_recovered", "info"),
        ("audit.index_started_over", "warning"),
        ("audit.entry_unreadable", "error"),
        ("audit.index_failed", "error"),
    ]
    assert lines[3]["index"] == 12
    assert b"with a value in it" not in stream.getvalue()
