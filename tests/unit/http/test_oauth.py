from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.core.model import Certificate, CertificateRule, Rate
from gateway.errors import UpstreamUnavailable
from gateway.http.oauth import BackChannel, GrantManagement, ResourceMetadata, form_pairs
from gateway.oauth.refusal import OAuthRefusal
from gateway.tls import parse_certificate
from tests import fakes_flows
from tests.consent_site import BODY_BYTES_MAX, JWKS, PLENTY, Guest, Seen, Site, consent_site, oauth_flows
from tests.fakes_authorization import CLIENTS, RESOURCE, Server, claims_of, open_server
from tests.fakes_edge import Edge, Pki, Reply, get, post, serving
from tests.fakes_flows import participant
from tests.oauth_clients import CLIENT, ISSUER, assertion, parameters, proof
from tests.samples import BANK

ENDPOINTS = ("par", "token", "introspect", "revoke")
MACHINE = {"grant_type": "client_credentials", "scope": "cdi:consents"}
CANARY = "canary-HKG12345678"
ONE_A_SECOND = Rate(per_second=1, burst=1)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with consent_site(tmp_path) as site:
        yield site


@pytest.fixture
async def client(site: Site) -> AsyncIterator[Guest]:
    async with Guest(site) as guest:
        yield guest


def proved(**form: str) -> dict[str, str]:
    """The form of a client that shows who it is."""
    return {
        "client_id": CLIENT,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion(),
    } | form


def check_error(seen: Seen, status: int, error: str) -> None:
    """RFC 6749 §5.2, and nothing of what was sent in it."""
    assert (seen.status, seen.json["error"]) == (status, error)
    assert seen.json.keys() == {"error", "error_description"}
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["Cache-Control"] == "no-store"
    assert seen.headers["X-Content-Type-Options"] == "nosniff"
    assert CANARY.encode() not in seen.body


# --- what is answered ----------------------------------------------------------------------------------------------


async def test_a_pushed_request_is_created(site: Site, client: Guest) -> None:
    consent = await site.server.consent()
    details = orjson.dumps([{"type": "cdi_consent", "consentId": consent.consent_id}]).decode()
    seen = await client.post("/oauth/par", proved(**parameters(authorization_details=details)))
    assert seen.status == 201, seen.body
    assert seen.json.keys() == {"request_uri", "expires_in"}
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["Cache-Control"] == "no-store"  # RFC 9126 §2.2
    assert site.outcomes() == ["ok"]


async def test_a_token_is_not_kept_by_anybody_on_the_way(site: Site, client: Guest) -> None:
    seen = await client.post("/oauth/token", proved(**MACHINE), DPoP=proof())
    assert (seen.status, seen.json["token_type"]) == (200, "DPoP"), seen.body
    assert (seen.headers["Content-Type"], seen.headers["Cache-Control"]) == ("application/json", "no-store")
    assert "RateLimit" in seen.headers
    assert [entry["type"] for entry in await site.server.entries()] == ["token.issued"]


async def test_a_client_begins_without_a_nonce_and_is_given_one(site: Site, client: Guest) -> None:
    seen = await client.post("/oauth/token", proved(**MACHINE), DPoP=proof(nonce=None))
    check_error(seen, 400, "use_dpop_nonce")
    again = await client.post("/oauth/token", proved(**MACHINE), DPoP=proof(nonce=seen.headers["DPoP-Nonce"]))
    assert again.status == 200
    # How every client begins is no refusal that anybody would look for in the log.
    assert [entry["type"] for entry in await site.server.entries()] == ["token.issued"]


async def test_a_proof_is_for_the_address_by_which_clients_reach_us(client: Guest) -> None:
    for url in ("http://127.0.0.1/oauth/token", f"{ISSUER}/oauth/par", f"{RESOURCE}/oauth/token"):
        seen = await client.post("/oauth/token", proved(**MACHINE), DPoP=proof(htu=url))
        check_error(seen, 400, "invalid_dpop_proof")


