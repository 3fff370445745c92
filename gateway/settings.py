"""The typed configuration: every key with its unit, its default and its bounds. Unknown keys are refused.

Sources, strongest first: environment (`CDI_GATEWAY__SECTION__KEY`), the YAML file. Secrets are file paths only.
Relative paths are relative to the configuration file. All mistakes are reported at once (`SettingsError`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.core.model import CertificateRule, Direction, Participant, Rate, Role

_SQLITE = "sqlite:///"

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
Bytes = Annotated[int, Field(ge=1, le=1 << 40)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Sha256Hex = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\Z")]
ParticipantId = Annotated[str, Field(pattern=r"\A[A-Z0-9]{4,32}\Z")]


class SettingsError(Exception):
    """The configuration is wrong: `problems` holds one (path, message) each."""

    def __init__(self, file: Path, problems: list[tuple[str, str]]) -> None:
        super().__init__(f"{file}: {len(problems)} mistake(s)")
        self.file = file
        self.problems = problems


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Deployment(Section):
    name: Annotated[str, Field(pattern=r"\A[a-z0-9][a-z0-9.-]{0,63}\Z")]
    """Name of this gateway, part of the audit log's origin."""
    public_url: Annotated[str, Field(pattern=r"\Ahttps://[^\s/]+\Z")]
    """How banks reach the `bank` listener; base of `Location` and of file end points."""
    participant_id: ParticipantId
    """The gateway's own participant id: `sender` of its DVP messages."""


class Listener(Section):
    host: str = "0.0.0.0"  # noqa: S104
    """Address to listen on."""
    port: Port
    """Port to listen on; 0 takes a free one."""


class TlsListener(Listener):
    certificate_file: Path
    """PEM chain of the server certificate, leaf first."""
    key_file: Path
    """PEM private key of the server certificate."""
    client_ca_file: Path
    """PEM bundle of the authorities that client certificates must chain to."""
    client_crl_files: tuple[Path, ...] = ()
    """PEM revocation lists of those authorities; read again on SIGHUP."""
    tls_minimum: Literal["1.2", "1.3"] = "1.3"
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
    page_items_max: Annotated[int, Field(ge=1, le=1_000)] = 200
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
    routes: dict[str, RateSetting] = {}
    """Per participant and route; key: method and route template, e.g. `POST /cdi/v1/digests`."""
    keys_max: Count = 100_000
    """Remembered buckets."""


class Store(Section):
    url: str = "sqlite:///data/gateway.db"
    """SQLAlchemy URL of the store."""
    queue_max: Count = 10_000
    """Waiting operations; more get OVERLOADED."""
    batch_max: Count = 256
    """Operations in one transaction (group commit)."""


class Audit(Section):
    url: str = "sqlite:///data/audit.db"
    """SQLAlchemy URL of the audit log."""
    origin: Annotated[str, Field(pattern=r"\A[!-*,-~]{1,128}\Z")] = "cdi-gateway.example/audit"
    """Name of the log; never changes once it has entries. No space and no plus sign (C2SP signed-note)."""
    queue_max: Count = 10_000
    """Waiting records; more get AUDIT_UNAVAILABLE."""
    batch_max: Count = 512
    """Records in one transaction (group commit)."""


class Secrets(Section):
    pseudonym_key_file: Path
    """32 random bytes or more: key of the pseudonyms. Losing it loses the way from a person to their records."""
    storage_key_file: Path
    """32 random bytes: AES-256-GCM key of what is sealed at rest (vouchers)."""


class Reports(Section):
    signing_key_file: Path
    """PEM P-256 private key that signs verification reports."""
    key_id: Annotated[str, Field(pattern=r"\A[\w.-]{1,64}\Z")]
    """`kid` of that key, and CDI `publicKeyId`."""


class Issuer(Section):
    issuer: Annotated[str, Field(pattern=r"\Ahttps://[^\s]+\Z")]
    """Issuer identifier, compared exactly with `iss`."""
    jwks_file: Path | None = None
    """The issuer's keys as a file. Without it: RFC 8414 discovery over HTTPS."""
    ca_file: Path | None = None
    """PEM bundle that the issuer's HTTPS certificate chains to; without it the system's."""
    algorithms: tuple[Literal["PS256", "ES256", "EdDSA"], ...] = ("PS256", "ES256", "EdDSA")
    """Signature algorithms that are accepted."""
    approves_consents: bool = False
    """Its tokens speak for data owners: the first for a submitted consent makes it valid."""
    refresh_seconds: Seconds = 300
    """Age after which keys are fetched again, beside the requests."""
    stale_seconds_max: Seconds = 3_600
    """Age after which keys that could not be refreshed are no longer used."""
    timeout_seconds: Seconds = 5
    """Time for one fetch."""

    @model_validator(mode="after")
    def _algorithms_given(self) -> Issuer:
        if not self.algorithms:
            raise ValueError("algorithms must not be empty")
        return self


