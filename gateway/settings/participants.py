"""The participant registry as it is written in `participants.yaml`, and its way into the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.core.model import CertificateRule, Direction, Participant, Role
from gateway.oauth.client import Authentication
from gateway.settings.oauth import Scope
from gateway.settings.sections import RateSetting
from gateway.settings.values import Code, File, ParticipantId, Section

RedirectUri = Annotated[str, Field(pattern=r"^https://[^\s#?/]+[^\s#]*$", max_length=2_048)]
Sha256Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
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


class ClientSettings(Section):
    id: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,200}$")]
    """OAuth client id."""
    authentication: Authentication | None = None
    """How it proves who it is at the embedded authorization server; without it, only external issuers know it."""
    subject: Name | None = None
    """tls_client_auth: RFC 4514 subject of its certificate, which must be one of the participant's."""
    certificate_files: tuple[File, ...] = ()
    """self_signed_tls_client_auth: PEM certificates, exactly these; `certificates` must list their sha256 too."""
    jwks_file: File | None = None
    """private_key_jwt: public keys (JWKS) of its assertions. Also of signed request objects."""
    redirect_uris: Annotated[tuple[RedirectUri, ...], Field(max_length=16)] = ()
    """Where a browser may be sent back to; compared character by character."""
    scopes: tuple[Scope, ...] = ()
    """Scopes that it may have."""
    dpop: bool = False
    """Its tokens are bound by DPoP (RFC 9449) instead of its certificate."""
    signed_requests: bool = False
    """Take nothing but signed request objects (RFC 9101) of it."""

    @model_validator(mode="after")
    def _can_prove_itself(self) -> ClientSettings:
        needed = {
            Authentication.TLS: ("subject", self.subject),
            Authentication.SELF_SIGNED_TLS: ("certificate_files", self.certificate_files),
            Authentication.PRIVATE_KEY_JWT: ("jwks_file", self.jwks_file),
        }
        if self.authentication is None:
            if self.model_fields_set != {"id"}:
                raise ValueError("a client of the embedded authorization server needs authentication")
            return self
        name, given = needed[self.authentication]
        if not given:
            raise ValueError(f"{self.authentication.value} needs {name}")
        if self.signed_requests and self.jwks_file is None:
            raise ValueError("signed_requests needs jwks_file")
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
    document_types: tuple[Code, ...] = ()
    """A bank: what it may ask for. A source: what it may issue."""
    purposes: tuple[Code, ...] = ()
    """A bank: what it may ask for it."""
    certificates: tuple[CertificateSettings, ...] = ()
    """Its client certificates. During a change of certificate: the old and the new one."""
    clients: tuple[ClientSettings, ...] = ()
    """Its OAuth clients."""
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
            clients=frozenset(client.id for client in self.clients),
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
                (f"{path}.clients.{number}", ("client", client.id)) for number, client in enumerate(participant.clients)
            ]
            for where, claim in claims:
                if claim in seen:
                    yield where, f"is the same as {seen[claim]}"
                seen.setdefault(claim, where)