async def test_introspection_is_json_or_signed_as_the_client_wishes(client: Guest) -> None:
    token = (await client.post("/oauth/token", proved(**MACHINE), DPoP=proof())).json["access_token"]
    plain = await client.post("/oauth/introspect", proved(token=token))
    assert (plain.status, plain.headers["Content-Type"], plain.json["active"]) == (200, "application/json", True)
    signed = await client.post("/oauth/introspect", proved(token=token), Accept="application/token-introspection+jwt")
    assert (signed.status, signed.headers["Content-Type"]) == (200, "application/token-introspection+jwt")
    claims = claims_of(signed.body.decode())
    assert (claims["iss"], claims["aud"]) == (ISSUER, CLIENT)
    assert claims["token_introspection"]["active"] is True


async def test_a_token_that_is_given_back_is_answered_with_nothing(client: Guest) -> None:
    token = (await client.post("/oauth/token", proved(**MACHINE), DPoP=proof())).json["access_token"]
    for given in (token, CANARY):  # RFC 7009 §2.2: an invalid token is no error
        seen = await client.post("/oauth/revoke", proved(token=given))
        assert (seen.status, seen.body, seen.headers["Cache-Control"]) == (200, b"", "no-store")
    assert (await client.post("/oauth/introspect", proved(token=token))).json == {"active": False}


async def test_keys_and_metadata_may_be_kept_for_a_while(client: Guest) -> None:
    keys = await client.get("/oauth/jwks")
    assert (keys.body, keys.headers["Content-Type"]) == (JWKS, "application/jwk-set+json")
    first, second = [
        await client.get(f"/.well-known/{name}") for name in ("oauth-authorization-server", "openid-configuration")
    ]
    assert first.body == second.body
    assert (first.json["issuer"], first.headers["Content-Type"]) == (ISSUER, "application/json")
    for seen in (keys, first, second):
        assert (seen.status, seen.headers["Cache-Control"]) == (200, "public, max-age=300")


