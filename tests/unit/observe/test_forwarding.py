from __future__ import annotations

from gateway.errors import UpstreamUnavailable
from gateway.observe.forwarding import ObservedForwarding
from gateway.observe.metrics import Metrics
from tests.fakes_app import Events, log_to


def observed() -> tuple[ObservedForwarding, Metrics, Events]:
    events, metrics = Events(), Metrics(version="test")
    return ObservedForwarding(metrics, log_to(events)), metrics, events


def test_lag_and_failures_are_metrics_by_target() -> None:
    forwarding, metrics, _ = observed()
    forwarding.lag("siem", 7)
    forwarding.failed("siem", UpstreamUnavailable(private="https_500"))
    forwarding.failed("siem", UpstreamUnavailable(private="https_500"))
    text = metrics.render().decode()
    assert 'cdi_audit_forward_lag_entries{target="siem"} 7.0' in text
    assert 'cdi_audit_forward_failures_total{target="siem"} 2.0' in text


def test_an_outage_is_a_line_at_its_beginning_and_one_at_its_end() -> None:
    forwarding, _, events = observed()
    for _ in range(3):
        forwarding.failed("siem", UpstreamUnavailable(private="syslog_TimeoutError"))
    forwarding.recovered("siem")
    forwarding.failed("siem", ValueError("entry 7 is missing"))
    names = [line["event"] for line in events.lines]
    assert names == ["audit.forward_failed", "audit.forward_recovered", "audit.forward_failed"]
    assert events.lines[0]["reason"] == "syslog_TimeoutError"
    assert "missing" not in str(events.lines[2])


def test_an_entry_that_is_none_is_named_by_its_index() -> None:
    forwarding, _, events = observed()
    forwarding.unreadable("siem", 41)
    assert (events.lines[0]["level"], events.lines[0]["index"]) == ("error", 41)