class OAuth(Section):
    resource: Annotated[str, Field(pattern=r"\Ahttps://[^\s]+\Z")]
    """This gateway's resource identifier: `aud` of every token."""
    issuers: Annotated[tuple[Issuer, ...], Field(min_length=1)]
    """Authorization servers whose tokens are accepted."""
    clock_skew_seconds: Annotated[int, Field(ge=0, le=60)] = 10
    """Tolerance for `nbf` and `iat` in the future. `exp` has none."""
    lifetime_seconds_max: Seconds = 3_600
    """Tokens that live longer are refused."""
    token_cache_max: Count = 10_000
    """Verified tokens that are remembered by hash."""


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
    url: Annotated[str, Field(pattern=r"\Ahttps://[^\s]+[^/\s]\Z")]
    """Base URL; `/dvp/v1/messages` is appended."""
    ca_file: Path
    """PEM bundle that the platform's certificate chains to."""
    certificate_file: Path
    """PEM chain of the gateway's client certificate."""
    key_file: Path
    """PEM key of that certificate."""
    signing_key_file: Path
    """PEM P-256 key that signs the gateway's messages."""
    signing_key_id: Annotated[str, Field(pattern=r"\A[\w.-]{1,64}\Z")]
    """`kid` of that key."""
    jwks_file: Path
    """The platform's message keys (JWKS)."""
    ledger_jwks_file: Path
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


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level that is written."""


class Settings(BaseSettings):
    """Configuration of the CDI-DVP gateway."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix="CDI_GATEWAY__",
        env_nested_delimiter="__",
        use_attribute_docstrings=True,
    )

    deployment: Deployment
    """Who this gateway is."""
    bank: TlsListener
    """Listener for banks and Hong Kong sources."""
    partner: TlsListener
    """Listener for the DVP platform."""
    ops: Listener
    """Health and metrics: plain HTTP, for the cluster's inside only."""
    limits: Limits = Limits()
    """Bounds on requests."""
    rates: Rates = Rates()
    """Rate limits."""
    participants_file: Path
    """The participant registry; read again on SIGHUP."""
    store: Store = Store()
    """Consents, exchanges, notices."""
    audit: Audit = Audit()
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

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    @model_validator(mode="after")
    def _lease_outlives_question(self) -> Settings:
        longest = max(platform.deadline_seconds for platform in self.platforms)
        if self.exchange.lease_seconds <= longest:
            raise ValueError("exchange.lease_seconds must be more than every platform's deadline_seconds")
        return self


class ParticipantSettings(Section):
    id: ParticipantId
    """Participant id."""
    name: Annotated[str, Field(min_length=1, max_length=200)]
    """Name that people read."""
    role: Role
    """bank, source or platform."""
    status: Literal["active", "suspended"] = "active"
    """A suspended participant is refused at once."""
    directions: tuple[Direction, ...] = (Direction.SOUTHBOUND,)
    """Directions it may use."""
    document_types: tuple[str, ...] = ()
    """A bank: what it may ask for. A source: what it may issue."""
    purposes: tuple[str, ...] = ()
    """A bank: what it may ask for it."""
    certificates: tuple[CertificateSettings, ...] = ()
    """Its client certificates."""
    clients: tuple[str, ...] = ()
    """Its OAuth client ids."""
    platform: ParticipantId | None = None
    """A source: the platform that holds its evidence."""
    jwks_file: Path | None = None
    """A source: the keys that sign its evidence."""
    rate: RateSetting | None = None
    """Its own rate limit instead of the default."""

    def participant(self) -> Participant:
        return Participant(
            participant_id=self.id,
            name=self.name,
            role=self.role,
            active=self.status == "active",
            directions=frozenset(self.directions),
            document_types=frozenset(self.document_types),
            purposes=frozenset(self.purposes),
            certificates=tuple(rule.rule() for rule in self.certificates),
            clients=frozenset(self.clients),
            platform_id=self.platform,
            rate=self.rate.rate() if self.rate else None,
        )


