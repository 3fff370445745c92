from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from gateway.observe.metrics import OTHER, Family, Metrics
from tests.fakes_edge import until

CONTRACT_NAMES = {
    "cdi_requests_total",
    "cdi_request_duration_seconds",
    "cdi_gateway_duration_seconds",
    "cdi_upstream_duration_seconds",
    "cdi_verifications_total",
    "cdi_exchanges_open",
    "cdi_consents",
    "cdi_rate_limited_total",
    "cdi_auth_failures_total",
    "cdi_audit_entries_total",
    "cdi_audit_append_seconds",
    "cdi_audit_tree_size",
    "cdi_breaker_state",
    "cdi_certificate_expiry_timestamp_seconds",
    "cdi_event_loop_lag_seconds",
    "cdi_build_info",
}


def test_every_name_of_the_contract_is_exposed() -> None:
    metrics = Metrics(version="1.2.3")
    named = {line.split()[2] for line in metrics.render().decode().splitlines() if line.startswith("# TYPE")}
    assert named >= CONTRACT_NAMES


def test_rendered_text_parses_and_holds_no_creation_times() -> None:
    metrics = Metrics(version="1.2.3")
    metrics.requests("/cdi/v1/consents", "ok").inc()
    samples = [s for family in text_string_to_metric_families(metrics.render().decode()) for s in family.samples]
    assert any(s.name == "cdi_build_info" and s.labels == {"version": "1.2.3"} and s.value == 1 for s in samples)
    assert not any(s.name.endswith("_created") for s in samples)


def test_two_processes_in_one_do_not_share_a_registry() -> None:
    first, second = Metrics(version="1"), Metrics(version="1")
    first.audit_tree_size.set(7)
    assert second.registry.get_sample_value("cdi_audit_tree_size") == 0


def test_label_child_is_kept() -> None:
    metrics = Metrics(version="1")
    assert metrics.requests("/a", "ok") is metrics.requests("/a", "ok")


def test_labels_above_the_limit_fall_together() -> None:
    registry = CollectorRegistry()
    family = Family(Counter("x_total", "x", ("name",), registry=registry), series_max=2)
    for index in range(10_000):
        family(f"n{index}").inc()
    assert registry.get_sample_value("x_total", {"name": "n0"}) == 1
    assert registry.get_sample_value("x_total", {"name": OTHER}) == 9_998
    assert len(list(next(iter(registry.collect())).samples)) == 3


def test_remembered_children_stay_bounded() -> None:
    family = Family(Counter("y_total", "y", ("name",), registry=CollectorRegistry()), series_max=2)
    for index in range(100):
        family(f"n{index}").inc()
    assert len(family) <= 3


def test_certificate_expiry_is_read_from_the_leaf(tmp_path: Path) -> None:
    expiry = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    leaf = trustme.CA().issue_cert("localhost", not_after=expiry)
    file = tmp_path / "chain.pem"
    file.write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    metrics = Metrics(version="1")
    metrics.set_certificates({"bank": file})
    name = "cdi_certificate_expiry_timestamp_seconds"
    assert metrics.registry.get_sample_value(name, {"name": "bank"}) == expiry.timestamp()


def test_certificate_file_without_certificate_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "empty.pem"
    file.write_bytes(b"")
    with pytest.raises(ValueError):
        Metrics(version="1").set_certificates({"bank": file})


async def test_loop_lag_is_measured_until_cancelled() -> None:
    metrics = Metrics(version="1")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(metrics.watch_loop())
        await until(lambda: bool(metrics.registry.get_sample_value("cdi_event_loop_lag_seconds")))
        task.cancel()
    assert task.cancelled()
