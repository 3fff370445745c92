"""A bank's OAuth client: what it sends, keeps, and does not fall for. The server is a list of answers."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest

from adapters.sandbox.oauth_client import OAuthClient, Pushed, Reply, TokenRefused
from adapters.sandbox.signing import KeySigner

CONSENT = "11111111-2222-4333-8444-555555555555"
DESCRIPTION: dict[str, Any] = {
    "issuer": {"issuer": "https://localhost:8444", "token": "https://localhost:8443/oauth/token"},
    "clients": {
        "tls": {"clientId": "tls", "redirectUri": "https://bank.example/callback"},
        "jwt": {"clientId": "jwt", "signingKey": "signing.pem", "signingKeyId": "jwt-1"},
        "dpop": {"clientId": "dpop", "signingKey": "signing.pem", "signingKeyId": "jwt-1", "dpop": True},
    },
}


class Server:
    """Answers in order, the last one again and again."""

    def __init__(self, *answers: tuple[int, Mapping[str, Any], Mapping[str, str]]) -> None:
        self._answers = list(answers)
        self.sent: list[tuple[str, str, dict[str, str], dict[str, str]]] = []

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        self.sent.append((method, url, dict(headers), dict(parse_qsl((body or b"").decode()))))
        status, json, fields = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return Reply(status=status, headers=fields, body=orjson.dumps(json), json=json)


def client(folder: Path, server: Server, label: str = "tls") -> OAuthClient:
    KeySigner.create("jwt-1").write(folder / "signing.pem")
    return OAuthClient(folder, DESCRIPTION, label, server.send)


def tokens(seconds: int = 300, **more: str) -> tuple[int, Mapping[str, Any], Mapping[str, str]]:
    return 200, {"access_token": "at", "token_type": "Bearer", "expires_in": seconds, **more}, {}


PAR = (201, {"request_uri": "urn:ietf:params:oauth:request_uri:x", "expires_in": 60}, {})


def said(jwt: str, part: int) -> dict[str, Any]:
    text = jwt.split(".")[part]
    claims: dict[str, Any] = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return claims


async def pushed(known: OAuthClient) -> Pushed:
    reply, request = await known.push(CONSENT)
    assert reply.status == 201
    assert request is not None
    return request


def answer(request: Pushed, **changes: str) -> dict[str, str]:
    return {"code": "c", "state": request.state, "iss": "https://localhost:8444"} | changes


async def test_a_client_with_a_certificate_names_itself_and_nothing_more(tmp_path: Path) -> None:
    server = Server(tokens())
    assert await client(tmp_path, server).machine_token(("cdi:consents", "cdi:notices")) == "at"
    ((method, url, headers, form),) = server.sent
    assert (method, url) == ("POST", "https://localhost:8443/oauth/token")
    assert form == {"grant_type": "client_credentials", "scope": "cdi:consents cdi:notices", "client_id": "tls"}
    assert headers == {"Content-Type": "application/x-www-form-urlencoded"}


async def test_a_client_with_a_key_signs_an_assertion_for_the_issuer_each_time_anew(tmp_path: Path) -> None:
    server = Server(tokens())
    known = client(tmp_path, server, "jwt")
    for _ in range(2):
        await known.machine_token(("cdi:consents",))
    assertions = [form["client_assertion"] for *_, form in server.sent]
    first, second = (said(one, 1) for one in assertions)
    assert (first["iss"], first["sub"], first["aud"]) == ("jwt", "jwt", "https://localhost:8444")
    assert first["jti"] != second["jti"]
    assert said(assertions[0], 0) == {"typ": "JWT", "alg": "ES256", "kid": "jwt-1"}


async def test_a_pushed_request_has_pkce_state_and_the_consent(tmp_path: Path) -> None:
    server = Server(PAR)
    request = await pushed(client(tmp_path, server))
    form = server.sent[0][3]
    challenge = base64.urlsafe_b64encode(hashlib.sha256(request.verifier.encode()).digest()).rstrip(b"=").decode()
    assert (form["code_challenge"], form["code_challenge_method"]) == (challenge, "S256")
    assert orjson.loads(form["authorization_details"]) == [{"type": "cdi_consent", "consentId": CONSENT}]
    assert (form["state"], form["redirect_uri"]) == (request.state, "https://bank.example/callback")
    assert dict(parse_qsl(urlsplit(request.url).query)) == {
        "client_id": "tls",
        "request_uri": "urn:ietf:params:oauth:request_uri:x",
    }


async def test_a_refused_push_is_the_reply(tmp_path: Path) -> None:
    reply, request = await client(tmp_path, Server((400, {"error": "invalid_request"}, {}))).push(CONSENT)
    assert (reply.status, reply.json["error"], request) == (400, "invalid_request", None)


async def test_a_code_becomes_a_token_that_is_kept(tmp_path: Path) -> None:
    server = Server(PAR, tokens(refresh_token="rt"))
    known = client(tmp_path, server)
    request = await pushed(known)
    reply = await known.redeem(request, answer(request))
    assert (reply.status, reply.json["access_token"]) == (201, "at")
    assert server.sent[1][3]["code_verifier"] == request.verifier
    assert await known.consent_token(CONSENT) == "at"
    assert len(server.sent) == 2


async def test_a_token_that_is_about_to_expire_is_refreshed_and_the_refresh_token_stays(tmp_path: Path) -> None:
    server = Server(PAR, tokens(1, refresh_token="rt"), tokens(1))
    known = client(tmp_path, server)
    request = await pushed(known)
    await known.redeem(request, answer(request))
    for _ in range(2):
        await known.consent_token(CONSENT)
    assert [form.get("refresh_token") for *_, form in server.sent[2:]] == ["rt", "rt"]
    assert known.granted(CONSENT).refresh_token == "rt"


@pytest.mark.parametrize("change", [{"iss": "https://other.example"}, {"iss": ""}, {"state": "other"}], ids=str)
async def test_an_answer_to_something_else_is_not_redeemed(change: dict[str, str], tmp_path: Path) -> None:
    server = Server(PAR)
    known = client(tmp_path, server)
    request = await pushed(known)
    reply = await known.redeem(request, answer(request, **change))
    assert (reply.status, len(server.sent)) == (400, 1)


async def test_what_the_owner_refused_is_said(tmp_path: Path) -> None:
    known = client(tmp_path, Server(PAR))
    request = await pushed(known)
    refused = answer(request, error="access_denied", error_description="no")
    del refused["code"]
    reply = await known.redeem(request, refused)
    assert (reply.status, reply.json) == (403, {"error": "access_denied", "error_description": "no"})
    with pytest.raises(TokenRefused, match=r"^invalid_grant: "):
        await known.consent_token(CONSENT)


async def test_a_refused_token_says_the_servers_error(tmp_path: Path) -> None:
    refusing = Server((400, {"error": "invalid_scope", "error_description": "not this one"}, {}))
    with pytest.raises(TokenRefused, match=r"^invalid_scope: not this one$"):
        await client(tmp_path, refusing).machine_token(("cdi:evidence",))


async def test_a_proof_is_made_again_with_the_nonce_that_the_server_wants(tmp_path: Path) -> None:
    refused = (400, {"error": "use_dpop_nonce"}, {"DPoP-Nonce": "n1"})
    server = Server(refused, tokens())
    known = client(tmp_path, server, "dpop")
    await known.machine_token(("cdi:consents",))
    await known.machine_token(("cdi:consents",))
    nonces = [said(headers["DPoP"], 1).get("nonce") for _, _, headers, _ in server.sent]
    assert nonces == [None, "n1", "n1"]


async def test_a_resource_is_asked_with_scheme_proof_and_its_own_nonce(tmp_path: Path) -> None:
    wanted = (401, {}, {"DPoP-Nonce": "r1", "WWW-Authenticate": 'DPoP error="use_dpop_nonce"'})
    server = Server(wanted, (200, {}, {}))
    known = client(tmp_path, server, "dpop")
    url = "https://localhost:8443/cdi/v1/consents?limit=1"
    assert (await known.call("GET", url, "at", {"Prefer": "wait=1"}, None)).status == 200
    headers = [headers for _, _, headers, _ in server.sent]
    assert [one["Authorization"] for one in headers] == ["DPoP at"] * 2
    proofs = [said(one["DPoP"], 1) for one in headers]
    assert [proof.get("nonce") for proof in proofs] == [None, "r1"]
    assert proofs[1]["htu"] == "https://localhost:8443/cdi/v1/consents"
    assert proofs[1]["ath"] == base64.urlsafe_b64encode(hashlib.sha256(b"at").digest()).rstrip(b"=").decode()


async def test_a_bearer_token_needs_no_proof(tmp_path: Path) -> None:
    server = Server((200, {}, {}))
    await client(tmp_path, server).call("GET", "https://localhost:8443/", "at", {}, None)
    assert server.sent[0][2] == {"Authorization": "Bearer at"}
