"""Prometheus metrics: names, labels, buckets. One registry a process, no unbounded label.

A label child costs more to find than to change, so each is looked up once and kept (`Family`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from cryptography import x509
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics import MetricWrapperBase

SERIES_MAX = 1_000
OTHER = "other"
LAG_INTERVAL_SECONDS = 0.5
LAG_WINDOW = 30  # measurements: the gauge shows the worst of the last 15 s, so that a scrape cannot miss it

_REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SYNC_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)

MetricT = TypeVar("MetricT", bound=MetricWrapperBase)


class Family(Generic[MetricT]):
    """A metric with labels. Calling it with the label values gives the child; above SERIES_MAX, one for `other`."""

    __slots__ = ("_children", "_metric", "_series_max")

    def __init__(self, metric: MetricT, series_max: int = SERIES_MAX) -> None:
        self._metric = metric
        self._children: dict[tuple[str, ...], MetricT] = {}
        self._series_max = series_max

    def __call__(self, *labels: str) -> MetricT:
        child = self._children.get(labels)
        if child is None:
            if len(self._children) >= self._series_max:
                labels = (OTHER,) * len(labels)
            child = self._children[labels] = self._metric.labels(*labels)
        return child

    def __len__(self) -> int:
        return len(self._children)


class Metrics:
    """All metrics of the process. Attributes are named as the metrics without prefix and unit."""

    def __init__(self, *, version: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # `_created` doubles the series of every counter and histogram, and nobody reads them
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"cdi_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"cdi_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, labels: Iterable[str], buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"cdi_{name}", text, labels, registry=registry, buckets=buckets)

        self.requests = Family(
            counter("requests_total", "Requests by route template and outcome or error code.", "route", "outcome")
        )
        self.request_duration = Family(
            histogram(
                "request_duration_seconds", "From the header to the answer.", ("route",), buckets=_REQUEST_BUCKETS
            )
        )
        self.gateway_duration = Family(
            histogram(
                "gateway_duration_seconds", "Own time, without waits on others.", ("route",), buckets=_REQUEST_BUCKETS
            )
        )
        self.upstream_duration = Family(
            histogram(
                "upstream_duration_seconds",
                "One try at a platform.",
                ("platform", "message"),
                buckets=_REQUEST_BUCKETS,
            )
        )
        self.verifications = Family(
            counter("verifications_total", "Judged answers.", "direction", "document_type", "outcome")
        )
        self.exchanges_open = Family(gauge("exchanges_open", "Data requests without a final status.", "status"))
        self.consents = Family(gauge("consents", "Consents by status.", "status"))
        self.rate_limited = Family(counter("rate_limited_total", "Requests refused by a rate limit.", "policy"))
        self.auth_failures = Family(counter("auth_failures_total", "Requests refused with 401.", "reason"))
        self.audit_entries = Family(counter("audit_entries_total", "Durable audit entries.", "type"))
        self.audit_append = histogram("audit_append_seconds", "From append to durable.", (), buckets=_SYNC_BUCKETS)
        self.audit_tree_size = gauge("audit_tree_size", "Entries in the audit log.")
        self.audit_published_size = gauge("audit_published_size", "Entries that the published checkpoint covers.")
        self.audit_published_lag = gauge(
            "audit_published_lag_seconds", "Age of the oldest audit entry that no published checkpoint covers."
        )
        self.audit_publication_failures = counter("audit_publication_failures_total", "Publications that failed.")
        self.audit_index_lag_entries = gauge("audit_index_lag_entries", "Audit entries that cannot be searched yet.")
        self.audit_index_lag = gauge("audit_index_lag_seconds", "Age of the newest entry in an index that is behind.")
        self.audit_index_failures = counter("audit_index_failures_total", "Rounds of the search index that failed.")
        self.audit_witnessed_lag = gauge(
            "audit_witnessed_lag_seconds", "Time for which checkpoints have been without their quorum of witnesses."
        )
        self.audit_witness_failures = Family(
            counter("audit_witness_failures_total", "Checkpoints that a witness did not cosign.", "witness")
        )
        self.audit_timestamped_lag = gauge(
            "audit_timestamped_lag_seconds", "Age of the oldest audit entry that no time-stamp covers."
        )
        self.audit_forward_lag = Family(
            gauge("audit_forward_lag_entries", "Audit entries that a SIEM target lacks.", "target")
        )
        self.audit_forward_failures = Family(
            counter("audit_forward_failures_total", "Deliveries to a SIEM target that failed.", "target")
        )
        self.breaker_state = Family(gauge("breaker_state", "0 closed, 1 open.", "platform"))
        self.certificate_expiry = Family(
            gauge("certificate_expiry_timestamp_seconds", "End of a certificate's validity, Unix time.", "name")
        )
        self.event_loop_lag = gauge("event_loop_lag_seconds", "Worst delay of the event loop in the last 15 s.")
        self.connections = Family(gauge("connections", "Open connections.", "listener"))
        self.connections_refused = Family(
            counter("connections_refused_total", "Connections that got no further.", "listener", "reason")
        )
        self.build_info = Family(gauge("build_info", "Version of the gateway.", "version"))
        self.build_info(version).set(1)

    def render(self) -> bytes:
        """All series in Prometheus' text format 0.0.4. Costs about 15 µs a series."""
        return generate_latest(self.registry)

    def set_certificates(self, files: Mapping[str, Path]) -> None:
        """Set the expiry of the first certificate in each PEM file, by a bounded name (a listener or a platform).

        Raises ValueError or OSError for a file that holds none.
        """
        for name, file in files.items():
            certificate = x509.load_pem_x509_certificate(file.read_bytes())
            self.certificate_expiry(name).set(certificate.not_valid_after_utc.timestamp())

    async def watch_loop(self) -> None:
        """Measure the event loop's lag until cancelled. Owned by the application's task group."""
        loop = asyncio.get_running_loop()
        window: deque[float] = deque(maxlen=LAG_WINDOW)
        while True:
            due = loop.time() + LAG_INTERVAL_SECONDS
            await asyncio.sleep(LAG_INTERVAL_SECONDS)
            window.append(max(loop.time() - due, 0.0))
            self.event_loop_lag.set(max(window))
