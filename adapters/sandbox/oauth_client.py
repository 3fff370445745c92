"""The OAuth side of a bank's client: how it proves who it is, and how it asks for tokens (RFC 9126, 6749, 7636)."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson

from adapters.sandbox.cast import CONSENT_SCOPE
from adapters.sandbox.clock import WallClock
from adapters.sandbox.dpop import DPoP
from adapters.sandbox.signing import KeySigner, base64url

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS = 60
_NONCE_TRIES = 2
_EARLY_SECONDS = 20  # a token that is about to expire is not handed out


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back. `json` is the parsed body, or None when it is not JSON."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    json: Any

    @property
    def code(self) -> str | None:
        """The error code of a problem document."""
        return self.json.get("code") if isinstance(self.json, dict) else None


class TokenRefused(Exception):
    """There is no token; the text is the OAuth error, `error: description`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """A pushed authorization request. `url`: what the data owner opens."""

    consent_id: str
    url: str
    redirect_uri: str
    state: str
    verifier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The tokens for one consent. `good_until`: on the monotonic clock."""

    access_token: str
    refresh_token: str | None
    good_until: float


Send = Callable[[str, str, Mapping[str, str], bytes | None], Awaitable[Reply]]
"""Method, address, header fields, body."""


class OAuthClient:
    """One client at the gateway's back-channel endpoints."""

    def __init__(self, folder: Path, description: Mapping[str, Any], label: str, send: Send) -> None:
        """`description`: the content of `folder/sandbox.json`. `send` uses the client's certificate."""
        client = description["clients"][label]
        self.client_id: str = client["clientId"]
        self.issuer: str = description["issuer"]["issuer"]
        self.token_url: str = description["issuer"]["token"]
        self.redirect_uri: str = client.get("redirectUri", "")
        self._back_channel = self.token_url.rpartition("/")[0]
        self._signer: KeySigner | None = None
        if "signingKey" in client:
            self._signer = KeySigner.read(client["signingKeyId"], folder / client["signingKey"])
        self._dpop = DPoP() if client.get("dpop") else None
        self._nonces: dict[bool, str] = {}  # of the resource server or not
        self._send, self._clock = send, WallClock()
        self._granted: dict[str, Granted] = {}

    # --- requests -------------------------------------------------------------------------------------------

    async def post(self, endpoint: str, form: Mapping[str, str]) -> Reply:
        """An authenticated request to `par`, `token`, `introspect` or `revoke`."""
        url = f"{self._back_channel}/{endpoint}"
        fields = {"Content-Type": "application/x-www-form-urlencoded"}
        for _ in range(_NONCE_TRIES):
            body = urlencode({**form, **self._credentials()}).encode()
            proof = self._proof("POST", url) if endpoint in {"token", "par"} else {}
            reply = await self._send("POST", url, fields | proof, body)
            if not self._new_nonce(reply, resource=False):
                break
        return reply

    async def call(self, method: str, url: str, token: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        """A request to the resource server, with the token as this client has to present it."""
        for _ in range(_NONCE_TRIES):
            scheme = "Bearer" if self._dpop is None else "DPoP"
            fields = {**headers, "Authorization": f"{scheme} {token}", **self._proof(method, url, token)}
            reply = await self._send(method, url, fields, body)
            if not self._new_nonce(reply, resource=True):
                break
        return reply

    # --- tokens ---------------------------------------------------------------------------------------------

    async def machine_token(self, scopes: tuple[str, ...]) -> str:
        """Raises TokenRefused."""
        reply = await self.post("token", {"grant_type": "client_credentials", "scope": " ".join(scopes)})
        return str(_accepted(reply)["access_token"])

    async def push(self, consent_id: str, **more: str) -> tuple[Reply, Pushed | None]:
        """Push an authorization request for this consent; `more` are further parameters, or replace some."""
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        form = {
            "response_type": "code",
            "redirect_uri": self.redirect_uri,
            "scope": CONSENT_SCOPE,
            "state": state,
            "code_challenge": base64url(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
            "authorization_details": orjson.dumps([{"type": "cdi_consent", "consentId": consent_id}]).decode(),
        }
        reply = await self.post("par", form | more)
        if reply.status != 201:
            return reply, None
        query = urlencode({"client_id": self.client_id, "request_uri": reply.json["request_uri"]})
        return reply, Pushed(
            consent_id=consent_id,
            url=f"{self.issuer}/oauth/authorize?{query}",
            redirect_uri=self.redirect_uri,
            state=state,
            verifier=verifier,
        )

    async def redeem(self, pushed: Pushed, answer: Mapping[str, str]) -> Reply:
        """The code that came back becomes tokens, which are kept: 201. Or the refusal that came instead."""
        # RFC 9207 §2.4: an answer of another server, or to another request, goes nowhere near the token endpoint.
        if answer.get("iss") != self.issuer or answer.get("state") != pushed.state:
            return refusal("invalid_request", "the answer is not to this request")
        if "code" not in answer:
            return refusal(answer.get("error", "server_error"), answer.get("error_description", ""), status=403)
        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": pushed.redirect_uri,
            "code_verifier": pushed.verifier,
        }
        reply = await self.post("token", form)
        if reply.status != 200:
            return reply
        self._keep(pushed.consent_id, reply.json, refresh_token=None)
        return Reply(status=201, headers=reply.headers, body=reply.body, json=reply.json)

    async def consent_token(self, consent_id: str) -> str:
        """The kept access token while it is fresh, or a new one by its refresh token. Raises TokenRefused."""
        granted = self._granted.get(consent_id)
        if granted is None:
            raise TokenRefused("invalid_grant: the data owner has not approved this consent to this client")
        if self._clock.monotonic() < granted.good_until:
            return granted.access_token
        if granted.refresh_token is None:
            raise TokenRefused("invalid_grant: the access token has expired and cannot be refreshed")
        form = {"grant_type": "refresh_token", "refresh_token": granted.refresh_token}
        answer = _accepted(await self.post("token", form))
        return self._keep(consent_id, answer, refresh_token=granted.refresh_token).access_token

    def granted(self, consent_id: str) -> Granted:
        """Raises KeyError when there is none."""
        return self._granted[consent_id]

    # --- proofs ---------------------------------------------------------------------------------------------

    def _keep(self, consent_id: str, answer: Mapping[str, Any], *, refresh_token: str | None) -> Granted:
        granted = Granted(
            access_token=answer["access_token"],
            refresh_token=answer.get("refresh_token", refresh_token),
            good_until=self._clock.monotonic() + answer["expires_in"] - _EARLY_SECONDS,
        )
        self._granted[consent_id] = granted
        return granted

    def _credentials(self) -> dict[str, str]:
        """`client_id`, and the assertion of RFC 7523 where this client has a key; the certificate says the rest."""
        if self._signer is None:
            return {"client_id": self.client_id}
        now = int(self._clock.now())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.issuer,  # FAPI 2.0 §5.3.3.1: the issuer identifier, as one text
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
        }
        assertion = self._signer.sign_jws({"typ": "JWT"}, orjson.dumps(claims))
        return {
            "client_id": self.client_id,
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": assertion,
        }

    def _proof(self, method: str, url: str, token: str | None = None) -> dict[str, str]:
        if self._dpop is None:
            return {}
        nonce = self._nonces.get(token is not None)
        return {"DPoP": self._dpop.proof(method, url, now=int(self._clock.now()), nonce=nonce, token=token)}

    def _new_nonce(self, reply: Reply, *, resource: bool) -> bool:
        """Remember the server's nonce; whether the request was refused for want of it (RFC 9449 §8, §9)."""
        fields = {name.lower(): value for name, value in reply.headers.items()}
        if self._dpop is None or "dpop-nonce" not in fields:
            return False
        self._nonces[resource] = fields["dpop-nonce"]
        wanted = "use_dpop_nonce" in fields.get("www-authenticate", "")
        return wanted or (isinstance(reply.json, dict) and reply.json.get("error") == "use_dpop_nonce")


def refusal(error: str, description: str, *, status: int = 400) -> Reply:
    """What did not come from a back-channel endpoint, in its shape."""
    body = {"error": error, "error_description": description}
    return Reply(status=status, headers={}, body=orjson.dumps(body), json=body)


def _accepted(reply: Reply) -> dict[str, Any]:
    if reply.status != 200:
        said = reply.json if isinstance(reply.json, dict) else {}
        raise TokenRefused(f"{said.get('error', reply.status)}: {said.get('error_description', '')}")
    answer: dict[str, Any] = reply.json
    return answer
