"""The issuer over real TLS; the gateway's own verifier accepts its tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from adapters.sandbox.serving import client_context
from gateway.profiles.dvp_v1.signature import key_set, verify
from tests.fakes_sandbox import CLOCK, Site

FORM = {"grant_type": "client_credentials", "client_id": "bank-a-loans", "scope": "cdi:consents"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    async with site.issuer():
        yield site


async def send(site: Site, method: str, path: str, *, client: str | None = None, data: Any = None) -> tuple[int, Any]:
    files = [site.folder / f"clients/{client}/{name}" for name in ("cert.pem", "key.pem")] if client else []
    port = site.ports.token if path == "/oauth/token" else site.ports.consent
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method, f"https://localhost:{port}{path}", data=data, ssl=client_context(site.folder / "pki/ca.pem", *files)
        ) as response,
    ):
        return response.status, orjson.loads(await response.read())


def detail() -> dict[str, Any]:
    return {
        "type": "cdi_consent",
        "consentId": "11111111-2222-4333-8444-555555555555",
        "dataProviderId": "SZCREDIT01DP",
        "documentType": "CORPORATE_CREDIT_REPORT",
        "purpose": "SME_LOAN_UNDERWRITING",
        "expireTime": int(CLOCK.now()) + 1000,
    }


async def test_metadata_names_the_issuer_and_its_mutual_tls_endpoint(site: Site) -> None:
    _, metadata = await send(site, "GET", "/.well-known/oauth-authorization-server")
    assert metadata["issuer"] == f"https://localhost:{site.ports.consent}"
    assert metadata["mtls_endpoint_aliases"]["token_endpoint"].endswith(f":{site.ports.token}/oauth/token")
    assert metadata["tls_client_certificate_bound_access_tokens"] is True


async def test_a_token_verifies_with_the_published_keys(site: Site) -> None:
    status, answer = await send(site, "POST", "/oauth/token", client="bank-a", data=FORM)
    _, jwks = await send(site, "GET", "/oauth/jwks")
    assert status == 200
    claims = orjson.loads(verify(answer["access_token"].encode(), key_set(orjson.dumps(jwks)), "at+jwt"))
    assert claims["client_id"] == "bank-a-loans"
    assert claims["aud"] == f"https://localhost:{site.ports.bank}"


async def test_the_owner_approves_by_json_or_by_form(site: Site) -> None:
    owner = {"login": "owner-7", "password": "sandbox-owner-7"}
    consent = {**FORM, "scope": "cdi:data-requests", "authorization_details": orjson.dumps([detail()]).decode()}
    assert (await send(site, "POST", "/oauth/token", client="bank-a", data=consent))[1]["error"] == "invalid_grant"
    form = {**owner, "authorization_details": consent["authorization_details"]}
    assert (await send(site, "POST", "/approvals", data=form))[0] == 201
    assert (await send(site, "POST", "/oauth/token", client="bank-a", data=consent))[0] == 200


async def test_refusals_are_oauth_errors(site: Site) -> None:
    assert await send(site, "POST", "/oauth/token", client="bank-b", data=FORM) == (
        401,
        {
            "error": "invalid_client",
            "error_description": "client_id and client certificate do not belong together",
        },
    )
    status, answer = await send(site, "POST", "/approvals", data={"login": "owner-7", "authorization_details": "{"})
    assert (status, answer["error"]) == (400, "invalid_request")
    twice = aiohttp.FormData([*FORM.items(), ("scope", "cdi:notices")])
    status, answer = await send(site, "POST", "/oauth/token", client="bank-a", data=twice)
    assert (status, answer["error"]) == (400, "invalid_request")


async def test_the_token_endpoint_wants_a_certificate(site: Site) -> None:
    with pytest.raises((aiohttp.ClientError, OSError)):
        await send(site, "POST", "/oauth/token", data=FORM)
