"""The identity provider as a process of its own: `python -m adapters.sandbox.identity_provider_server --config FILE`.

HTTPS: discovery, JWKS and token endpoint for the client; the authorization endpoint and the login form for browsers.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
from aiohttp import web

from adapters.sandbox import identity_pages
from adapters.sandbox.assertions import Assertions
from adapters.sandbox.cast import OWNER_CLAIM
from adapters.sandbox.clock import WallClock
from adapters.sandbox.identity_pages import SIGN_IN_PATH, STYLE_PATH, WORDS
from adapters.sandbox.identity_provider import ACR, Account, IdentityProvider, SignedIn, SignInFailed
from adapters.sandbox.identity_request import (
    CLAIMS_SCOPE,
    AuthenticationRequest,
    NotOurClient,
    ProviderRefusal,
    check_client,
    parse,
)
from adapters.sandbox.serving import Site, run, server_context
from adapters.sandbox.signing import KeySigner, jwks
from gateway.ports import Clock

DISCOVERY_PATH = "/.well-known/openid-configuration"
SESSION_COOKIE, BROWSER_COOKIE = "__Host-sandbox-login", "__Host-sandbox-browser"
_BODY_BYTES_MAX = 16_384
_PASSWORDS_AT_ONCE = 4
_NO_STORE = {"Cache-Control": "no-store"}


class IdentityProviderPages:
    """The routes."""

    def __init__(
        self, provider: IdentityProvider, signer: KeySigner, *, client_id: str, redirect_uri: str, clock: Clock
    ) -> None:
        self._provider, self._clock = provider, clock
        self._client_id, self._redirect_uri = client_id, redirect_uri
        self._headers = identity_pages.headers(redirect_uri)
        self._jwks = jwks([signer])
        self._discovery = orjson.dumps(_discovery(provider.issuer))
        self._hashing = asyncio.Semaphore(_PASSWORDS_AT_ONCE)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=_BODY_BYTES_MAX)
        app.router.add_get(DISCOVERY_PATH, self._get_discovery)
        app.router.add_get("/jwks", self._get_jwks)
        app.router.add_get(STYLE_PATH, self._get_style)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/authorize", self._authorize)  # Core §3.1.2.1: both
        app.router.add_post(SIGN_IN_PATH, self._sign_in)
        app.router.add_post("/token", self._token)
        return app

    async def _get_discovery(self, _: web.Request) -> web.Response:
        return web.Response(body=self._discovery, content_type="application/json")

    async def _get_jwks(self, _: web.Request) -> web.Response:
        return web.Response(body=self._jwks, content_type="application/jwk-set+json")

    async def _get_style(self, _: web.Request) -> web.Response:
        return web.Response(text=identity_pages.STYLE, content_type="text/css")

    async def _authorize(self, http: web.Request) -> web.Response:
        now = int(self._clock.now())
        query = _single(http.query if http.method == "GET" else await http.post())
        language = identity_pages.language(http.headers.get("Accept-Language", ""), query.get("ui_locales", ""))
        try:
            check_client(query, client_id=self._client_id, redirect_uri=self._redirect_uri)
        except NotOurClient:
            return self._page(language, problem=WORDS[language].not_our_client, status=400)
        try:
            request = parse(query)
            signed_in = self._provider.session(http.cookies.get(SESSION_COOKIE), request, now=now)
        except ProviderRefusal as refusal:
            said = {"error": refusal.code, "error_description": refusal.description}
            return self._back(query["redirect_uri"], said, query.get("state"))
        if signed_in is not None:
            return self._answer(request, signed_in, now=now)
        browser = http.cookies.get(BROWSER_COOKIE) or secrets.token_urlsafe(32)
        response = self._page(language, interaction=self._provider.begin(request, browser, now=now))
        _set_cookie(response, BROWSER_COOKIE, browser)
        return response

    async def _sign_in(self, http: web.Request) -> web.Response:
        now = int(self._clock.now())
        language = identity_pages.language(http.headers.get("Accept-Language", ""))
        form = _single(await http.post())
        name = form.get("interaction", "")
        request = self._provider.interaction(name, http.cookies.get(BROWSER_COOKIE, ""), now=now)
        if request is None:
            return self._page(language, problem=WORDS[language].over, status=400)
        login, password = form.get("login", "").strip(), form.get("password", "")
        try:
            async with self._hashing:
                signed_in = await asyncio.to_thread(self._provider.sign_in, login, password, now=now)
        except SignInFailed as failed:
            problem, status = (WORDS[language].locked, 429) if failed.locked else (WORDS[language].wrong, 400)
            return self._page(language, interaction=name, problem=problem, status=status)
        session_id = self._provider.finish(name, signed_in, now=now)
        response = self._answer(request, signed_in, now=now)
        _set_cookie(response, SESSION_COOKIE, session_id)
        return response

    async def _token(self, http: web.Request) -> web.Response:
        try:
            answer = self._provider.token(_single(await http.post()), now=int(self._clock.now()))
        except ProviderRefusal as refusal:
            body = {"error": refusal.code, "error_description": refusal.description}
            return web.json_response(body, status=refusal.status, headers=_NO_STORE)
        return web.json_response(answer, headers=_NO_STORE)

    def _answer(self, request: AuthenticationRequest, signed_in: SignedIn, *, now: int) -> web.Response:
        code = self._provider.code(request, signed_in, now=now)
        return self._back(request.redirect_uri, {"code": code}, request.state)

    def _back(self, redirect_uri: str, said: Mapping[str, str], state: str | None) -> web.Response:
        parameters = {**said, "iss": self._provider.issuer}  # RFC 9207
        if state is not None:
            parameters["state"] = state
        # 303: the login form's body does not follow (RFC 9700 §4.12).
        location = f"{redirect_uri}?{urlencode(parameters)}"
        return web.Response(status=303, headers={**self._headers, "Location": location})

    def _page(
        self, language: str, *, interaction: str | None = None, problem: str | None = None, status: int = 200
    ) -> web.Response:
        text = identity_pages.render(language, interaction=interaction, problem=problem)
        headers = {**self._headers, "Content-Language": language}
        return web.Response(text=text, status=status, content_type="text/html", charset="utf-8", headers=headers)


def _discovery(issuer: str) -> dict[str, Any]:
    """OpenID Connect Discovery §3."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/jwks",
        "scopes_supported": ["openid", CLAIMS_SCOPE],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "acr_values_supported": [ACR],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login"],
        "claims_supported": [
            "iss",
            "sub",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "acr",
            "amr",
            "nonce",
            "name",
            OWNER_CLAIM,
        ],
        "ui_locales_supported": list(WORDS),
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "authorization_response_iss_parameter_supported": True,
    }