@pytest.mark.parametrize("path", ["/oauth/jwks", "/.well-known/oauth-authorization-server"])
async def test_head_is_get_without_its_body(path: str, client: Guest) -> None:
    whole, head = await client.get(path), await client.get(path, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    for name in ("Content-Type", "Content-Length", "Cache-Control"):
        assert head.headers[name] == whole.headers[name]


async def test_metadata_of_the_resource_is_a_document() -> None:
    async with serving(web.get("/x", ResourceMetadata({"resource": RESOURCE}).get)) as edge:
        reply = await (await edge.connect(None)).ask(get("/x"))
    assert (reply.status, reply.json()) == (200, {"resource": RESOURCE})
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "public, max-age=300"


# --- what is refused -----------------------------------------------------------------------------------------------


async def test_a_stranger_is_refused_without_a_record_of_its_own(site: Site, client: Guest) -> None:
    for endpoint in ENDPOINTS:
        check_error(await client.post(f"/oauth/{endpoint}", {"client_id": CANARY}), 401, "invalid_client")
    assert await site.server.entries() == []  # counted instead: nobody fills the log from outside
    assert set(site.outcomes()) == {"INVALID_CLIENT"}


async def test_a_client_is_refused_on_record(site: Site, client: Guest) -> None:
    for endpoint in ENDPOINTS:
        proof_of = {"DPoP": proof()} if endpoint == "token" else {}
        check_error(await client.post(f"/oauth/{endpoint}", proved(), **proof_of), 400, "invalid_request")
    entries = await site.server.entries()
    assert {entry["type"] for entry in entries} == {"token.refused"}
    assert [entry["facts"] for entry in entries] == [
        {"error": "invalid_request", "endpoint": endpoint} for endpoint in ENDPOINTS
    ]
    assert set(site.outcomes()) == {"INVALID_REQUEST"}


async def test_without_a_record_a_client_is_not_even_refused(site: Site, client: Guest) -> None:
    site.server.audit.refuses = 1
    seen = await client.post("/oauth/par", proved())
    check_error(seen, 503, "temporarily_unavailable")
    assert int(seen.headers["Retry-After"]) >= 1
    assert site.outcomes() == ["AUDIT_UNAVAILABLE"]


async def test_without_a_record_there_is_no_token(site: Site, client: Guest) -> None:
    site.server.audit.dead = True
    seen = await client.post("/oauth/token", proved(**MACHINE), DPoP=proof())
    check_error(seen, 503, "temporarily_unavailable")
    assert int(seen.headers["Retry-After"]) >= 1


async def test_a_database_that_is_gone_is_told_as_our_trouble(site: Site, client: Guest) -> None:
    site.server.state.before["first_time"] = UpstreamUnavailable()
    check_error(await client.post("/oauth/token", proved(**MACHINE)), 503, "temporarily_unavailable")


async def test_what_breaks_in_us_is_a_problem_and_says_nothing(site: Site, client: Guest) -> None:
    site.server.state.before["first_time"] = RuntimeError(CANARY)
    seen = await client.post("/oauth/token", proved(**MACHINE))
    assert (seen.status, seen.json["code"]) == (500, "INTERNAL")
    assert CANARY.encode() not in seen.body


@pytest.mark.parametrize("parameter", ["", "; charset=gbk"])
async def test_another_media_type_is_refused(parameter: str, site: Site, client: Guest) -> None:
    kind = "application/x-www-form-urlencoded" if parameter else "application/json"
    for endpoint in ENDPOINTS:
        seen = await client.post(f"/oauth/{endpoint}", proved(), Content_Type=kind + parameter)
        check_error(seen, 415, "invalid_request")
        assert seen.headers["Accept"] == "application/x-www-form-urlencoded"
    assert set(site.outcomes()) == {"MEDIA_TYPE_UNSUPPORTED"}


async def test_a_content_coding_is_refused(client: Guest) -> None:
    check_error(await client.post("/oauth/token", proved(), Content_Encoding="gzip"), 415, "invalid_request")


async def test_utf_8_may_be_said(client: Guest) -> None:
    content_type = "application/x-www-form-urlencoded; charset=UTF-8"
    seen = await client.post("/oauth/token", proved(**MACHINE), Content_Type=content_type, DPoP=proof())
    assert seen.status == 200


async def test_a_body_may_have_so_many_bytes_and_no_more(client: Guest) -> None:
    check_error(await client.post("/oauth/token", b"a=" + b"b" * (BODY_BYTES_MAX - 2)), 401, "invalid_client")
    check_error(await client.post("/oauth/token", b"a=" + b"b" * (BODY_BYTES_MAX - 1)), 413, "invalid_request")


async def test_a_body_that_does_not_come_is_waited_for_so_long(tmp_path: Path) -> None:
    async with consent_site(tmp_path, body_timeout_seconds=0.05) as site:
        connection = await site.edge.connect(None)
        form = "Content-Type: application/x-www-form-urlencoded"
        reply = await connection.ask(get("/oauth/token", form, "Content-Length: 10", method="POST") + b"grant")
    assert (reply.status, reply.json()["error"]) == (408, "invalid_request")


NO_FORMS = (
    b"\xff=1",
    "scope=§".encode(),
    b"scope=%ff%fe",
    b"&".join(b"p%d=1" % number for number in range(65)),
    b"scope=a&scope=a",
    b"scope=a&scope=b",
    b"client_id=a&client_id=a",
)


async def test_a_form_that_is_none_is_refused(client: Guest) -> None:
    for endpoint, body in itertools.product(ENDPOINTS, NO_FORMS):
        check_error(await client.post(f"/oauth/{endpoint}", body), 400, "invalid_request")


async def test_who_comes_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    async with consent_site(tmp_path, participant_rate=ONE_A_SECOND) as site, Guest(site) as client:
        assert (await client.post("/oauth/introspect", proved(token="x"))).status == 200
        seen = await client.post("/oauth/introspect", proved(token="x"))
        check_error(seen, 429, "temporarily_unavailable")
        assert int(seen.headers["Retry-After"]) >= 1
        assert "RateLimit" in seen.headers
        site.server.clock.advance(2)
        again = proved(token="x") | {"client_assertion": assertion(now=site.server.clock.now())}
        assert (await client.post("/oauth/introspect", again)).status == 200


async def test_an_address_that_comes_too_often_is_turned_away_before_its_body_is_read(tmp_path: Path) -> None:
    async with consent_site(tmp_path, rate=ONE_A_SECOND) as site, Guest(site) as client:
        check_error(await client.post("/oauth/token", {"client_id": CANARY}), 401, "invalid_client")
        # 429 and not 415: its media type is not even looked at.
        seen = await client.post("/oauth/token", b"{}", Content_Type="application/json")
        check_error(seen, 429, "temporarily_unavailable")
        assert int(seen.headers["Retry-After"]) >= 1


async def test_an_authorization_field_is_not_taken(client: Guest) -> None:
    """RFC 6749 §2.3: one way to prove oneself in a request."""
    seen = await client.post("/oauth/token", proved(**MACHINE), Authorization="Basic YmFuay1hOnNlY3JldA==")
    check_error(seen, 401, "invalid_client")


async def test_only_post_is_served(client: Guest) -> None:
    for endpoint, method in itertools.product(ENDPOINTS, ("GET", "HEAD", "PUT", "DELETE", "PATCH")):
        seen = await client.get(f"/oauth/{endpoint}", method=method)
        assert (seen.status, seen.headers["Allow"]) == (405, "POST")


async def test_other_routes_do_not_exist(client: Guest) -> None:
    for path in ("/oauth", "/oauth/", "/oauth/token/", "/oauth/tokens", "/oauth/grants/x", "/x"):
        seen = await client.post(path, proved(**MACHINE))
        assert (seen.status, seen.json["code"]) == (404, "NOT_FOUND")


async def test_an_interaction_id_is_echoed(client: Guest) -> None:
    mine = "93bac548-d2de-4546-b106-880a5018460d"
    seen = await client.post("/oauth/token", {}, x_fapi_interaction_id=mine)
    assert seen.headers["x-fapi-interaction-id"] == mine


async def test_one_token_for_each_of_many_that_come_at_once(site: Site, client: Guest) -> None:
    consent = await site.server.consent()
    code = await site.server.code(consent)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": parameters()["redirect_uri"],
        "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    }
    seen = await asyncio.gather(*(client.post("/oauth/token", proved(**form), DPoP=proof()) for _ in range(20)))
    assert sorted(one.status for one in seen) == [200] + [400] * 19


def test_a_form_is_ascii_and_utf_8_below_its_escapes() -> None:
    assert form_pairs(b"") == []
    assert form_pairs(b"a=&b=%E5%B8%82") == [("a", ""), ("b", "市")]
    for body in (b"\xe5\xb8\x82=1", b"a=%E5%B8"):
        with pytest.raises(OAuthRefusal) as caught:
            form_pairs(body)
        assert (caught.value.code, caught.value.reason) == ("invalid_request", "form")


# --- grants, over mutual TLS ---------------------------------------------------------------------------------------


class Management:
    """A bank with a real certificate, at `/oauth/grants`."""

    def __init__(self, server: Server, edge: Edge, context: ssl.SSLContext, certificate: Certificate) -> None:
        self.server, self.edge = server, edge
        self._context, self._certificate = context, certificate

    def token(self, *scopes: str, **changes: Any) -> str:
        values = {
            "client_id": CLIENT,
            "scopes": frozenset(scopes),
            "thumbprint": self._certificate.thumbprint,
        }
        self.server.world.tokens.known["token"] = replace(fakes_flows.token(), **(values | changes))
        return "token"

    async def ask(self, method: str, path: str, token: str | None) -> Reply:
        fields = [f"Authorization: Bearer {token}"] if token is not None else []
        return await (await self.edge.connect(self._context)).ask(get(path, *fields, method=method))


def certificate_of(file: Path) -> Certificate:
    der = x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(Encoding.DER)
    return parse_certificate(der)


@asynccontextmanager
async def managing(folder: Path) -> AsyncIterator[Management]:
    pki = Pki(folder)
    context = pki.client("bank")
    certificate = certificate_of(folder / "bank-cert.pem")
    async with open_server(folder) as server:
        known = participant(
            BANK,
            certificates=(CertificateRule(sha256=certificate.sha256),),
            clients=frozenset({CLIENT, "bank-a-batch"}),
            rate=PLENTY,
        )
        server.use(CLIENTS, registry=fakes_flows.view(known).registry)
        routes = GrantManagement(admission=server.world.admission, grants=server.grants, public_url=RESOURCE).routes()
        async with serving(*routes, listener=pki.listener()) as edge:
            yield Management(server, edge, context, certificate)


QUERY, REVOKE = "grant_management_query", "grant_management_revoke"


async def test_a_grant_is_shown_and_ended_by_its_client(tmp_path: Path) -> None:
    async with managing(tmp_path) as bank:
        consent, answer = await bank.server.granted()
        path = f"/oauth/grants/{answer['grant_id']}"
        shown = await bank.ask("GET", path, bank.token(QUERY))
        assert (shown.status, shown.headers["content-type"]) == (200, "application/json")
        assert consent.consent_id in shown.body.decode()
        assert shown.headers["cache-control"] == "no-store"
        assert "ratelimit" in shown.headers
        ended = await bank.ask("DELETE", path, bank.token(REVOKE))
        assert (ended.status, ended.body) == (204, b"")
        assert (await bank.server.grant(answer["grant_id"])).ended is not None


@pytest.mark.parametrize(
    ("method", "scope", "status", "code"),
    [
        ("GET", REVOKE, 403, "SCOPE_INSUFFICIENT"),
        ("DELETE", QUERY, 403, "SCOPE_INSUFFICIENT"),
        ("GET", None, 401, "TOKEN_MISSING"),
        ("DELETE", None, 401, "TOKEN_MISSING"),
        ("POST", QUERY, 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_a_grant_has_a_scope_for_each_act(
    method: str, scope: str | None, status: int, code: str, tmp_path: Path
) -> None:
    async with managing(tmp_path) as bank:
        _, answer = await bank.server.granted()
        token = bank.token(scope) if scope is not None else None
        reply = await bank.ask(method, f"/oauth/grants/{answer['grant_id']}", token)
        assert (reply.status, reply.json()["code"]) == (status, code)


async def test_what_is_no_grant_of_this_client_does_not_exist(tmp_path: Path) -> None:
    async with managing(tmp_path) as bank:
        _, answer = await bank.server.granted()
        for path in (CANARY, "7d1c5b5e-7e6a-4b7e-9a68-4b1a3c0f4a11", answer["grant_id"]):
            for method, scope in (("GET", QUERY), ("DELETE", REVOKE)):
                token = bank.token(scope, client_id="bank-a-batch" if path == answer["grant_id"] else CLIENT)
                reply = await bank.ask(method, f"/oauth/grants/{path}", token)
                assert (reply.status, reply.json()["code"]) == (404, "NOT_FOUND")
        assert (await bank.server.grant(answer["grant_id"])).ended is None


async def test_posts_are_read_over_mutual_tls_as_well(tmp_path: Path) -> None:
    """A certificate of nobody's is refused although the connection stands: the registry counts at every request."""
    pki = Pki(tmp_path)
    async with open_server(tmp_path) as server:
        routes = BackChannel(oauth_flows(server), base_url=RESOURCE).routes()
        async with serving(*routes, listener=pki.listener()) as edge:
            connection = await edge.connect(pki.client("stranger"))
            form = "Content-Type: application/x-www-form-urlencoded"
            reply = await connection.ask(post(b"client_id=bank-a-tls", form, path="/oauth/token"))
    assert (reply.status, reply.json()["error"]) == (401, "invalid_client")
