"""The issuer as a process of its own: `python -m adapters.sandbox.issuer_server --config FILE`.

Two HTTPS listeners: metadata (RFC 8414), JWKS and the owner's approvals without client certificates, and the token
endpoint over mutual TLS (RFC 8705 §5, `mtls_endpoint_aliases`).
"""

from __future__ import annotations

import argparse
import base64
import ssl
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web
from cryptography import x509

from adapters.sandbox.clock import WallClock
from adapters.sandbox.issuer import CONSENT_SCOPE, Issuer, OAuthClient, OAuthError, Presented
from adapters.sandbox.serving import run, server_context
from adapters.sandbox.signing import KeySigner, jwks
from gateway.ports import Clock

_BODY_BYTES_MAX = 65_536
_NO_STORE = {"Cache-Control": "no-store"}


class IssuerPages:
    """The routes of both listeners."""

    def __init__(self, issuer: Issuer, signer: KeySigner, *, url: str, token_url: str, clock: Clock) -> None:
        self._issuer, self._clock = issuer, clock
        self._jwks = jwks([signer])
        self._metadata = orjson.dumps(
            {
                "issuer": url,
                "jwks_uri": f"{url}/oauth/jwks",
                "token_endpoint": f"{token_url}/oauth/token",
                "mtls_endpoint_aliases": {"token_endpoint": f"{token_url}/oauth/token"},
                "grant_types_supported": ["client_credentials"],
                "response_types_supported": [],
                "token_endpoint_auth_methods_supported": ["tls_client_auth"],
                "tls_client_certificate_bound_access_tokens": True,
                "authorization_details_types_supported": ["cdi_consent"],
                "scopes_supported": [
                    CONSENT_SCOPE,
                    "cdi:consents",
                    "cdi:data-requests:read",
                    "cdi:notices",
                    "cdi:evidence",
                ],
            }
        )

    def public(self) -> web.Application:
        app = web.Application(client_max_size=_BODY_BYTES_MAX)
        app.router.add_get("/.well-known/oauth-authorization-server", self._get_metadata)
        app.router.add_get("/oauth/jwks", self._get_jwks)
        app.router.add_post("/approvals", self._approve)
        return app

    def mutual(self) -> web.Application:
        app = web.Application(client_max_size=_BODY_BYTES_MAX)
        app.router.add_post("/oauth/token", self._token)
        return app

    async def _get_metadata(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metadata, content_type="application/json")

    async def _get_jwks(self, _: web.Request) -> web.Response:
        return web.Response(body=self._jwks, content_type="application/jwk-set+json")

    async def _approve(self, request: web.Request) -> web.Response:
        try:
            body = await _approval(request)
            approved = self._issuer.approve(
                str(body.get("login", "")),
                str(body.get("password", "")),
                body.get("authorization_details"),
                now=int(self._clock.now()),
            )
        except OAuthError as error:
            return _refusal(error)
        return _json({"approved": approved}, status=201)

    async def _token(self, request: web.Request) -> web.Response:
        try:
            form = await _form(request)
            answer = self._issuer.token(form, _presented(request), now=int(self._clock.now()))
        except OAuthError as error:
            return _refusal(error)
        return _json(answer)


async def _approval(request: web.Request) -> dict[str, Any]:
    """JSON, or an HTML form whose `authorization_details` is JSON."""
    try:
        if request.content_type == "application/json":
            body = orjson.loads(await request.read())
        else:
            body = dict(await request.post())
            body["authorization_details"] = orjson.loads(str(body.get("authorization_details", "")))
    except orjson.JSONDecodeError as error:
        raise OAuthError("invalid_request", "the body is not JSON") from error
    if not isinstance(body, dict):
        raise OAuthError("invalid_request", "an object is wanted")
    return body


async def _form(request: web.Request) -> dict[str, str]:
    form = await request.post()
    if len(form) != len(set(form)):
        raise OAuthError("invalid_request", "a parameter is given twice")  # RFC 6749 §3.2
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _presented(request: web.Request) -> Presented | None:
    tls = request.transport.get_extra_info("ssl_object") if request.transport is not None else None
    der = tls.getpeercert(binary_form=True) if tls is not None else None
    if der is None:
        return None
    return Presented(subject=x509.load_der_x509_certificate(der).subject.rfc4514_string(), der=der)


def _refusal(error: OAuthError) -> web.Response:
    return _json({"error": error.code, "error_description": error.description}, status=error.status)


def _json(body: dict[str, Any], *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json", headers=_NO_STORE)


def sites(config: dict[str, Any], folder: Path) -> list[tuple[web.Application, int, ssl.SSLContext | None]]:
    """What is listened on where. The configuration is what `world` writes; its paths are relative to `folder`."""
    signer = KeySigner.read(config["signingKeyId"], folder / config["signingKeyFile"])
    issuer = Issuer(
        issuer=config["url"],
        resource=config["resource"],
        signer=signer,
        clients=tuple(
            OAuthClient(client_id=one["clientId"], subject=one["subject"], scopes=frozenset(one["scopes"]))
            for one in config["clients"]
        ),
        passwords={one["login"]: (one["id"], one["passwordHash"]) for one in config["owners"]},
        approvals_file=folder / config["approvalsFile"],
        pairwise_key=base64.b64decode(config["pairwiseKey"]),
    )
    pages = IssuerPages(issuer, signer, url=config["url"], token_url=config["tokenUrl"], clock=WallClock())
    certificate, key = folder / config["certificateFile"], folder / config["keyFile"]
    return [
        (pages.public(), config["port"], server_context(certificate, key)),
        (pages.mutual(), config["tokenPort"], server_context(certificate, key, folder / config["clientCaFile"])),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="The sandbox's OAuth authorization server.")
    parser.add_argument("--config", type=Path, required=True, help="JSON file that the sandbox has written")
    file: Path = parser.parse_args().config
    run(sites(orjson.loads(file.read_bytes()), file.parent))


if __name__ == "__main__":
    main()