def _single(fields: Mapping[str, Any]) -> dict[str, str]:
    """The fields; none at all when one comes twice (RFC 6749 §3.1) or is a file."""
    if len(fields) != len(set(fields)) or not all(isinstance(value, str) for value in fields.values()):
        return {}
    return dict(fields)


def _set_cookie(response: web.Response, name: str, value: str) -> None:
    """`__Host-`: of this host alone (RFC 6265bis §4.1.3.2). Lax: a redirect from the client brings it along."""
    response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="Lax")


def sites(config: dict[str, Any], folder: Path) -> list[Site]:
    """What is listened on where. The configuration is what `world` writes; its paths are relative to `folder`."""
    issuer, client = config["issuer"], config["client"]
    signer = KeySigner.read(config["signingKeyId"], folder / config["signingKeyFile"])
    provider = IdentityProvider(
        issuer=issuer,
        client_id=client["clientId"],
        assertions=Assertions(
            client_id=client["clientId"],
            jwks=orjson.loads((folder / client["jwksFile"]).read_bytes()),
            audiences=frozenset({issuer, f"{issuer}/token"}),
        ),
        signer=signer,
        accounts=[
            Account(
                login=one["login"],
                password_hash=one["passwordHash"],
                data_owner_id=one["dataOwnerId"],
                name=one["name"],
                name_zh=one["nameZh"],
            )
            for one in config["accounts"]
        ],
        subject_key=base64.b64decode(config["subjectKey"]),
    )
    pages = IdentityProviderPages(
        provider, signer, client_id=client["clientId"], redirect_uri=client["redirectUri"], clock=WallClock()
    )
    context = server_context(folder / config["certificateFile"], folder / config["keyFile"])
    return [(pages.application(), config["port"], context)]


def main() -> None:
    parser = argparse.ArgumentParser(description="The sandbox's OpenID provider.")
    parser.add_argument("--config", type=Path, required=True, help="JSON file that the sandbox has written")
    file: Path = parser.parse_args().config
    run(sites(orjson.loads(file.read_bytes()), file.parent))


if __name__ == "__main__":
    main()
