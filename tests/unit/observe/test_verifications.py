"""Verifications as operations people see them: counts and codes, and nothing of the document."""

from __future__ import annotations

import io

import orjson

from gateway.errors import UpstreamUnavailable
from gateway.observe.logs import configure
from gateway.observe.metrics import Metrics
from gateway.observe.verifications import Observed


def observed() -> tuple[Observed, Metrics, io.BytesIO]:
    metrics, stream = Metrics(version="0"), io.BytesIO()
    return Observed(metrics, configure("info", stream)), metrics, stream


def test_outcomes_are_counted_by_document_type() -> None:
    seen, metrics, stream = observed()
    for outcome in ("MATCH", "MATCH", "INDETERMINATE"):
        seen.verified("CORPORATE_CREDIT_REPORT", outcome)
    labels = {"direction": "SOUTHBOUND", "document_type": "CORPORATE_CREDIT_REPORT"}
    value = metrics.registry.get_sample_value
    assert value("cdi_verifications_total", labels | {"outcome": "MATCH"}) == 2
    assert value("cdi_verifications_total", labels | {"outcome": "INDETERMINATE"}) == 1
    assert stream.getvalue() == b""


def test_an_alarm_names_the_exchange_and_the_reason() -> None:
    seen, _, stream = observed()
    seen.alarm("ANSWER_UNTRUSTED", "exchange-1")
    line = orjson.loads(stream.getvalue())
    assert (line["event"], line["level"], line["exchange"], line["reason"]) == (
        "verification.alarm",
        "error",
        "exchange-1",
        "ANSWER_UNTRUSTED",
    )


def test_a_failure_is_logged_by_its_code_and_without_its_message() -> None:
    seen, _, stream = observed()
    seen.failed(UpstreamUnavailable("text", private="private"), "exchange-1")
    seen.failed(RuntimeError("owner-7"), "exchange-2")
    lines = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["exchange"], line["code"], line["error"]) for line in lines] == [
        ("exchange-1", "UPSTREAM_UNAVAILABLE", "UpstreamUnavailable"),
        ("exchange-2", "INTERNAL", "RuntimeError"),
    ]
    assert b"owner-7" not in stream.getvalue()
    assert b"private" not in stream.getvalue()
