"""Canaries for the authorization server: in what its clients, its data owners and strangers may write, and in all the
secrets that it hands out. Planted on the way to success and to refusal, for `test_canaries`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

from adapters.sandbox.bank import Reply
from gateway.oauth.authcode import ALPHABET
from tests.end_to_end.fapi import DPOP, JWT, TLS, Fapi, s256
from tests.end_to_end.stage import Stage
from tests.end_to_end.visitor import LOGIN, SESSION, Seen, Visitor, filled

Plant = Callable[..., str]
MACHINE = {"grant_type": "client_credentials", "scope": "cdi:consents"}


class OAuthCanaries:
    """`canary(name, shape)`: a new value. `planted`, `hashed`: by name; of the latter the server keeps a hash.
    `answers`: what was said to those who were refused."""

    def __init__(self, stage: Stage, canary: Plant, planted: dict[str, str], answers: list[bytes]) -> None:
        self._stage, self._canary = stage, canary
        self._planted, self._answers = planted, answers
        self.hashed: dict[str, str] = {}

    async def plant(self) -> None:
        async with Fapi(self._stage) as fapi:
            await self._succeed(fapi)
            await self._succeed_with_proofs(fapi)
            await self._be_refused(fapi)
            await self._be_a_strange_client(fapi)
            await self._be_a_stranger_with_a_browser(fapi)

    # --- the whole way -------------------------------------------------------------------------------------

    async def _succeed(self, fapi: Fapi) -> None:
        consent, verifier = await fapi.consent(), self._verifier("PKCE verifier")
        changes = {
            "state": self._canary("state"),
            "nonce": self._canary("nonce"),
            "ui_locales": self._canary("ui_locales"),
            "login_hint": self._canary("login_hint"),
            self._canary("parameter: name"): self._canary("parameter: value"),
        }
        pushed = await fapi.pushed(TLS, consent, code_challenge=s256(verifier), **changes)
        self._keep("request URI", pushed.request_uri.rpartition(":")[2])
        async with Visitor(self._stage) as owner:
            owner.cookies["other"] = self._canary("cookie")
            decision = f"/interactions/{pushed.request_uri.rpartition(':')[2]}"
            await self._sign_in_badly(owner, decision)
            await owner.sign_in(decision)
            self._keep("session", owner.cookies[SESSION])
            form = filled(await owner.form(decision, decision))
            self._planted["form token"] = form["csrf"]
            extra = {"decision": "approve", self._canary("form field: name"): self._canary("form field: value")}
            left = await owner.post(f"{decision}?{self._canary('page query')}=1", form | extra)
            code = left.location.partition("code=")[2].partition("&")[0]
            self._keep("code", code)
            await self._use_pages(owner, consent)
            callbacks = [one.url.partition("?")[2] for one in owner.seen if "/login/callback?" in one.url]
            self._planted |= {f"login callback {number}": query for number, query in enumerate(callbacks)}
        redemption = {"code": code, "code_verifier": verifier, "redirect_uri": fapi.clients[TLS]["redirectUri"]}
        reply = await fapi.ask("token", TLS, {"grant_type": "authorization_code", **redemption})
        assert reply.status == 200, reply.body
        self._keep("refresh token", reply.json["refresh_token"])
        self._planted["access token"] = reply.json["access_token"].rpartition(".")[2]
        refresh = {"grant_type": "refresh_token", "refresh_token": reply.json["refresh_token"]}
        assert (await fapi.ask("token", TLS, refresh)).status == 200
        for token in (reply.json["access_token"], reply.json["refresh_token"]):
            hint = self._canary(f"token type hint {len(token)}")
            await fapi.ask("introspect", TLS, {"token": token, "token_type_hint": hint})
            await fapi.ask("revoke", TLS, {"token": token, "token_type_hint": hint})

    async def _sign_in_badly(self, owner: Visitor, to: str) -> None:
        """A name and a password that are not this person's, as people mistype them."""
        page = (await owner.follow(await owner.get(to))).page
        self._planted["login cookie"] = owner.cookies[LOGIN]
        (form,) = (one for one in page.forms if one.password_field is not None)
        name, secret = form.text_field, form.password_field
        assert name is not None
        assert secret is not None
        values = {name.name: self._canary("login name"), secret.name: self._canary("password")}
        assert (await owner.post(form.action, dict(form.filled(values, form.buttons[0])))).status == 400

    async def _use_pages(self, owner: Visitor, consent: dict[str, Any]) -> None:
        """An Auth Code, a page of each kind, and a consent that another owner would like to see."""
        form = filled(await owner.form("/auth-code", "/auth-code")) | {"choice": "SZCREDIT01DP/CORPORATE_CREDIT_REPORT"}
        words = (await owner.post("/auth-code", form)).page.text.split()
        halves = [word for word in words if len(word) == 5 and set(word) <= set(ALPHABET)]
        code = halves[0] + halves[1]
        self._planted["Auth Code"] = code
        async with Fapi(self._stage) as fapi:
            private = {"dataOwnerId": "owner-7", "purposePrivate": code, "dataOwnerName": self._canary("owner: name")}
            assert (await fapi.consent(private=private))["status"] == "ConsentValid"
            private["purposePrivate"] = self._planted["Auth Code that is none"] = "ZZZZZYYYYY"
            assert (await fapi.consent(private=private))["status"] == "ConsentSubmitted"
        for path in ("/consents", f"/consents/{consent['consentId']}", f"/consents/{consent['consentId']}/receipt"):
            assert (await owner.get(f"{path}?{self._canary(path)}")).status == 200
        reason = self._canary("revocation of an owner: reason")
        form = filled(await owner.form("/consents", "/logout"))
        seen = await owner.post(f"/consents/{consent['consentId']}/revocation", form | {"reason": reason})
        self._told(seen)

    async def _succeed_with_proofs(self, fapi: Fapi) -> None:
        """Assertions and proofs with canaries in their ids and in claims that nobody asks for."""
        assertion = fapi.assertion(DPOP, jti=self._canary("assertion: jti"), more=self._canary("assertion: claim"))
        self._planted["assertion"] = assertion.rpartition(".")[2]
        url = fapi.url("token", DPOP)
        proof = await fapi.proof("POST", url, jti=self._canary("proof: jti"), more=self._canary("proof: claim"))
        self._planted["proof"] = proof.rpartition(".")[2]
        form = {**fapi.credentials(DPOP), "client_assertion": assertion, **MACHINE}
        reply = await fapi.post("token", form, DPOP, [("DPoP", proof)])
        assert reply.status == 200, reply.body
        token = reply.json["access_token"]
        used = await fapi.proof(
            "GET", f"{fapi.bank}/cdi/v1/consents", token=token, jti=self._canary("proof at the resource: jti")
        )
        self._planted["proof at the resource"] = used.rpartition(".")[2]
        fields = [("Authorization", f"DPoP {token}"), ("DPoP", used)]
        for status in (200, 401):  # and again
            assert (await fapi.send("GET", f"{fapi.bank}/cdi/v1/consents?limit=1", DPOP, fields)).status == status
        inside = fapi.parameters(JWT, await fapi.consent(), self._verifier("PKCE verifier of a signed request"))
        request = fapi.request_object(
            inside | {"state": self._canary("signed state")},
            jti=self._canary("request object: jti"),
            more=self._canary("request object: claim"),
        )
        self._planted["request object"] = request.rpartition(".")[2]
        reply = await fapi.post("par", {**fapi.credentials(JWT), "request": request}, JWT)
        assert reply.status == 201, reply.body

    # --- refused -------------------------------------------------------------------------------------------

    async def _be_refused(self, fapi: Fapi) -> None:
        consent = await fapi.consent()
        for name in (
            "response_type",
            "response_mode",
            "redirect_uri",
            "scope",
            "code_challenge",
            "code_challenge_method",
            "authorization_details",
            "dpop_jkt",
            "max_age",
            "prompt",
            "claims",
            "request_uri",
            "request",
            "resource",
            "client_id",
            "client_secret",
        ):
            self._told(await fapi.push(TLS, consent, **{name: self._canary(f"refused: {name}")}))
        self._told(await fapi.push(TLS, consent, state=self._canary("refused: long state") * 120))
        for name in ("grant_type", "code", "refresh_token", "scope", "redirect_uri", "code_verifier", "resource"):
            form = {"grant_type": "refresh_token" if name == "refresh_token" else "authorization_code", "code": "x"}
            self._told(await fapi.ask("token", TLS, {**form, name: self._canary(f"refused at token: {name}")}))
        for endpoint in ("introspect", "revoke"):
            for shape in ("{}", "{}.a.b", "a.{}.b", "a.b.{}"):
                token = self._canary(f"{endpoint} of {shape}", shape)
                self._told(await fapi.ask(endpoint, TLS, {"token": token}))

    async def _be_a_strange_client(self, fapi: Fapi) -> None:
        for name in ("iss", "sub", "aud", "jti", "kid"):
            value = self._canary(f"refused assertion: {name}")
            if name == "kid":
                assertion = fapi.assertion(header={"kid": value})
            else:
                assertion = fapi.assertion(**{name: value}, **({"aud": "x"} if name == "jti" else {}))
            self._told(
                await fapi.post("token", {**fapi.credentials(JWT), "client_assertion": assertion, **MACHINE}, JWT)
            )
        self._told(await fapi.post("token", {"client_id": self._canary("client"), **MACHINE}, None))
        self._told(await fapi.post("token", {"client_assertion": self._canary("no assertion"), **MACHINE}, None))
        basic = [("Authorization", f"Basic {self._canary('basic credentials')}")]
        self._told(await fapi.post("token", MACHINE, None, basic))
        for name in ("htu", "htm", "jti", "nonce", "ath"):
            claims = {name: self._canary(f"refused proof: {name}")}
            if name in {"jti", "ath"}:
                claims["htm"] = "GET"
            proof = await fapi.proof("POST", fapi.url("token", DPOP), **claims)
            form = {**fapi.credentials(DPOP), **MACHINE}
            self._told(await fapi.post("token", form, DPOP, [("DPoP", proof)]))
        for proof in (self._canary("no proof"), f"{self._canary('proof of parts')}.a.b"):
            self._told(await fapi.post("token", {**fapi.credentials(DPOP), **MACHINE}, DPOP, [("DPoP", proof)]))
        content_type = [("Content-Type", f"text/{self._canary('OAuth media type')}")]
        self._told(await fapi.send("POST", fapi.url("token", TLS), TLS, content_type, b"x"))
        twice = [(self._canary("a field twice"), "1")] * 2
        self._told(await fapi.post("par", twice))
        grant = self._canary("grant")
        self._told(await fapi.call("GET", f"/oauth/grants/{grant}", await self._stage.machine_token()))

    async def _be_a_stranger_with_a_browser(self, fapi: Fapi) -> None:
        async with Visitor(self._stage, language=self._canary("Accept-Language of a browser")) as visitor:
            query = urlencode(
                {name: self._canary(f"authorize: {name}") for name in ("client_id", "request_uri", "state")}
            )
            for path in (
                f"/oauth/authorize?{query}",
                f"/interactions/{self._canary('handle', '{}' + 'x' * 30)}",
                f"/login?to={self._canary('way back')}",
                f"/login?to={quote('https://' + self._canary('way out') + '.example', safe='')}",
                f"/login/callback?code={self._canary('callback: code')}&state={self._canary('callback: state')}",
                f"/login/callback?error={self._canary('callback: error')}"
                f"&error_description={self._canary('callback: description')}",
                f"/{self._canary('page of nobody')}",
            ):
                self._told(await visitor.get(path))
            for name in (SESSION, LOGIN, "__Host-language"):
                visitor.cookies = {name: self._canary(f"cookie: {name}")}
                for path in ("/consents", "/login/callback?code=x", "/auth-code"):
                    self._told(await visitor.get(path))
            # These ask to sign in, and lead back to themselves in another language: what was written is theirs.
            for path in (f"/consents/{self._canary('path')}", f"/consents?revoked={self._canary('query of a page')}"):
                assert (await visitor.get(path)).status == 200
            visitor.cookies = {}
            form = {"csrf": self._canary("form token of nobody"), "choice": self._canary("choice")}
            for path in ("/auth-code", "/logout", f"/consents/{uuid.uuid4()}/revocation"):
                self._told(await visitor.post(path, form))
            await visitor.sign_in(owner_id="owner-8")
            csrf = filled(await visitor.form("/consents", "/logout"))["csrf"]
            for name in ("choice", "decision", "reason"):
                self._told(await visitor.post("/auth-code", {"csrf": csrf, name: self._canary(f"field: {name}")}))

    # --- shared --------------------------------------------------------------------------------------------

    def _verifier(self, name: str) -> str:
        return self._canary(name, "{}" + "-" * 30)

    def _keep(self, name: str, secret: str) -> None:
        """A secret of the server, of which it keeps a hash."""
        assert len(secret) >= 43
        self.hashed[name] = secret

    def _told(self, answer: Reply | Seen) -> None:
        self._answers.append(f"{answer.headers}".encode() + answer.body)
        assert answer.status < 500
