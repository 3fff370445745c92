"""The authorization server's back channel: PAR, token, introspection, revocation, grants, keys, metadata.

The same endpoints stand on two listeners: `bank`, where every client shows a certificate, and `consent`, for clients
that prove themselves by a signed assertion and bind their tokens by DPoP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from gateway.authorization import records
from gateway.authorization.authentication import ClientAuthentication
from gateway.authorization.grants import Grants
from gateway.authorization.presented import Authenticated, Presented
from gateway.authorization.pushing import Pushing
from gateway.authorization.tokens import TokenEndpoint
from gateway.core.model import Role
from gateway.errors import GatewayError, NotFound
from gateway.exchange.admission import Admission, Arrival, Caller, rate_fields
from gateway.exchange.possession import Possession, Shown
from gateway.http import fields
from gateway.http.addresses import Addresses
from gateway.http.bodies import JSON, read_body, require_media_type
from gateway.http.boundary import INTERACTION, OUTCOME, RESPONSE_FIELDS, TRACE, route_template
from gateway.oauth import scopes
from gateway.oauth.issuing import signed_introspection_claims
from gateway.oauth.parameters import form
from gateway.oauth.refusal import OAuthRefusal
from gateway.ports import AuditLog, Signer
from gateway.tls import peer_certificate

FORM = "application/x-www-form-urlencoded"
INTROSPECTION_JWT = "application/token-introspection+jwt"  # RFC 9701
PARAMETERS_MAX = 64
_CACHED = {"Cache-Control": "public, max-age=300"}
_BY_STATUS = {401: "invalid_client", 429: "temporarily_unavailable", 503: "temporarily_unavailable"}

Work = Callable[[Authenticated, Mapping[str, str], str | None], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthFlows:
    """What both listeners share."""

    authentication: ClientAuthentication
    pushing: Pushing
    tokens: TokenEndpoint
    grants: Grants
    possession: Possession
    audit: AuditLog
    signer: Signer
    issuer: str
    jwks: bytes
    server_metadata: bytes
    body_bytes_max: int
    body_timeout_seconds: float


class BackChannel:
    """The endpoints on one listener. `base_url`: how clients reach it, which DPoP proofs name. `addresses`: where
    clients show no certificate."""

    def __init__(self, flows: OAuthFlows, *, base_url: str, addresses: Addresses | None = None) -> None:
        self._flows = flows
        self._base_url = base_url
        self._addresses = addresses

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/oauth/par", self.par),
            web.post("/oauth/token", self.token),
            web.post("/oauth/introspect", self.introspect),
            web.post("/oauth/revoke", self.revoke),
            web.get("/oauth/jwks", self.jwks),
        ]

    def discovery(self) -> list[web.RouteDef]:
        """Metadata of the server (RFC 8414 §3, also where OpenID clients look), for the listener of its issuer."""
        return [
            web.get("/.well-known/oauth-authorization-server", self.metadata),
            web.get("/.well-known/openid-configuration", self.metadata),
        ]

    async def par(self, request: web.Request) -> web.Response:
        async def push(caller: Authenticated, parameters: Mapping[str, str], jkt: str | None) -> web.Response:
            pushed = await self._flows.pushing.push(caller, parameters, jkt)
            return _json({"request_uri": pushed.request_uri, "expires_in": pushed.expires_in}, status=201)

        return await self._answer(request, "par", push)

    async def token(self, request: web.Request) -> web.Response:
        async def issue(caller: Authenticated, parameters: Mapping[str, str], jkt: str | None) -> web.Response:
            return _json(await self._flows.tokens.token(caller, parameters, jkt))

        return await self._answer(request, "token", issue)

    async def introspect(self, request: web.Request) -> web.Response:
        wants_jwt = INTROSPECTION_JWT in request.headers.get("Accept", "")

        async def look(caller: Authenticated, parameters: Mapping[str, str], _: str | None) -> web.Response:
            body = await self._flows.grants.introspect(caller, parameters)
            if not wants_jwt:
                return _json(body)
            claims = signed_introspection_claims(
                issuer=self._flows.issuer, client_id=caller.client.client_id, body=body, now=int(caller.now)
            )
            signed = self._flows.signer.sign_jws({"typ": "token-introspection+jwt"}, orjson.dumps(claims))
            return web.Response(body=signed.encode(), content_type=INTROSPECTION_JWT)

        return await self._answer(request, "introspect", look)

    async def revoke(self, request: web.Request) -> web.Response:
        async def give_back(caller: Authenticated, parameters: Mapping[str, str], _: str | None) -> web.Response:
            await self._flows.grants.revoke(caller, parameters)
            return web.Response(status=200)

        return await self._answer(request, "revoke", give_back)

    async def jwks(self, _: web.Request) -> web.Response:
        return web.Response(body=self._flows.jwks, content_type="application/jwk-set+json", headers=_CACHED)

    async def metadata(self, _: web.Request) -> web.Response:
        return web.Response(body=self._flows.server_metadata, content_type=JSON, headers=_CACHED)

    # --- shared --------------------------------------------------------------------------------------------

    async def _answer(self, request: web.Request, endpoint: str, work: Work) -> web.Response:
        """Who asks, what with which key, and the answer or the refusal in OAuth's own form."""
        caller: Authenticated | None = None
        try:
            if self._addresses is not None:
                await self._addresses.admit(request.remote)
            parameters = await self._form(request)
            caller = await self._flows.authentication.authenticate(self._presented(request, parameters))
            request[RESPONSE_FIELDS] = rate_fields(caller.allowances)
            shown = self._shown(request)
            jkt = await self._flows.possession.key_of(shown) if shown is not None else None
            return await work(caller, parameters, jkt)
        except OAuthRefusal as refused:
            try:
                if caller is not None and refused.code != "use_dpop_nonce":  # that one is how every client begins
                    await records.refusing(self._flows.audit, caller, refused, endpoint)
            except GatewayError as trouble:
                return _trouble(request, trouble)
            request[OUTCOME] = refused.code.upper()
            return _refusal(refused)
        except GatewayError as trouble:
            return _trouble(request, trouble)

    async def _form(self, request: web.Request) -> dict[str, str]:
        if "Authorization" in request.headers:
            # RFC 6749 §2.3: one way to prove oneself in a request, and this is none of ours.
            raise OAuthRefusal(
                "invalid_client", "No Authorization field is taken here", reason="authorization_field", status=401
            )
        require_media_type(request, FORM)
        body = await read_body(
            request, bytes_max=self._flows.body_bytes_max, timeout_seconds=self._flows.body_timeout_seconds
        )
        return form(form_pairs(body))

    def _presented(self, request: web.Request, parameters: Mapping[str, str]) -> Presented:
        return Presented(
            certificate=peer_certificate(request.transport),
            parameters=parameters,
            interaction=request[INTERACTION],
        )

    def _shown(self, request: web.Request) -> Shown | None:
        proof = request.headers.get("DPoP")
        if proof is None:
            return None
        return Shown(proof=proof, method=request.method, url=self._base_url + request.rel_url.raw_path)


