"""The sections of `gateway.yaml`: every key with its meaning, unit, bounds and default. Unknown keys are refused.

A secret is never a value here, only the path of a file. How the file and the environment become these values, and
the rules between sections, live in `loading`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.core.model import Rate
from gateway.settings.audit import Audit
from gateway.settings.oauth import OAuth
from gateway.settings.values import (
    Bytes,
    Count,
    DatabaseUrl,
    File,
    KeyId,
    Listener,
    ParticipantId,
    Route,
    Seconds,
    Section,
    TlsVersion,
)


class Deployment(Section):
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
    """Name of this gateway, part of the audit log's origin."""
    public_url: Annotated[str, Field(pattern=r"^https://[^\s/]+$")]
    """How banks reach the `bank` listener; base of `Location` and of file end points."""
    participant_id: ParticipantId
    """The gateway's own participant id: `sender` of its DVP messages."""


class ServerTlsListener(Listener):
    certificate_file: File
    """PEM chain of the server certificate, leaf first."""
    key_file: File
    """PEM private key of the server certificate."""
    tls_minimum: TlsVersion = "1.3"
    """Lowest TLS version; 1.2 allows the four ECDHE-GCM suites only."""
    connections_max: Count = 2_000
    """Open connections; more are closed at once."""
    handshake_timeout_seconds: Seconds = 10
    """Time for the TLS handshake."""
    header_timeout_seconds: Seconds = 10
    """Time from the handshake to the end of the first request's header."""
    keepalive_timeout_seconds: Seconds = 60
    """Idle time after which a connection is closed; also the time for the header of a later request."""
    header_bytes_max: Annotated[int, Field(ge=1024, le=65_536)] = 16_384
    """Size of a request line, and of a header field."""


class TlsListener(ServerTlsListener):
    client_ca_file: File
    """PEM bundle of the authorities that client certificates must chain to."""
    client_crl_files: tuple[File, ...] = ()
    """PEM revocation lists of those authorities; read again on SIGHUP."""


class Limits(Section):
    body_bytes_max: Bytes = 65_536
    """Size of a request body, except digests and batch."""
    batch_items_max: Annotated[int, Field(ge=1, le=1_000)] = 1_000
    """Data requests in one batch."""
    batch_bytes_max: Bytes = 2_097_152
    """Size of a batch body."""
    digest_bytes_max: Bytes = 104_857_600
    """Size of a file that is streamed to `/cdi/v1/digests`."""
    body_timeout_seconds: Seconds = 30
    """Time for a request body to arrive (a file: per 64 KiB)."""
    wait_seconds_max: Seconds = 60
    """Longest `Prefer: wait` and notices `wait`."""
    in_flight_max: Count = 1_000
    """Requests under way on all listeners; more get OVERLOADED."""
    page_items_max: Annotated[int, Field(ge=1, le=1_000)] = 1_000
    """Largest page of a list."""
    shutdown_seconds: Seconds = 30
    """Time for running requests to finish after SIGTERM."""


class RateSetting(Section):
    per_second: Annotated[float, Field(gt=0, le=1_000_000)]
    """Sustained rate."""
    burst: Annotated[int, Field(ge=1, le=1_000_000)]
    """Requests that may come at once."""

    def rate(self) -> Rate:
        return Rate(per_second=self.per_second, burst=self.burst)


class Rates(Section):
    participant: RateSetting = RateSetting(per_second=50, burst=100)
    """Every participant without a rate of its own, over all routes."""
    routes: dict[Route, RateSetting] = Field(default={})
    """Per participant and route; key: method and route template, e.g. `POST /cdi/v1/digests`."""
    browser: RateSetting = RateSetting(per_second=5, burst=40)
    """Every network address at the `consent` listener."""
    keys_max: Count = 100_000
    """Remembered buckets."""


class Store(Section):
    url: DatabaseUrl = "sqlite:///data/gateway.db"
    """SQLAlchemy URL of the store: `sqlite:///FILE` or `postgresql+psycopg://USER@HOST/DATABASE`, no password in it."""
    queue_max: Count = 10_000
    """Waiting operations; more get OVERLOADED."""
    batch_max: Count = 256
    """Operations in one transaction (group commit)."""


