from __future__ import annotations

import io

import orjson

from gateway.errors import AuditUnavailable
from gateway.followers.history import LogRolledBack
from gateway.observe import logs
from gateway.observe.metrics import Metrics
from gateway.observe.publication import REBUILT_STEP, ObservedPublication


def test_a_row_of_failures_is_one_line_and_a_count() -> None:
    stream, metrics = io.BytesIO(), Metrics(version="0")
    observed = ObservedPublication(metrics, logs.configure("info", stream))
    observed.published(5)
    for _ in range(3):
        observed.publication_failed(AuditUnavailable(private="log/checkpoint: No space left on device"))
    observed.published(9)
    observed.publication_failed(LogRolledBack("restore the database"))
    observed.publication_failed(ValueError("with a value in it"))
    rendered = metrics.render().decode()
    assert "cdi_audit_published_size 9.0" in rendered
    assert "cdi_audit_publication_failures_total 5.0" in rendered
    lines = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line.get("reason")) for line in lines] == [
        ("audit.publication_failed", "log/checkpoint: No space left on device"),
        ("audit.publication_recovered", None),
        ("audit.publication_failed", "restore the database"),
        ("audit.publication_failed", "ValueError"),
    ]


def test_a_long_rebuild_says_how_far_it_is() -> None:
    stream = io.BytesIO()
    observed = ObservedPublication(Metrics(version="0"), logs.configure("info", stream))
    for done in range(0, 3 * REBUILT_STEP, 1_024):
        observed.rebuilding(done, 3 * REBUILT_STEP)
    lines = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["index"]) for line in lines] == [
        ("audit.rebuilding", REBUILT_STEP),
        ("audit.rebuilding", 2 * REBUILT_STEP),
    ]
