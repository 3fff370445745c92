"""What `config check` does with files: opens every key, certificate, list and key set as the start does.

So that a wrong PEM is found at the desk and not at the restart. Each file is looked at alone: all mistakes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import orjson

from adapters.issuers.keys import KeysInvalid, parse_keys
from adapters.keys.file import AesGcmSealer, FileSigner, read_secret
from gateway.profiles.dvp_v1.signature import key_set
from gateway.settings import Participants, Settings
from gateway.tls import RevocationLists, TlsMaterialError, client_context, server_context


def material_problems(settings: Settings, participants: Participants) -> Iterator[tuple[str, str]]:
    """(path, message) of each file that cannot be used."""
    for path, opened in _openings(settings, participants):
        try:
            opened()
        except (TlsMaterialError, ValueError, OSError) as error:
            yield path, str(error)


def _openings(settings: Settings, participants: Participants) -> Iterator[tuple[str, Callable[[], object]]]:
    for name, listener in (("bank", settings.bank), ("partner", settings.partner)):
        yield name, partial(server_context, listener)
        yield (
            f"{name}.client_crl_files",
            partial(RevocationLists, listener.client_crl_files, ca_file=listener.client_ca_file),
        )
    yield "secrets.pseudonym_key_file", partial(read_secret, settings.secrets.pseudonym_key_file)
    yield "secrets.storage_key_file", partial(AesGcmSealer, settings.secrets.storage_key_file)
    reports = settings.reports
    yield "reports.signing_key_file", partial(FileSigner, reports.signing_key_file, reports.key_id)
    for index, platform in enumerate(settings.platforms):
        where = f"platforms.{index}"
        own = {"certificate_file": platform.certificate_file, "key_file": platform.key_file}
        yield where, partial(client_context, ca_file=platform.ca_file, **own)
        yield f"{where}.signing_key_file", partial(FileSigner, platform.signing_key_file, platform.signing_key_id)
        yield f"{where}.jwks_file", partial(_key_set, platform.jwks_file)
        yield f"{where}.ledger_jwks_file", partial(_key_set, platform.ledger_jwks_file)
    for index, issuer in enumerate(settings.oauth.issuers):
        if issuer.jwks_file is not None:
            yield f"oauth.issuers.{index}.jwks_file", partial(_issuer_keys, issuer.jwks_file)
    for index, participant in enumerate(participants.participants):
        if participant.jwks_file is not None:
            where = f"participants_file: participants.{index}"
            yield f"{where}.jwks_file", partial(_key_set, participant.jwks_file)


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