class ResourceMetadata:
    """The protected resource's metadata (RFC 9728 §3), whoever issues its tokens."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._body = orjson.dumps(document)

    async def get(self, _: web.Request) -> web.Response:
        return web.Response(body=self._body, content_type=JSON, headers=_CACHED)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantManagement:
    """`/oauth/grants/{grant_id}`, for a client with a token of its own; refusals are problems, as in the bank API."""

    admission: Admission
    grants: Grants
    public_url: str

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/oauth/grants/{grantId}", self.query), web.delete("/oauth/grants/{grantId}", self.end)]

    async def query(self, request: web.Request) -> web.Response:
        caller = await self._caller(request, scopes.GRANT_QUERY)
        return _json(await self.grants.query(caller, _grant_id(request)))

    async def end(self, request: web.Request) -> web.Response:
        caller = await self._caller(request, scopes.GRANT_REVOKE)
        await self.grants.end(caller, _grant_id(request))
        return web.Response(status=204)

    async def _caller(self, request: web.Request, scope: str) -> Caller:
        arrival = Arrival(
            certificate=peer_certificate(request.transport),
            route=f"{request.method} {route_template(request)}",
            interaction=request[INTERACTION],
            trace=request[TRACE],
        )
        admitted = await self.admission.admit(arrival, Role.BANK, Role.SOURCE)
        request[RESPONSE_FIELDS] = rate_fields(admitted.allowances)
        url = self.public_url + request.rel_url.raw_path
        return await self.admission.authorise(
            admitted, fields.credentials(request.headers, method=request.method, url=url), scope
        )


def form_pairs(body: bytes) -> list[tuple[str, str]]:
    """The pairs of an urlencoded form, as they came. Raises OAuthRefusal."""
    try:
        return parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=PARAMETERS_MAX, errors="strict")
    except ValueError as error:  # UnicodeDecodeError is one
        raise OAuthRefusal("invalid_request", "The body is not an urlencoded form", reason="form") from error


def _grant_id(request: web.Request) -> str:
    found = fields.as_uuid(request.match_info["grantId"])
    if found is None:
        raise NotFound()
    return found


def _refusal(refused: OAuthRefusal) -> web.Response:
    body = {"error": refused.code, "error_description": refused.description}
    return _json(body, status=refused.status, headers=refused.headers)


def _trouble(request: web.Request, error: GatewayError) -> web.Response:
    """What is the matter with the request or with us, and not with OAuth, in the form that OAuth clients read."""
    request[OUTCOME] = error.code
    fallback = "server_error" if error.status >= 500 else "invalid_request"
    headers = dict(error.headers)
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    body = {"error": _BY_STATUS.get(error.status, fallback), "error_description": error.title}
    return _json(body, status=error.status, headers=headers)


def _json(body: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    # RFC 6749 §5.1: `Cache-Control: no-store` is the boundary's.
    return web.Response(body=orjson.dumps(body), status=status, content_type=JSON, headers=headers)