class CertificateSettings(Section):
    sha256: Sha256Hex | None = None
    """Hex SHA-256 of the DER certificate."""
    issuer: str | None = None
    """RFC 4514 issuer name; together with `subject`."""
    subject: str | None = None
    """RFC 4514 subject name; together with `issuer`."""

    @model_validator(mode="after")
    def _one_way(self) -> CertificateSettings:
        by_name = self.issuer is not None and self.subject is not None
        if (self.sha256 is not None) == by_name or (self.issuer is None) != (self.subject is None):
            raise ValueError("give either sha256, or issuer and subject")
        return self

    def rule(self) -> CertificateRule:
        return CertificateRule(sha256=self.sha256, issuer=self.issuer, subject=self.subject)


class Participants(Section):
    participants: tuple[ParticipantSettings, ...]
    """All institutions that have a certificate here, or whose documents are asked about."""

    @model_validator(mode="after")
    def _unique(self) -> Participants:
        seen: set[str] = set()
        for participant in self.participants:
            if participant.id in seen:
                raise ValueError(f"participant id {participant.id} is given twice")
            seen.add(participant.id)
            if participant.role is Role.SOURCE and (participant.platform is None or participant.jwks_file is None):
                raise ValueError(f"source {participant.id} needs platform and jwks_file")
        return self


ParticipantSettings.model_rebuild()


def load(file: Path) -> tuple[Settings, Participants]:
    """Read and check both files. Raises SettingsError with every mistake of both."""
    problems: list[tuple[str, str]] = []
    settings: Settings | None = None
    try:
        settings = _resolve(Settings(**_yaml(file)), file.parent)
        problems.extend(_missing_files(settings, ""))
    except ValidationError as error:
        problems.extend(_problems(error))
    except _Unreadable as error:
        problems.append(("", str(error)))
    participants: Participants | None = None
    if settings is not None:
        try:
            participants = load_participants(settings.participants_file)
        except SettingsError as error:
            problems.extend((f"participants_file: {path}", message) for path, message in error.problems)
        else:
            problems.extend(_unknown_platforms(settings, participants))
    if problems or settings is None or participants is None:
        raise SettingsError(file, problems)
    return settings, participants


def load_participants(file: Path) -> Participants:
    """Read and check the registry alone. Raises SettingsError."""
    try:
        participants = _resolve(Participants(**_yaml(file)), file.parent)
    except ValidationError as error:
        raise SettingsError(file, _problems(error)) from error
    except _Unreadable as error:
        raise SettingsError(file, [("", str(error))]) from error
    missing = list(_missing_files(participants, ""))
    if missing:
        raise SettingsError(file, missing)
    return participants


class _Unreadable(Exception):
    pass


def _yaml(file: Path) -> dict[str, Any]:
    try:
        value = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise _Unreadable(f"cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise _Unreadable(f"is not YAML{f' (line {mark.line + 1})' if mark else ''}") from error
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise _Unreadable("must be a mapping of sections")
    return value


def _problems(error: ValidationError) -> list[tuple[str, str]]:
    # pydantic's `input` is left out: a value of the file could be a pasted secret.
    return [(".".join(str(part) for part in item["loc"]), item["msg"]) for item in error.errors(include_input=False)]


_Model = TypeVar("_Model", bound=BaseModel)


def _resolve(model: _Model, folder: Path) -> _Model:
    """The same settings with every relative path, and every relative SQLite file, below `folder`."""
    return model.model_copy(update={name: _resolved(value, folder) for name, value in model})


def _resolved(value: Any, folder: Path) -> Any:
    if isinstance(value, BaseModel):
        return _resolve(value, folder)
    if isinstance(value, Path):
        return folder / value
    if isinstance(value, tuple):
        return tuple(_resolved(item, folder) for item in value)
    if isinstance(value, str) and value.startswith(_SQLITE) and not value.startswith(_SQLITE + "/"):
        return f"{_SQLITE}{(folder / value.removeprefix(_SQLITE)).absolute()}"
    return value


def _missing_files(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, BaseModel):
        for name, item in value:
            yield from _missing_files(item, f"{path}.{name}" if path else name)
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _missing_files(item, f"{path}.{index}")
    elif isinstance(value, Path) and not os.access(value, os.R_OK):
        yield path, "no such file, or not readable"


def _unknown_platforms(settings: Settings, participants: Participants) -> Iterator[tuple[str, str]]:
    known = {platform.id for platform in settings.platforms}
    for index, participant in enumerate(participants.participants):
        if participant.platform is not None and participant.platform not in known:
            yield f"participants_file: participants.{index}.platform", "no platform of this id in gateway.yaml"
