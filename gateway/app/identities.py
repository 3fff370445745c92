"""What a reload reads again: participants, their keys, revocation lists. Built whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

import schemas
from gateway.core.model import Certificate, Role
from gateway.core.registry import Registry
from gateway.core.verification import Trust
from gateway.exchange.roster import View
from gateway.oauth import keys as oauth_keys
from gateway.oauth.client import Client, Clients
from gateway.profiles.dvp_v1.signature import KeySet, key_set
from gateway.profiles.dvp_v1.trust import Anchors, issuer_key_known, issuer_signed
from gateway.profiles.validation import Validators
from gateway.settings import ClientSettings, Codes, Participants, ParticipantSettings, Settings
from gateway.tls import RevocationLists, self_signed_certificates

LEDGER_HEADERS_REMEMBERED_MAX = 4_096


def published_codes() -> Codes:
    """The code lists that the registry must keep to."""
    return Codes(
        document_types=frozenset(schemas.codelist("document-type")),
        purposes=frozenset(schemas.codelist("purpose")),
    )


def view(settings: Settings, participants: Participants, validators: Validators) -> View:
    """Everything that says who may be believed now. Raises OSError, ValueError or TlsMaterialError for a bad file."""
    registry = Registry(item.participant() for item in participants.participants)
    lists = _revocation_lists(settings)
    issuer_keys: dict[str, KeySet] = {
        item.id: key_set(item.jwks_file.read_bytes())
        for item in participants.participants
        if item.role is Role.SOURCE and item.jwks_file is not None
    }

    def revoked(certificate: Certificate) -> bool:
        return any(item.revoked(certificate) for item in lists)

    return View(
        registry=registry,
        revoked=revoked,
        trust=_trust(settings, registry, issuer_keys, validators),
        clients=Clients(_clients(participants)),
    )


def self_signed(participants: Participants) -> list[x509.Certificate]:
    """The certificates by which clients prove themselves without an authority. Raises as `own_certificates` does."""
    return [
        certificate
        for participant in participants.participants
        for client in participant.clients
        for file in client.certificate_files
        for certificate in own_certificates(participant, client, file)
    ]


def own_certificates(participant: ParticipantSettings, client: ClientSettings, file: Path) -> list[x509.Certificate]:
    """A client's self-signed ones in this file. Raises TlsMaterialError, and ValueError for one that is not listed.

    Listed by its sha256: whoever signs for themselves may take the names of another participant's certificate.
    """
    listed = {rule.sha256 for rule in participant.certificates}
    certificates = list(self_signed_certificates(file))
    if any(one.fingerprint(SHA256()).hex() not in listed for one in certificates):
        raise ValueError(
            f"{file}: client {client.id} has a certificate that its participant's `certificates` do not list by sha256"
        )
    return certificates


def client_keys(file: Path) -> oauth_keys.KeySet:
    """A client's public keys. Raises OSError, ValueError."""
    try:
        return oauth_keys.parse_keys(file.read_bytes())
    except oauth_keys.KeysInvalid as error:
        raise ValueError(f"{file}: not a usable key set: {str(error).replace('_', ' ')}") from error


def _clients(participants: Participants) -> Iterator[Client]:
    """Those that the embedded authorization server knows. Raises OSError, ValueError, TlsMaterialError."""
    for participant in participants.participants:
        for client in participant.clients:
            if client.authentication is None:
                continue
            certificates = [
                one for file in client.certificate_files for one in own_certificates(participant, client, file)
            ]
            yield Client(
                client_id=client.id,
                participant_id=participant.id,
                authentication=client.authentication,
                subject=client.subject,
                certificates=frozenset(one.fingerprint(SHA256()).hex() for one in certificates),
                keys=client_keys(client.jwks_file) if client.jwks_file is not None else None,
                redirect_uris=client.redirect_uris,
                scopes=frozenset(client.scopes),
                signed_requests=client.signed_requests,
                dpop=client.dpop,
            )


def stale_lists(settings: Settings, now: float) -> list[str]:
    """Names of the revocation lists whose next update is overdue: still in force, and somebody should know."""
    return [file.name for item in _revocation_lists(settings) for file in item.stale(now)]


def _revocation_lists(settings: Settings) -> list[RevocationLists]:
    return [
        RevocationLists(listener.client_crl_files, ca_file=listener.client_ca_file)
        for listener in (settings.bank, settings.partner)
    ]


def _trust(
    settings: Settings, registry: Registry, issuer_keys: Mapping[str, KeySet], validators: Validators
) -> dict[str, Trust]:
    trust = {}
    for platform in settings.platforms:
        anchors = Anchors(
            key_set(platform.ledger_jwks_file.read_bytes()),
            expected_system=platform.ledger_system,
            cache_max=LEDGER_HEADERS_REMEMBERED_MAX,
            validators=validators,
        )
        trust[platform.id] = Trust(
            entitled=registry.entitled,
            issuer_key_known=partial(issuer_key_known, issuer_keys),
            issuer_signed=partial(issuer_signed, issuer_keys),
            provable=anchors.provable,
            anchored=anchors.anchored,
        )
    return trust
