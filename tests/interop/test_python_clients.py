"""Authlib and requests-oauthlib as clients of our authorization server and bank API, over real TLS.

Neither pushes authorization requests by itself: what they would put into the browser's address is pushed instead.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson
import pytest
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey
from oauthlib.oauth2 import BackendApplicationClient, InvalidGrantError
from requests_oauthlib import OAuth2Session

from tests.end_to_end.stage import Stage
from tests.interop.conftest import BankOf
from tests.interop.stories import callback, fresh_key, question, submitted

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCOPE = "cdi:data-requests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What a client reads in the metadata: endpoints on the listener with mutual TLS (RFC 8705 §5)."""

    issuer: str
    authorize: str
    par: str
    token: str
    introspect: str
    revoke: str
    bank: str

    @classmethod
    def of(cls, stage: Stage, metadata: Mapping[str, Any]) -> Server:
        aliases = metadata["mtls_endpoint_aliases"]
        return cls(
            issuer=metadata["issuer"],
            authorize=metadata["authorization_endpoint"],
            par=aliases["pushed_authorization_request_endpoint"],
            token=aliases["token_endpoint"],
            introspect=aliases["introspection_endpoint"],
            revoke=aliases["revocation_endpoint"],
            bank=stage.world.description["listeners"]["bank"],
        )


class ShortAssertion(PrivateKeyJWT):  # type: ignore[misc]
    """Authlib's lives for an hour, and names the token endpoint: FAPI 2.0 wants the issuer, and little time."""

    def sign(self, auth: Any, token_endpoint: str) -> Any:
        self.claims = {"exp": int(time.time()) + 60}
        return super().sign(auth, token_endpoint)


