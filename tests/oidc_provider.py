"""npm oidc-provider as a running authorization server (`tests/interop/node/external_issuer.mjs`), and its clients.

It stands beside a sandbox: certificates come from the sandbox's authorities, client ids are those of its participants.
"""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from joserfc.jwk import ECKey, KeyParameters, RSAKey

from adapters.sandbox.cast import CLIENTS, PRIVATE_KEY_JWT
from adapters.sandbox.credentials import Credentials, client_key
from adapters.sandbox.signing import KeySigner
from tests import node

SCOPES = ("cdi:consents", "cdi:data-requests:read", "cdi:notices", "cdi:data-requests")
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GATEWAY_CLIENT, GATEWAY_SECRET = "gateway-at-the-other-issuer", "a-secret-of-these-tests-only-0123456789"
UNBOUND_CLIENT = "without-any-binding"
STRANGER_CLIENT = "known-to-the-other-issuer-alone"
_READY_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcProvider:
    """One server, told on its standard input; a start is a process. `resources`: the audiences that it knows, the first
    unless a client asks for another."""

    folder: Path
    port: int
    resources: tuple[str, ...]
    keys: list[dict[str, Any]] = field(default_factory=lambda: [new_key("ES256")])

    @property
    def issuer(self) -> str:
        return f"https://localhost:{self.port}"

    @contextmanager
    def running(self, binary: Path, *, keys: Sequence[Mapping[str, Any]] | None = None) -> Iterator[int]:
        """The process id, once it listens. `keys`: private JWKs instead of its usual ones."""
        credentials = Credentials(self.folder, now=_now())
        place = self.folder / "other-issuer"
        place.mkdir(exist_ok=True)
        credentials.authority("servers").server("other-issuer", now=_now()).write(place / "cert.pem", place / "key.pem")
        told = {
            "issuer": self.issuer,
            "port": self.port,
            "cert": str(place / "cert.pem"),
            "key": str(place / "key.pem"),
            "clientCa": str(self.folder / "pki/client-ca.pem"),
            "resources": list(self.resources),
            "scopes": list(SCOPES),
            "detailTypes": ["cdi_consent"],
            "keys": list(keys or self.keys),
            "clients": _clients(self.folder, credentials),
        }
        with (place / "log").open("ab") as log:
            process = subprocess.Popen(
                [binary, node.FOLDER / "external_issuer.mjs"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=node.environment(NODE_ENV="production"),
            )
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(orjson.dumps(told))
            process.stdin.close()
            if process.stdout.readline() != b"ready\n":
                raise RuntimeError("oidc-provider did not start: " + (place / "log").read_text("utf-8")[-2_000:])
            yield process.pid
        finally:
            process.terminate()
            process.wait(_READY_SECONDS)
            if process.stdout is not None:
                process.stdout.close()


def new_key(algorithm: str) -> dict[str, Any]:
    """A private JWK for an issuer."""
    parameters: KeyParameters = {"kid": str(uuid.uuid4()), "alg": algorithm, "use": "sig"}
    key = RSAKey.generate_key(2_048, parameters) if algorithm == "PS256" else ECKey.generate_key("P-256", parameters)
    return dict(key.as_dict(private=True))


def assertion(folder: Path, label: str, audience: str) -> dict[str, str]:
    """The parameters of `private_key_jwt` (RFC 7523) for this client of the sandbox."""
    client = next(client for client in CLIENTS if client.label == label)
    signer = KeySigner.read(client_key(label), folder / f"clients/{label}/signing.pem")
    claims = {"iss": client.client_id, "sub": client.client_id, "aud": audience, "jti": str(uuid.uuid4())}
    signed = signer.sign_jws({"typ": "JWT"}, orjson.dumps(claims | {"iat": _now(), "exp": _now() + 60}))
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}


def _clients(folder: Path, credentials: Credentials) -> list[dict[str, Any]]:
    """The sandbox's clients as an external server registers them (RFC 7591), the gateway, and two odd ones."""
    common = {
        "grant_types": ["client_credentials"],
        "redirect_uris": [],
        "response_types": [],
        "scope": " ".join(SCOPES),
        "authorization_details_types": ["cdi_consent"],
    }
    registered: list[dict[str, Any]] = []
    for client in CLIENTS:
        one: dict[str, Any] = {"client_id": client.client_id, **common}
        if client.authentication == PRIVATE_KEY_JWT:
            jwks = orjson.loads((folder / f"clients/{client.label}/jwks.json").read_bytes())
            one |= {"token_endpoint_auth_method": "private_key_jwt", "jwks": jwks}
        else:
            subject = credentials.clients[client.label].certificate.subject.rfc4514_string()
            one |= {"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": subject}
        bound = "dpop_bound_access_tokens" if client.dpop else "tls_client_certificate_bound_access_tokens"
        registered.append(one | {bound: True})
    secret = {"token_endpoint_auth_method": "client_secret_basic", "client_secret": GATEWAY_SECRET}
    subject = credentials.clients["bank-a"].certificate.subject.rfc4514_string()
    by_certificate = {"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": subject}
    return [
        *registered,
        {"client_id": GATEWAY_CLIENT, **common, **secret, "grant_types": []},
        {"client_id": UNBOUND_CLIENT, **common, **by_certificate},
        {
            "client_id": STRANGER_CLIENT,
            **common,
            **by_certificate,
            "tls_client_certificate_bound_access_tokens": True,
        },
    ]


def _now() -> int:
    return int(time.time())
