"""Each listener serves its own routes, to whom it should."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import yaml

from gateway.app.flows import build_flows
from gateway.app.listeners import Listeners, build_listeners
from gateway.app.parts import open_parts
from tests.fakes_app import Events, Place, log_to, make_place


@asynccontextmanager
async def listening(place: Place, *, serving: bool = True) -> AsyncIterator[Listeners]:
    async with (
        open_parts(*place.loaded(), log_to(Events())) as parts,
        AsyncExitStack() as stack,
        asyncio.TaskGroup() as tasks,
    ):
        flows = build_flows(parts, tasks, stack)
        listeners = build_listeners(parts, flows, started=lambda: True, serving=lambda: serving)
        for listener in listeners.all:
            await listener.start(tasks)
        yield listeners
        await asyncio.gather(*(listener.drain(1) for listener in listeners.all))


async def test_a_bank_meets_its_routes_and_not_the_partners(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    async with listening(place) as listeners, aiohttp.ClientSession() as session:
        base = f"https://localhost:{listeners.bank.port}"
        async with session.get(f"{base}/cdi/v1/consents", ssl=place.client("bank-a")) as answer:
            assert (answer.status, (await answer.json(content_type=None))["code"]) == (401, "TOKEN_MISSING")
            assert "RateLimit" in answer.headers
        async with session.post(f"{base}/dvp/v1/messages", ssl=place.client("bank-a")) as answer:
            assert answer.status == 404


async def test_the_consent_listener_asks_for_no_certificate_and_serves_no_bank_api(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    browser = ssl.create_default_context(cafile=place.folder / "pki/ca.pem")
    async with listening(place) as listeners, aiohttp.ClientSession() as session:
        assert listeners.consent is not None
        base = f"https://localhost:{listeners.consent.port}"
        documents = []
        for name in ("oauth-authorization-server", "openid-configuration"):
            async with session.get(f"{base}/.well-known/{name}", ssl=browser) as answer:
                assert answer.status == 200
                documents.append(await answer.json())
        assert documents[0] == documents[1]
        assert documents[0]["require_pushed_authorization_requests"] is True
        async with session.get(f"{base}/oauth/jwks", ssl=browser) as answer:
            assert len((await answer.json(content_type=None))["keys"]) == 1
        async with session.get(f"{base}/cdi/v1/consents", ssl=browser) as answer:
            assert answer.status == 404


async def test_the_bank_listener_says_who_issues_its_tokens_and_shows_no_pages(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    async with listening(place) as listeners, aiohttp.ClientSession() as session:
        base = f"https://localhost:{listeners.bank.port}"
        async with session.get(f"{base}/.well-known/oauth-protected-resource", ssl=place.client("bank-a")) as answer:
            document = await answer.json()
        settings, _ = place.loaded()
        assert settings.oauth.server is not None
        assert document["authorization_servers"] == [settings.oauth.server.issuer]
        for path in ("/oauth/authorize", "/consents", "/.well-known/oauth-authorization-server"):
            async with session.get(base + path, ssl=place.client("bank-a")) as answer:
                assert answer.status == 404


async def test_a_token_of_the_embedded_server_opens_the_bank_api_to_its_certificate_alone(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    form = {"grant_type": "client_credentials", "client_id": "bank-a-loans", "scope": "cdi:consents"}
    async with listening(place) as listeners, aiohttp.ClientSession() as session:
        base = f"https://localhost:{listeners.bank.port}"
        async with session.post(f"{base}/oauth/token", data=form, ssl=place.client("bank-a")) as answer:
            assert answer.status == 200
            bearer = {"Authorization": f"Bearer {(await answer.json())['access_token']}"}
        results = []
        for label in ("bank-a", "bank-b"):
            async with session.get(f"{base}/cdi/v1/consents", headers=bearer, ssl=place.client(label)) as answer:
                results.append((answer.status, (await answer.json(content_type=None)).get("code")))
        assert results == [(200, None), (401, "TOKEN_NOT_BOUND")]


async def test_without_an_own_server_there_is_no_consent_listener_and_no_back_channel(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    document = yaml.safe_load(place.config.read_bytes())
    del document["consent"], document["oauth"]["server"], document["oauth"]["login"]
    document["oauth"]["issuers"] = [{"issuer": "https://as.example", "ca_file": "pki/ca.pem"}]
    place.config.write_text(yaml.safe_dump(document))
    async with listening(place) as listeners, aiohttp.ClientSession() as session:
        assert listeners.consent is None
        assert listeners.bank in listeners.all
        base = f"https://localhost:{listeners.bank.port}"
        async with session.post(f"{base}/oauth/token", data={}, ssl=place.client("bank-a")) as answer:
            assert answer.status == 404
        async with session.get(f"{base}/.well-known/oauth-protected-resource", ssl=place.client("bank-a")) as answer:
            assert (await answer.json())["authorization_servers"] == ["https://as.example"]


async def test_the_partner_listener_does_not_know_the_banks_authority(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    async with listening(place) as listeners, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.post(
                f"https://localhost:{listeners.partner.port}/dvp/v1/messages", ssl=place.client("bank-a")
            )


async def test_the_probes_say_what_they_are_told(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    for serving, status in ((True, 200), (False, 503)):
        async with listening(place, serving=serving) as listeners, aiohttp.ClientSession() as session:
            base = f"http://127.0.0.1:{listeners.ops.port}"
            statuses = {}
            for probe in ("livez", "readyz", "startupz", "metrics"):
                async with session.get(f"{base}/{probe}") as answer:
                    statuses[probe] = answer.status
            assert statuses == {"livez": 200, "readyz": status, "startupz": 200, "metrics": 200}