def pushed(url: str, consent: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of an authorization URL that a library made, for this consent."""
    detail = {"type": "cdi_consent", "consentId": consent["consentId"]}
    return dict(parse_qsl(urlsplit(url).query)) | {"authorization_details": orjson.dumps([detail]).decode()}


def opened(server: Server, client_id: str, request_uri: str) -> str:
    return f"{server.authorize}?{urlencode({'client_id': client_id, 'request_uri': request_uri})}"


# --- Authlib: private_key_jwt, certificate-bound tokens --------------------------------------------------------


@asynccontextmanager
async def authlib_client(stage: Stage, label: str = "bank-a-jwt") -> AsyncIterator[tuple[AsyncOAuth2Client, Server]]:
    client = stage.world.description["clients"][label]
    key = ECKey.import_key((stage.folder / client["signingKey"]).read_text("ascii"))
    issuer = stage.world.description["issuer"]["issuer"]
    session = AsyncOAuth2Client(
        client["clientId"],
        key,
        token_endpoint_auth_method="private_key_jwt",
        revocation_endpoint_auth_method="private_key_jwt",
        redirect_uri=client["redirectUri"],
        scope=SCOPE,
        code_challenge_method="S256",
        verify=stage.context(label),
        timeout=40,
    )
    session.register_client_auth_method(ShortAssertion(issuer, alg="ES256", headers={"kid": client["signingKeyId"]}))
    async with session:
        metadata = await session.request("GET", f"{issuer}/.well-known/oauth-authorization-server", withhold_token=True)
        yield session, Server.of(stage, metadata.json())


async def test_authlib_goes_the_whole_way(stage: Stage, bank_of: BankOf) -> None:
    bank = await bank_of("bank-a-jwt")
    consent = await submitted(stage, bank)
    async with authlib_client(stage) as (session, server):
        verifier = generate_token(64)
        url, state = session.create_authorization_url(server.authorize, code_verifier=verifier)
        answer = await session.post(server.par, data=pushed(url, consent), auth=session.client_auth("private_key_jwt"))
        assert answer.status_code == 201, answer.text
        came = await callback(stage, bank, opened(server, session.client_id, answer.json()["request_uri"]))
        token = await session.fetch_token(
            server.token, authorization_response=came, code_verifier=verifier, state=state
        )
        assert (token["token_type"], token["scope"]) == ("Bearer", SCOPE)

        body, headers = question(stage, consent), {"Idempotency-Key": fresh_key(), "Prefer": "wait=20"}
        asked = await session.post(f"{server.bank}/cdi/v1/data-requests", json=body, headers=headers)
        assert (asked.status_code, asked.json()["verification"]["outcome"]) == (200, "MATCH")

        renewed = await session.refresh_token(server.token, refresh_token=token["refresh_token"])
        assert renewed["access_token"] != token["access_token"]
        seen = (await session.introspect_token(server.introspect, token=renewed["access_token"])).json()
        assert (seen["active"], seen["client_id"]) == (True, session.client_id)

        revoked = await session.revoke_token(server.revoke, token=renewed["refresh_token"])
        assert revoked.status_code == 200
        seen = (await session.introspect_token(server.introspect, token=renewed["access_token"])).json()
        assert seen == {"active": False}  # RFC 7009 §2.1: its access tokens go with the refresh token
        with pytest.raises(OAuthError) as refused:
            await session.refresh_token(server.token, refresh_token=renewed["refresh_token"])
        assert refused.value.error == "invalid_grant"


async def test_authlib_hears_that_the_owner_refused(stage: Stage, bank_of: BankOf) -> None:
    bank = await bank_of("bank-a-jwt")
    consent = await submitted(stage, bank)
    async with authlib_client(stage) as (session, server):
        url, state = session.create_authorization_url(server.authorize, code_verifier=generate_token(64))
        answer = await session.post(server.par, data=pushed(url, consent), auth=session.client_auth("private_key_jwt"))
        request_uri = answer.json()["request_uri"]
        came = await callback(stage, bank, opened(server, session.client_id, request_uri), approve=False)
    said = dict(parse_qsl(urlsplit(came).query))
    assert (said["error"], said["state"], said["iss"]) == ("access_denied", state, server.issuer)


@pytest.mark.parametrize("audience", ["token endpoint", "list"])
async def test_authlibs_assertion_for_another_audience_is_refused(audience: str, stage: Stage) -> None:
    """What Authlib would send by itself (RFC 7523), and FAPI 2.0 §5.3.2.1 forbids."""
    async with authlib_client(stage) as (session, server):
        told: Any = server.token if audience == "token endpoint" else [server.issuer]
        session.register_client_auth_method(ShortAssertion(told, alg="ES256", headers={"kid": "bank-a-jwt-1"}))
        with pytest.raises(OAuthError) as refused:
            await session.fetch_token(server.token, grant_type="client_credentials", scope="cdi:consents")
        assert refused.value.error == "invalid_client"


async def test_authlibs_own_assertion_of_an_hour_is_refused(stage: Stage) -> None:
    async with authlib_client(stage) as (session, server):
        session.register_client_auth_method(PrivateKeyJWT(server.issuer, alg="ES256", headers={"kid": "bank-a-jwt-1"}))
        with pytest.raises(OAuthError) as refused:
            await session.fetch_token(server.token, grant_type="client_credentials", scope="cdi:consents")
        assert refused.value.error == "invalid_client"


# --- requests-oauthlib: tls_client_auth ------------------------------------------------------------------------


@contextmanager
def oauthlib_session(stage: Stage, label: str = "bank-a", **how: Any) -> Iterator[tuple[OAuth2Session, Server]]:
    client, folder = stage.world.description["clients"][label], stage.folder
    with OAuth2Session(redirect_uri=client["redirectUri"], **({"client_id": client["clientId"]} | how)) as session:
        session.trust_env = False  # a CA bundle of the environment would go before `verify`
        session.verify = str(folder / stage.world.description["ca"])
        session.cert = (str(folder / client["cert"]), str(folder / client["key"]))
        issuer = stage.world.description["issuer"]["issuer"]
        metadata = session.get(f"{issuer}/.well-known/openid-configuration", withhold_token=True, timeout=20)
        yield session, Server.of(stage, metadata.json())


async def test_requests_oauthlib_goes_the_whole_way(stage: Stage, bank_of: BankOf) -> None:
    bank = await bank_of("bank-a")
    consent = await submitted(stage, bank)
    with oauthlib_session(stage, scope=[SCOPE], pkce="S256") as (session, server):
        url, _ = session.authorization_url(server.authorize)
        answer = await asyncio.to_thread(
            session.post, server.par, data=pushed(url, consent), withhold_token=True, timeout=20
        )
        assert answer.status_code == 201, answer.text
        came = await callback(stage, bank, opened(server, session.client_id, answer.json()["request_uri"]))
        token = await asyncio.to_thread(
            session.fetch_token, server.token, authorization_response=came, include_client_id=True, timeout=20
        )
        assert (token["token_type"], token["scope"]) == ("Bearer", [SCOPE])
        asked = await asyncio.to_thread(
            session.post,
            f"{server.bank}/cdi/v1/data-requests",
            json=question(stage, consent),
            headers={"Idempotency-Key": fresh_key(), "Prefer": "wait=20"},
            timeout=40,
        )
        assert (asked.status_code, asked.json()["verification"]["outcome"]) == (200, "MATCH")
        renewed = await asyncio.to_thread(session.refresh_token, server.token, client_id=session.client_id, timeout=20)
        assert renewed["access_token"] != token["access_token"]
        assert renewed["refresh_token"] == token["refresh_token"]
        # RFC 6749 §4.1.2: a code that comes again ends what it gave.
        with pytest.raises(InvalidGrantError):
            await asyncio.to_thread(
                session.fetch_token, server.token, authorization_response=came, include_client_id=True, timeout=20
            )
        seen = await asyncio.to_thread(
            session.post,
            server.introspect,
            data={"client_id": session.client_id, "token": renewed["access_token"]},
            withhold_token=True,
            timeout=20,
        )
        assert seen.json() == {"active": False}


async def test_requests_oauthlib_reads_its_consents_with_a_machine_token(stage: Stage) -> None:
    client_id = stage.world.description["clients"]["bank-a"]["clientId"]
    how = {"client": BackendApplicationClient(client_id, scope=["cdi:consents"])}
    with oauthlib_session(stage, **how) as (session, server):
        token = await asyncio.to_thread(session.fetch_token, server.token, include_client_id=True, timeout=20)
        assert (token["expires_in"], token["scope"]) == (300, ["cdi:consents"])
        listed = await asyncio.to_thread(session.get, f"{server.bank}/cdi/v1/consents?limit=1", timeout=20)
        assert listed.status_code == 200
