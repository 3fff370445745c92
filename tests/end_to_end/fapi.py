"""A client that keeps or breaks each rule of FAPI 2.0 as a test tells it, over real TLS: forms, signed things, proofs.

Everything is put together by hand, so that one point at a time can be wrong; what is not said is right.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import uuid
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
import orjson
import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from multidict import CIMultiDict

from adapters.sandbox.bank import Reply
from adapters.sandbox.cast import CONSENT_SCOPE
from adapters.sandbox.data_owner import DataOwner
from adapters.sandbox.pki import read_key
from adapters.sandbox.signing import base64url
from tests.end_to_end.stage import Stage

TLS, JWT, DPOP, OTHER = "bank-a", "bank-a-jwt", "bank-a-dpop", "bank-b"
SELF, JAR = "bank-a-self", "bank-a-jar"  # the sandbox has none of these kinds; see `add_client`
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CALLBACK = "https://bank-a.sandbox.example/callback"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_NONCE_SECONDS = 60

Key = ec.EllipticCurvePrivateKey
Form = Mapping[str, str | None] | Iterable[tuple[str, str]]
Fields = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A pushed request: what the client keeps of it. `url`: what the data owner opens."""

    label: str
    consent: Mapping[str, Any]
    verifier: str
    request_uri: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What came back by redirect, and the request that it answers."""

    request: Request
    answer: Mapping[str, str]

    @property
    def value(self) -> str:
        """ "" where the answer is a signed one."""
        return self.answer.get("code", "")


class Fapi:
    """Use as an async context manager. Labels are those of the sandbox's clients."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        description = stage.world.description
        self.clients: dict[str, dict[str, Any]] = dict(description["clients"])
        self.issuer: str = description["issuer"]["issuer"]
        self.bank: str = description["listeners"]["bank"]
        self.keys = {label: ec.generate_private_key(ec.SECP256R1()) for label in self.clients}  # of DPoP proofs
        self._contexts: dict[str | None, Any] = {}
        self._session: aiohttp.ClientSession | None = None
        self._nonce = ("", 0)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # A reload ends idle connections: one that is taken up again at that moment fails for no fault of anybody.
            connector=aiohttp.TCPConnector(force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    def add_client(
        self, label: str, settings: Mapping[str, Any], *, like: str, certificate: Mapping[str, str] | None = None
    ) -> None:
        """A further client of bank-a, in participants.yaml and here, with keys and files of its own or those of `like`.
        It counts after the next reload."""
        self.clients[label] = {**self.clients[like], "clientId": label}
        self.keys[label] = ec.generate_private_key(ec.SECP256R1())
        file = self.stage.folder / "participants.yaml"
        known = yaml.safe_load(file.read_text())
        bank = next(one for one in known["participants"] if one["id"] == self.clients[like]["participant"])
        template = next(one for one in bank["clients"] if one["id"] == self.id(like))
        bank["clients"].append({**template, **settings, "id": label})
        if certificate is not None:
            bank["certificates"].append(dict(certificate))
        file.write_text(yaml.safe_dump(known))

    # --- what is signed ------------------------------------------------------------------------------------

    def id(self, label: str) -> str:
        return str(self.clients[label]["clientId"])

    def key(self, label: str) -> Key:
        """That the client signs assertions and request objects with."""
        return read_key(self.stage.folder / self.clients[label]["signingKey"])

    def assertion(
        self, label: str = JWT, *, key: Key | None = None, header: Mapping[str, Any] | None = None, **claims: Any
    ) -> str:
        """RFC 7523 §3; a claim or header member that is None is left out."""
        now = self.stage.now
        said = {"iss": self.id(label), "sub": self.id(label), "aud": self.issuer, "jti": str(uuid.uuid4())}
        return signed(
            key or self.key(label),
            {"alg": "ES256", "kid": self.clients[label]["signingKeyId"], **(header or {})},
            said | {"iat": now, "exp": now + 60} | claims,
        )

    def credentials(self, label: str, **claims: Any) -> dict[str, str]:
        """How this client proves who it is; the certificate says the rest."""
        if "signingKey" not in self.clients[label]:
            return {"client_id": self.id(label)}
        return {
            "client_id": self.id(label),
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(label, **claims),
        }

    def request_object(
        self,
        parameters: Mapping[str, Any],
        label: str = JWT,
        *,
        key: Key | None = None,
        header: Mapping[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """RFC 9101 with these parameters."""
        now = self.stage.now
        said = {"iss": self.id(label), "client_id": self.id(label), "aud": self.issuer, "nbf": now, "exp": now + 60}
        head = {"alg": "ES256", "typ": "oauth-authz-req+jwt", "kid": self.clients[label]["signingKeyId"]}
        return signed(key or self.key(label), head | dict(header or {}), {**parameters, **said, **claims})

    async def proof(
        self,
        method: str,
        url: str,
        label: str = DPOP,
        *,
        token: str | None = None,
        key: Key | None = None,
        header: Mapping[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """RFC 9449 §4.2, with the server's nonce."""
        key = key or self.keys[label]
        said: dict[str, Any] = {"jti": str(uuid.uuid4()), "htm": method, "htu": url, "iat": self.stage.now}
        if "nonce" not in claims:
            said["nonce"] = await self.nonce()
        if token is not None:
            said["ath"] = base64url(hashlib.sha256(token.encode()).digest())
        head = {"alg": "ES256", "typ": "dpop+jwt", "jwk": public_jwk(key)}
        return signed(key, head | dict(header or {}), said | claims)

    async def nonce(self) -> str:
        """A nonce of the server that is good for a while."""
        value, since = self._nonce
        if self.stage.now - since > _NONCE_SECONDS:
            proof = await self.proof("POST", f"{self.bank}/oauth/token", nonce=None)
            reply = await self.post("token", {"grant_type": "x"} | self.credentials(DPOP), DPOP, (("DPoP", proof),))
            value, since = reply.headers["DPoP-Nonce"], self.stage.now
            self._nonce = value, since
        return value

    # --- requests ------------------------------------------------------------------------------------------

    async def send(
        self, method: str, url: str, label: str | None = TLS, fields: Fields = (), body: bytes | None = None
    ) -> Reply:
        """With the certificate of `label`, or without one. Redirects are not followed."""
        if self._session is None:
            raise RuntimeError("the client is not open")
        if label not in self._contexts:
            files = (self.stage.folder / self.clients[label][name] for name in ("cert", "key")) if label else ()
            self._contexts[label] = self.stage.context(tuple(files) or None)  # type: ignore[arg-type]
        async with self._session.request(
            method, url, data=body, headers=CIMultiDict(fields), ssl=self._contexts[label], allow_redirects=False
        ) as response:
            data = await response.read()
            parsed = orjson.loads(data) if "json" in response.content_type else None
            return Reply(status=response.status, headers=dict(response.headers), body=data, json=parsed)

    def url(self, endpoint: str, label: str | None) -> str:
        """Who has no certificate goes to the listener that asks for none."""
        return f"{self.issuer if label is None else self.bank}/oauth/{endpoint}"

    async def post(self, endpoint: str, form: Form, label: str | None = TLS, fields: Fields = ()) -> Reply:
        """This form and nothing else; what is None is left out."""
        pairs = form.items() if isinstance(form, Mapping) else form
        body = urlencode([(name, value) for name, value in pairs if value is not None]).encode()
        return await self.send("POST", self.url(endpoint, label), label, [*_FORM.items(), *fields], body)

    async def ask(self, endpoint: str, label: str, form: Mapping[str, str | None], *, mutual: bool = True) -> Reply:
        """An authenticated request of this client, with a proof where its tokens need one."""
        place = label if mutual else None
        fields = []
        if label == DPOP and endpoint == "token":
            fields = [("DPoP", await self.proof("POST", self.url(endpoint, place)))]
        return await self.post(endpoint, {**self.credentials(label), **form}, place, fields)

    async def call(
        self, method: str, path: str, token: str, label: str = TLS, *, body: Any = None, fields: Fields = ()
    ) -> Reply:
        """The resource server, with the token as this client has to present it."""
        url = self.bank + path
        sent = [("Authorization", f"{'DPoP' if label == DPOP else 'Bearer'} {token}"), *fields]
        if label == DPOP:
            sent.append(("DPoP", await self.proof(method, url.partition("?")[0], token=token)))
        if body is not None:
            sent.append(("Content-Type", "application/json"))
        return await self.send(method, url, label, sent, orjson.dumps(body) if body is not None else None)

    # --- the way of an authorization -----------------------------------------------------------------------

    def parameters(self, label: str, consent: Mapping[str, Any], verifier: str, **changes: Any) -> dict[str, Any]:
        """An authorization request (RFC 6749 §4.1.1, RFC 9396 §2)."""
        return {
            "response_type": "code",
            "redirect_uri": self.clients[label]["redirectUri"],
            "scope": CONSENT_SCOPE,
            "state": secrets.token_urlsafe(16),
            "code_challenge": s256(verifier),
            "code_challenge_method": "S256",
            "authorization_details": orjson.dumps(
                [{"type": "cdi_consent", "consentId": consent["consentId"]}]
            ).decode(),
        } | changes

    async def push(
        self, label: str = TLS, consent: Mapping[str, Any] | None = None, *, mutual: bool = True, **changes: Any
    ) -> Reply:
        """A pushed request for this consent, or a new one; the answer."""
        consent = consent or await self.consent(label)
        form = self.parameters(label, consent, secrets.token_urlsafe(48), **changes)
        return await self.post(
            "par", {**self.credentials(label), **form}, label if mutual else None, await self._par_fields(label, mutual)
        )

    async def pushed(
        self, label: str = TLS, consent: Mapping[str, Any] | None = None, *, mutual: bool = True, **changes: Any
    ) -> Request:
        """A pushed request that was accepted."""
        consent, verifier = consent or await self.consent(label), secrets.token_urlsafe(48)
        changes = {"code_challenge": s256(verifier)} | changes
        reply = await self.push(label, consent, mutual=mutual, **changes)
        assert reply.status == 201, reply.body
        return self.request(label, consent, verifier, reply.json["request_uri"])

    def request(self, label: str, consent: Mapping[str, Any], verifier: str, request_uri: str) -> Request:
        query = urlencode({"client_id": self.id(label), "request_uri": request_uri})
        return Request(
            label=label,
            consent=consent,
            verifier=verifier,
            request_uri=request_uri,
            url=f"{self.issuer}/oauth/authorize?{query}",
        )

    async def decided(self, request: Request, *, approve: bool = True, owner_id: str = "owner-7") -> Code:
        owner = await self.owner(owner_id)
        redirect_uri = self.clients[request.label]["redirectUri"]
        return Code(request=request, answer=await owner.decide(request.url, redirect_uri, approve=approve))

    async def code(
        self, label: str = TLS, consent: Mapping[str, Any] | None = None, *, mutual: bool = True, **changes: Any
    ) -> Code:
        """A code that nobody has redeemed yet."""
        return await self.decided(await self.pushed(label, consent, mutual=mutual, **changes))

    def redemption(self, code: Code, /, **changes: Any) -> dict[str, Any]:
        return {
            "grant_type": "authorization_code",
            "code": code.value,
            "redirect_uri": self.clients[code.request.label]["redirectUri"],
            "code_verifier": code.request.verifier,
        } | changes

    async def redeem(self, code: Code, /, label: str | None = None, *, mutual: bool = True, **changes: Any) -> Reply:
        """As the client of the request, or as another."""
        return await self.ask("token", label or code.request.label, self.redemption(code, **changes), mutual=mutual)

    async def tokens(self, label: str = TLS, consent: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer of the token endpoint after the whole way."""
        reply = await self.redeem(await self.code(label, consent))
        assert reply.status == 200, reply.body
        answer: dict[str, Any] = reply.json
        return answer

    async def consent(self, label: str = TLS, **changes: Any) -> dict[str, Any]:
        """A new consent of this client's bank."""
        bank = self.stage.bank_b if label == OTHER else self.stage.bank_a
        return await self.stage.submitted(bank, **({"max_uses": 5} | changes))

    async def owner(self, owner_id: str = "owner-7") -> DataOwner:
        return await self.stage.bank_a.owner(owner_id)

    def question(self, consent: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        """A data request under this consent."""
        return {
            "consentId": consent["consentId"],
            "dataScope": {"scopeType": "DataScopeTypeUDR", "documentType": consent["scope"]["documentType"]},
            "purpose": consent["purpose"],
            "document": {"issuerId": consent["dataProviderId"], "digests": self.stage.sample["digests"]},
        } | changes

    async def verify(self, consent: Mapping[str, Any], token: str, label: str = TLS) -> Reply:
        """A data request on the resource server."""
        fields = [("Idempotency-Key", str(uuid.uuid4())), ("Prefer", "wait=20")]
        return await self.call(
            "POST", "/cdi/v1/data-requests", token, label, body=self.question(consent), fields=fields
        )

    async def _par_fields(self, label: str, mutual: bool) -> list[tuple[str, str]]:
        url = self.url("par", label if mutual else None)
        return [("DPoP", await self.proof("POST", url))] if label == DPOP else []

    # --- time ----------------------------------------------------------------------------------------------

    def age(self, table: str, column: str, where: str, value: str) -> None:
        """Let the time of this row pass: nobody has to wait for it."""
        with closing(sqlite3.connect(self.stage.folder / "data/gateway.db", timeout=20)) as database, database:
            done = database.execute(f"UPDATE {table} SET {column} = 1 WHERE {where} = ?", (value,))
            assert done.rowcount == 1

    def age_code(self, code: str) -> None:
        """Let a code's time pass; when it ends stands in the grant's terms."""
        with closing(sqlite3.connect(self.stage.folder / "data/gateway.db", timeout=20)) as database, database:
            found = database.execute("SELECT terms FROM oauth_grants WHERE code_hash = ?", (kept(code),)).fetchone()
            terms = orjson.loads(found[0])
            terms["code_expires_at"] = 1.0
            database.execute("UPDATE oauth_grants SET terms = ? WHERE code_hash = ?", (orjson.dumps(terms), kept(code)))


def signed(key: Key, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """A compact JWS, whatever its header claims. What is None is left out of both."""
    head = {name: value for name, value in header.items() if value is not None}
    body = {name: value for name, value in claims.items() if value is not None}
    text = base64url(orjson.dumps(head)) + "." + base64url(orjson.dumps(body))
    r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return text + "." + base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def public_jwk(key: Key) -> dict[str, str]:
    point = key.public_key().public_numbers()
    x, y = (base64url(number.to_bytes(32, "big")) for number in (point.x, point.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def thumbprint(key: Key) -> str:
    """`jkt` (RFC 7638)."""
    return base64url(hashlib.sha256(orjson.dumps(public_jwk(key), option=orjson.OPT_SORT_KEYS)).digest())


def s256(verifier: str) -> str:
    return base64url(hashlib.sha256(verifier.encode()).digest())


def kept(secret: str) -> str:
    """What the database has of a code, a handle, a refresh token."""
    return hashlib.sha256(secret.encode()).hexdigest()


def check_refusal(reply: Reply, error: str, status: int = 400) -> None:
    """RFC 6749 §5.2: a code and a text that says no value, never to be stored."""
    assert (reply.status, reply.json["error"]) == (status, error), reply.body
    assert reply.json.keys() == {"error", "error_description"}
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Content-Type"].partition(";")[0] == "application/json"
