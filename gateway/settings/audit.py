"""The section `audit` of `gateway.yaml`: the log, its publication, witnesses, time-stamps, copies and retention."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.settings.values import Count, DatabaseUrl, File, Listener, Patience, Seconds, Section


class PublishHttp(Listener):
    host: str = "127.0.0.1"
    """Address to listen on."""
    requests_max: Count = 256
    """Requests under way; more get OVERLOADED."""


class Publish(Section):
    dir: Path = Path("data/log")
    """Where checkpoint, tiles and entry bundles (C2SP tlog-tiles) are written; made when it is not there. Back it up:
    time-stamps cannot be made again."""
    interval_seconds: Annotated[float, Field(ge=0.05, le=60)] = 0.5
    """Time from one checkpoint to the next."""
    refuse_after_seconds: Patience = 0
    """Age of the oldest record that no checkpoint covers, after which new questions are refused; 0: never."""
    http: PublishHttp | None = None
    """Serves the folder read-only over plain HTTP, behind your own TLS. Without it: not served."""


class Witness(Section):
    vkey: Annotated[str, Field(pattern=r"^[!-*,-~]{1,255}\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{44}$")]
    """The witness's verifier key (C2SP `cosignature/v1`, Ed25519)."""
    url: Annotated[str, Field(pattern=r"^https?://[^\s/]\S*$", max_length=2_048)]
    """Submission prefix; `/add-checkpoint` is appended."""
    ca_file: File | None = None
    """PEM bundle that its HTTPS certificate chains to; without it the system's."""


class Witnesses(Section):
    witnesses: Annotated[tuple[Witness, ...], Field(max_length=12)] = ()
    """Who is asked to cosign every checkpoint (C2SP tlog-witness)."""
    quorum: Annotated[int, Field(ge=0, le=32)] = 0
    """Cosignatures that a checkpoint needs to count as witnessed."""
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 0.5
    """Time for all of them to answer; a checkpoint is published with the cosignatures that came."""
    refuse_after_seconds: Patience = 0
    """Time without a quorum for new checkpoints after which new questions are refused; 0: never."""

    @model_validator(mode="after")
    def _quorum_can_be_reached(self) -> Witnesses:
        if self.quorum > len(self.witnesses):
            raise ValueError("quorum must not be more than the number of witnesses")
        if len({witness.vkey for witness in self.witnesses}) < len(self.witnesses):
            raise ValueError("witnesses must differ in their vkey")
        if self.refuse_after_seconds and not self.quorum:
            raise ValueError("refuse_after_seconds needs a quorum")
        return self


class Timestamps(Section):
    url: Annotated[str, Field(pattern=r"^https?://[^\s/]\S*$", max_length=2_048)]
    """Time-stamping authority (RFC 3161 over HTTP)."""
    ca_file: File
    """PEM bundle of the authority's roots; a token that does not chain to one of them is not kept."""
    interval_seconds: Seconds = 3_600
    """Pause between time-stamps; only checkpoints that grew get one."""
    timeout_seconds: Seconds = 10
    """Time for one answer."""
    refuse_after_seconds: Patience = 0
    """Age of the oldest record without a time-stamp after which new questions are refused; 0: never."""

    @model_validator(mode="after")
    def _limit_leaves_time(self) -> Timestamps:
        if 0 < self.refuse_after_seconds <= self.interval_seconds + self.timeout_seconds:
            raise ValueError("refuse_after_seconds must be more than interval_seconds and timeout_seconds together")
        return self


class Forward(Section):
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    """Name of the target; its place in the log is kept under it."""
    url: Annotated[str, Field(pattern=r"^(syslog\+tls|https)://[^\s/]\S*$", max_length=2_048)]
    """`syslog+tls://HOST:PORT` (RFC 5424 over RFC 5425) or `https://…` (POST of JSON Lines)."""
    format: Literal["ocsf", "cef"] = "ocsf"
    """Event format; `cef` for syslog only."""
    ca_file: File | None = None
    """PEM bundle that the target's certificate chains to; without it the system's."""
    certificate_file: File | None = None
    """PEM chain of the gateway's client certificate, where the target asks for one."""
    key_file: File | None = None
    """PEM key of that certificate."""
    token_file: File | None = None
    """`https` only: bearer token."""
    batch_max: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Events in one delivery."""
    timeout_seconds: Seconds = 10
    """Time for one delivery."""

    @model_validator(mode="after")
    def _fits(self) -> Forward:
        if self.format == "cef" and not self.url.startswith("syslog"):
            raise ValueError("format cef needs a syslog+tls url")
        if (self.certificate_file is None) is not (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together")
        return self


class Approver(Section):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.@-]{1,64}$")]
    """Who approves; must not be who asks."""
    public_key_file: File
    """PEM Ed25519 public key of that person, and of nobody else here."""


class SecondPerson(Section):
    actions: tuple[Literal["export", "erase", "prune", "release", "recover"], ...] = ()
    """What needs the signed approval of a second person; `release` is of a legal hold."""
    approvers: tuple[Approver, ...] = ()
    """Who may approve."""
    lifetime_seconds: Seconds = 86_400
    """Age after which an approval is no longer good."""

    @model_validator(mode="after")
    def _somebody_can(self) -> SecondPerson:
        if self.actions and not self.approvers:
            raise ValueError("actions need approvers")
        names = {approver.name.casefold() for approver in self.approvers}
        files = {approver.public_key_file for approver in self.approvers}
        if min(len(names), len(files)) < len(self.approvers):
            raise ValueError("approvers must differ in their name and in their key")
        return self


class Retention(Section):
    standard_days: Annotated[int, Field(ge=1, le=36_500)] = 2_557
    """Consents and verifications; default seven years."""
    operational_days: Annotated[int, Field(ge=1, le=36_500)] = 366
    """Refusals at the door, starts, configuration; default one year."""


class Audit(Section):
    url: DatabaseUrl = "sqlite:///data/audit.db"
    """SQLAlchemy URL of the audit log, as for the store. SQLite needs a file of its own."""
    index_url: DatabaseUrl = "sqlite:///data/audit-index.db"
    """SQLAlchemy URL of the search index, which can be made anew from the log. SQLite needs a file of its own."""
    origin: Annotated[str, Field(pattern=r"^[!-*,-~]{1,128}$")]
    """Name of the log; never changes once it has entries. No space and no plus sign (C2SP signed-note). By custom the
    address where it is served, without the scheme."""
    signing_key_file: File
    """PEM Ed25519 private key that signs checkpoints. `cdi-gateway audit checkpoint` prints its verifier key."""
    also_signing_key_files: tuple[File, ...] = ()
    """More Ed25519 keys that sign beside it: while a key is being replaced, the old one."""
    queue_max: Count = 10_000
    """Waiting records; more get AUDIT_UNAVAILABLE."""
    batch_max: Count = 512
    """Records in one transaction (group commit)."""
    publish: Publish = Publish()
    """Publication of the log as plain files."""
    witnesses: Witnesses = Witnesses()
    """Cosignatures on checkpoints."""
    timestamps: Timestamps | None = None
    """Time-stamps over checkpoints."""
    forward: tuple[Forward, ...] = ()
    """Copies for security monitoring (SIEM)."""
    retention: Retention = Retention()
    """How long entries are kept, by class; nothing is pruned but by `cdi-gateway audit prune`."""
    second_person: SecondPerson = SecondPerson()
    """What one person alone may not do."""
