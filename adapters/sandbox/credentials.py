"""All keys and certificates of a sandbox, in its folder: made once, kept over restarts, renewed before they expire."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from adapters.sandbox.cast import (
    AUDIT_ORIGIN,
    CLIENTS,
    GATEWAY_ID,
    PLATFORM_ID,
    PRIVATE_KEY_JWT,
    SOURCES,
    WITNESS_NAME,
)
from adapters.sandbox.files import write_public, write_secret
from adapters.sandbox.pki import DAY_SECONDS, Authority, Issued, read_issued
from adapters.sandbox.signing import KeySigner, write_jwks
from gateway.audit.note import COSIGNATURE_V1, ED25519, NoteSigner

GATEWAY_MESSAGE_KEY, REPORT_KEY = "gateway-messages-1", "gateway-reports-1"
AUDIT_KEY_FILE, WITNESS_KEY_FILE = "gateway/keys/audit-log.pem", "witness/keys/witness.pem"
TOKEN_KEY, LOGIN_KEY = "tokens-1", "login-1"  # the gateway's access tokens, and its name at the identity provider
PLATFORM_MESSAGE_KEY, LEDGER_KEY, ID_TOKEN_KEY = "platform-messages-1", "ledger-1", "id-tokens-1"

_AUTHORITIES = {
    "servers": ("CDI-DVP sandbox servers", "pki/ca.pem"),
    "clients": ("CDI-DVP sandbox participants", "pki/client-ca.pem"),
    "dvp": ("CDI-DVP sandbox DVP members", "pki/dvp-ca.pem"),
    "timestamps": ("CDI-DVP sandbox time-stamps", "pki/timestamps-ca.pem"),
}


class Credentials:
    """Paths are relative to `folder`. What a test needs of bad certificates comes from `authority`."""

    def __init__(self, folder: Path, *, now: int) -> None:
        """Makes what is missing."""
        self._folder, self._now = folder, now
        servers, clients, dvp, timestamps = (self.authority(name) for name in _AUTHORITIES)
        self.gateway_server = self._leaf("gateway/tls/server", lambda: servers.server("gateway", now=now))
        self._leaf("login/tls/server", lambda: servers.server("login", now=now))
        self._leaf("witness/tls/server", lambda: servers.server("witness", now=now))
        self._leaf("timestamps/signer", lambda: timestamps.timestamping("time-stamps", now=now))
        self.platform_server = self._leaf("platform/tls/server", lambda: dvp.server("platform", now=now))
        self.platform_client = self._leaf("platform/tls/client", lambda: dvp.client(PLATFORM_ID, now=now))
        self.gateway_client = self._leaf("gateway/tls/client", lambda: dvp.client(GATEWAY_ID, now=now))
        self.clients = {
            client.label: self._leaf(f"clients/{client.label}", _client_maker(clients, client.common_name, now))
            for client in CLIENTS
        }
        for key_id, owner in (
            (GATEWAY_MESSAGE_KEY, "gateway"),
            (REPORT_KEY, "gateway"),
            (PLATFORM_MESSAGE_KEY, "platform"),
            (LEDGER_KEY, "platform"),
            (TOKEN_KEY, "gateway"),
            (LOGIN_KEY, "gateway"),
            (ID_TOKEN_KEY, "login"),
        ):
            self._signing_key(f"{owner}/keys/{key_id}.pem", key_id, f"pki/{key_id}.jwks.json")
        issuing = [source.label for source in SOURCES] + [one.label for one in CLIENTS if one.role == "source"]
        for label in issuing:
            self._signing_key(f"sources/{label}/key.pem", f"{label}-1", f"sources/{label}/jwks.json")
        for client in CLIENTS:
            if client.authentication == PRIVATE_KEY_JWT:
                place = f"clients/{client.label}"
                self._signing_key(f"{place}/signing.pem", client_key(client.label), f"{place}/jwks.json")
        for name in ("gateway/keys/pseudonym.key", "gateway/keys/storage.key"):
            self._symmetric_key(name)
        for name in (AUDIT_KEY_FILE, WITNESS_KEY_FILE):
            self._note_key(name)
        for authority, file in ((clients, "pki/clients.crl.pem"), (dvp, "pki/dvp.crl.pem")):
            if not (folder / file).exists():
                write_public(folder / file, authority.revocation_list(now=now))

    def authority(self, name: str) -> Authority:
        """`servers`, `clients` (banks and Hong Kong sources), `dvp` (the platform and its members) or `timestamps`."""
        common_name, certificate = _AUTHORITIES[name]
        files = self._folder / certificate, self._folder / f"pki/private/{name}.key.pem"
        if not files[1].exists():
            Authority.create(common_name, now=self._now).write(*files)
        return Authority.read(*files)

    def _leaf(self, place: str, make: Callable[[], Issued]) -> Issued:
        """`<place>/cert.pem` and `key.pem`, made anew in the last days of their life."""
        files = self._folder / place / "cert.pem", self._folder / place / "key.pem"
        if all(file.exists() for file in files):
            issued = read_issued(*files)
            if issued.certificate.not_valid_after_utc.timestamp() > self._now + 7 * DAY_SECONDS:
                return issued
        issued = make()
        issued.write(*files)
        return issued

    def _signing_key(self, place: str, key_id: str, jwks_place: str) -> None:
        file = self._folder / place
        if not file.exists():
            KeySigner.create(key_id).write(file)
        write_jwks(self._folder / jwks_place, [KeySigner.read(key_id, file)])

    def _note_key(self, place: str) -> None:
        if not (self._folder / place).exists():
            key = Ed25519PrivateKey.generate()
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            write_secret(self._folder / place, pem)

    def _symmetric_key(self, place: str) -> None:
        if not (self._folder / place).exists():
            write_secret(self._folder / place, secrets.token_bytes(32))


def client_key(label: str) -> str:
    """Name of the key that this client signs its assertions with."""
    return f"{label}-1"


def log_verifier_key(folder: Path) -> str:
    """The vkey of the gateway's audit log, for those who verify it."""
    return str(read_note_signer(AUDIT_ORIGIN, folder / AUDIT_KEY_FILE, type=ED25519).verifier)


def witness_verifier_key(folder: Path) -> str:
    """The vkey of the witness, for those who rely on its cosignatures."""
    return str(read_note_signer(WITNESS_NAME, folder / WITNESS_KEY_FILE, type=COSIGNATURE_V1).verifier)


def read_note_signer(name: str, file: Path, *, type: int) -> NoteSigner:
    """`type`: of the signatures, as in `gateway.audit.note`."""
    key = load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{file.name}: not an Ed25519 key")
    return NoteSigner(name, key, type=type)


def _client_maker(authority: Authority, common_name: str, now: int) -> Callable[[], Issued]:
    return lambda: authority.client(common_name, now=now)
