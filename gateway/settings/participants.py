"""The participant registry as it is written in `participants.yaml`, and its way into the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.core.model import CertificateRule, Direction, Participant, Role
from gateway.settings.sections import RateSetting
from gateway.settings.values import File, ParticipantId, Section

Sha256Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Code = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
Name = Annotated[str, Field(min_length=1, max_length=512)]


class CertificateSettings(Section):
    sha256: Sha256Hex | None = None
    """Hex SHA-256 of the DER certificate."""
    issuer: Name | None = None
    """RFC 4514 issuer name; together with `subject`."""
    subject: Name | None = None
    """RFC 4514 subject name; together with `issuer`."""

    @model_validator(mode="after")
    def _one_way(self) -> CertificateSettings:
        named = (self.issuer is not None, self.subject is not None)
        if named != ((False, False) if self.sha256 is not None else (True, True)):
            raise ValueError("give either sha256, or issuer and subject")
        return self

    def rule(self) -> CertificateRule:
        return CertificateRule(sha256=self.sha256, issuer=self.issuer, subject=self.subject)


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
    document_types: tuple[Code, ...] = ()
    """A bank: what it may ask for. A source: what it may issue."""
    purposes: tuple[Code, ...] = ()
    """A bank: what it may ask for it."""
    certificates: tuple[CertificateSettings, ...] = ()
    """Its client certificates. During a change of certificate: the old and the new one."""
    clients: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = ()
    """Its OAuth client ids."""
    platform: ParticipantId | None = None
    """A source: the platform that holds its evidence."""
    jwks_file: File | None = None
    """A source: the keys that sign its evidence."""
    rate: RateSetting | None = None
    """Its own rate limit instead of the default."""

    @model_validator(mode="after")
    def _source_complete(self) -> ParticipantSettings:
        if self.role is Role.SOURCE and (self.platform is None or self.jwks_file is None):
            raise ValueError("a source needs platform and jwks_file")
        return self

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


class Participants(Section):
    """Participant registry of the CDI-DVP gateway."""

    participants: tuple[ParticipantSettings, ...]
    """All institutions that have a certificate here, or whose documents are asked about."""

    def ambiguities(self) -> Iterator[tuple[str, str]]:
        """(path, message) of each id, certificate and client that two entries claim: an identity is of one only."""
        seen: dict[tuple[object, ...], str] = {}
        for index, participant in enumerate(self.participants):
            path = f"participants.{index}"
            claims: list[tuple[str, tuple[object, ...]]] = [(f"{path}.id", ("id", participant.id))]
            claims += [
                (f"{path}.certificates.{number}", ("certificate", rule.sha256, rule.issuer, rule.subject))
                for number, rule in enumerate(participant.certificates)
            ]
            claims += [
                (f"{path}.clients.{number}", ("client", client)) for number, client in enumerate(participant.clients)
            ]
            for where, claim in claims:
                if claim in seen:
                    yield where, f"is the same as {seen[claim]}"
                seen.setdefault(claim, where)
