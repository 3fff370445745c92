"""What `config check` does with files: opens every key, certificate, list and key set as the start does.

So that a wrong PEM is found at the desk and not at the restart. Each file is looked at alone: all mistakes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from adapters.clock import SystemClock
from adapters.keys.file import AesGcmSealer, FileSigner, read_secret
from adapters.keys.log_key import log_signers
from gateway.app.attestation import http_authority, http_witness
from gateway.app.authorization import login_credentials
from gateway.app.forwarding import event_target
from gateway.app.identities import client_keys, own_certificates
from gateway.app.introspecting import introspection
from gateway.oauth.keys import KeysInvalid, parse_keys
from gateway.profiles.dvp_v1.signature import key_set
from gateway.settings import Audit, Introspection, Issuer, OAuth, Participants, ParticipantSettings, Settings
from gateway.tls import (
    RevocationLists,
    TlsMaterialError,
    client_context,
    outgoing_context,
    server_context,
)

Opened = Callable[[], object]


def material_problems(settings: Settings, participants: Participants) -> Iterator[tuple[str, str]]:
    """(path, message) of each file that cannot be used."""
    for path, opened in _openings(settings, participants):
        try:
            opened()
        except (TlsMaterialError, ValueError, OSError) as error:
            yield path, str(error)


def _openings(settings: Settings, participants: Participants) -> Iterator[tuple[str, Opened]]:
    for name, listener in (("bank", settings.bank), ("partner", settings.partner)):
        yield name, partial(server_context, listener)
        yield (
            f"{name}.client_crl_files",
            partial(RevocationLists, listener.client_crl_files, ca_file=listener.client_ca_file),
        )
    if settings.consent is not None:
        yield "consent", partial(server_context, settings.consent)
    yield "secrets.pseudonym_key_file", partial(read_secret, settings.secrets.pseudonym_key_file)
    yield "secrets.storage_key_file", partial(AesGcmSealer, settings.secrets.storage_key_file)
    yield from _audit_openings(settings.audit)
    reports = settings.reports
    yield "reports.signing_key_file", partial(FileSigner, reports.signing_key_file, reports.key_id)
    for index, platform in enumerate(settings.platforms):
        where = f"platforms.{index}"
        own = {"certificate_file": platform.certificate_file, "key_file": platform.key_file}
        yield where, partial(client_context, ca_file=platform.ca_file, **own)
        yield f"{where}.signing_key_file", partial(FileSigner, platform.signing_key_file, platform.signing_key_id)
        yield f"{where}.jwks_file", partial(_key_set, platform.jwks_file)
        yield f"{where}.ledger_jwks_file", partial(_key_set, platform.ledger_jwks_file)
    yield from _oauth_openings(settings.oauth)
    for index, participant in enumerate(participants.participants):
        yield from _participant_openings(f"participants_file: participants.{index}", participant)


def _oauth_openings(oauth: OAuth) -> Iterator[tuple[str, Opened]]:
    if oauth.server is not None:
        for index, key in enumerate(oauth.server.signing_keys):
            yield f"oauth.server.signing_keys.{index}.file", partial(FileSigner, key.file, key.id)
    if oauth.login is not None:
        oidc = oauth.login.oidc
        given = "key_file" if oidc.key_file is not None else "secret_file"
        yield f"oauth.login.oidc.{given}", partial(login_credentials, oidc)
        yield "oauth.login.oidc.ca_file", partial(outgoing_context, ca_file=oidc.ca_file)
    for index, issuer in enumerate(oauth.issuers):
        where = f"oauth.issuers.{index}"
        if issuer.jwks_file is not None:
            yield f"{where}.jwks_file", partial(_issuer_keys, issuer.jwks_file)
        yield f"{where}.ca_file", partial(outgoing_context, ca_file=issuer.ca_file)
        if issuer.introspection is not None:
            yield from _introspection_openings(f"{where}.introspection", issuer, issuer.introspection, oauth)


def _introspection_openings(
    where: str, issuer: Issuer, settings: Introspection, oauth: OAuth
) -> Iterator[tuple[str, Opened]]:
    if settings.certificate_file is not None:
        own = {"certificate_file": settings.certificate_file, "key_file": settings.key_file}
        yield f"{where}.certificate_file", partial(outgoing_context, ca_file=None, **own)
    if settings.secret_file is not None:
        # Without the files that are looked at by themselves.
        bare = issuer.model_copy(update={"ca_file": None})
        secret = settings.model_copy(update={"certificate_file": None, "key_file": None})
        yield f"{where}.secret_file", partial(introspection, bare, secret, oauth, SystemClock())


def _participant_openings(where: str, participant: ParticipantSettings) -> Iterator[tuple[str, Opened]]:
    if participant.jwks_file is not None:
        yield f"{where}.jwks_file", partial(_key_set, participant.jwks_file)
    for index, client in enumerate(participant.clients):
        if client.jwks_file is not None:
            yield f"{where}.clients.{index}.jwks_file", partial(client_keys, client.jwks_file)
        for number, file in enumerate(client.certificate_files):
            yield (
                f"{where}.clients.{index}.certificate_files.{number}",
                partial(own_certificates, participant, client, file),
            )


def _audit_openings(audit: Audit) -> Iterator[tuple[str, Opened]]:
    own = audit.signing_key_file
    yield "audit.signing_key_file", partial(log_signers, audit.origin, [own])
    for index, file in enumerate(audit.also_signing_key_files):
        # With the first one: a key that is listed twice is no second signature.
        yield f"audit.also_signing_key_files.{index}", partial(log_signers, audit.origin, [own, file])
    for index, witness in enumerate(audit.witnesses.witnesses):
        yield f"audit.witnesses.witnesses.{index}", partial(http_witness, witness, audit.witnesses)
    if audit.timestamps is not None:
        yield "audit.timestamps.ca_file", partial(http_authority, audit.timestamps, SystemClock())
    for index, target in enumerate(audit.forward):
        yield f"audit.forward.{index}", partial(event_target, target)
        if target.token_file is not None:
            yield f"audit.forward.{index}.token_file", partial(read_secret, target.token_file, bytes_min=1)
    approver_files = [approver.public_key_file for approver in audit.second_person.approvers]
    for index, file in enumerate(approver_files):
        where = f"audit.second_person.approvers.{index}.public_key_file"
        yield where, partial(_own_approver_key, file, approver_files[:index])


def _own_approver_key(file: Path, earlier: Sequence[Path]) -> None:
    own = _approver_key(file).public_bytes_raw()
    for other in earlier:
        try:
            same = _approver_key(other).public_bytes_raw() == own
        except (ValueError, OSError):  # reported at its own place
            continue
        if same:
            raise ValueError(f"{file}: is the key of another approver too: each needs their own")


def _approver_key(file: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"{file}: is not a PEM public key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"{file}: is not an Ed25519 public key")  # noqa: TRY004  the file's content is wrong
    return key


def _key_set(file: Path) -> object:
    try:
        return key_set(file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise ValueError("not JSON") from error


def _issuer_keys(file: Path) -> object:
    try:
        return parse_keys(file.read_bytes())
    except KeysInvalid as error:
        raise ValueError(f"not a usable key set: {str(error).replace('_', ' ')}") from error