class Secrets(Section):
    pseudonym_key_file: File
    """32 random bytes or more: key of the pseudonyms. Losing it loses the way from a person to their records."""
    storage_key_file: File
    """32 random bytes: AES-256-GCM key of what is sealed at rest (vouchers)."""


class Reports(Section):
    signing_key_file: File
    """PEM P-256 private key that signs verification reports and receipts."""
    key_id: KeyId
    """`kid` of that key, and CDI `publicKeyId`."""


class Breaker(Section):
    failures_max: Count = 10
    """Failures in a row that open the breaker."""
    open_seconds: Seconds = 10
    """Time before one question is let through again."""


class PlatformSettings(Section):
    id: ParticipantId
    """Participant id of the platform: `receiver` of questions and `sender` of answers."""
    profile: Literal["dvp/v1"] = "dvp/v1"
    """Wire profile."""
    url: Annotated[str, Field(pattern=r"^https://[^\s]+[^/\s]$")]
    """Base URL; `/dvp/v1/messages` is appended."""
    ca_file: File
    """PEM bundle that the platform's certificate chains to."""
    certificate_file: File
    """PEM chain of the gateway's client certificate."""
    key_file: File
    """PEM key of that certificate."""
    signing_key_file: File
    """PEM P-256 key that signs the gateway's messages."""
    signing_key_id: KeyId
    """`kid` of that key."""
    jwks_file: File
    """The platform's message keys (JWKS)."""
    ledger_system: KeyId = "fisco-bcos"
    """Kind of ledger that these keys speak for; a chain reference to another one proves nothing."""
    ledger_jwks_file: File
    """Keys that sign the ledger's block headers (JWKS)."""
    deadline_seconds: Seconds = 10
    """Time for one question with all its repeats."""
    attempt_seconds: Seconds = 4
    """Time for one try."""
    attempts_max: Annotated[int, Field(ge=1, le=10)] = 3
    """Tries of one question before the exchange is left open."""
    concurrency_max: Count = 128
    """Questions under way; more wait until the deadline."""
    answer_bytes_max: Bytes = 262_144
    """Size of an answer."""
    breaker: Breaker = Breaker()
    """Circuit breaker."""

    @model_validator(mode="after")
    def _try_fits_question(self) -> PlatformSettings:
        if self.attempt_seconds > self.deadline_seconds:
            raise ValueError("attempt_seconds must not be more than deadline_seconds")
        return self


class ExchangeSettings(Section):
    deadline_seconds: Seconds = 600
    """Age at which an exchange without a final outcome is rejected; it may be asked again."""
    retry_first_seconds: Seconds = 2
    """Pause after the first answer that is not final; doubled each time."""
    retry_max_seconds: Seconds = 60
    """Longest pause."""
    lease_seconds: Seconds = 30
    """Time that one process has for one step; more than a platform's deadline."""
    worker_interval_seconds: Seconds = 1
    """Pause between looks for due exchanges."""
    worker_batch_max: Count = 100
    """Exchanges that are taken at once."""

    @model_validator(mode="after")
    def _pauses_grow(self) -> ExchangeSettings:
        if self.retry_first_seconds > self.retry_max_seconds:
            raise ValueError("retry_first_seconds must not be more than retry_max_seconds")
        return self


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level that is written."""


class Settings(Section):
    """Configuration of the CDI-DVP gateway."""

    deployment: Deployment
    """Who this gateway is."""
    bank: TlsListener
    """Listener for banks."""
    consent: ServerTlsListener | None = None
    """Listener for data owners' browsers and OAuth metadata; `oauth.server` needs it."""
    partner: TlsListener
    """Listener for the DVP platform."""
    ops: Listener
    """Health and metrics: plain HTTP, for the cluster's inside only."""
    limits: Limits = Limits()
    """Bounds on requests."""
    rates: Rates = Rates()
    """Rate limits."""
    participants_file: File
    """The participant registry; read again on SIGHUP."""
    store: Store = Store()
    """Consents, exchanges, notices."""
    audit: Audit
    """The audit log."""
    secrets: Secrets
    """Symmetric keys."""
    reports: Reports
    """Verification reports."""
    oauth: OAuth
    """Access tokens."""
    platforms: Annotated[tuple[PlatformSettings, ...], Field(min_length=1)]
    """DVP platforms."""
    exchange: ExchangeSettings = ExchangeSettings()
    """Life of a data request."""
    log: Log = Log()
    """Logging."""
