"""What a provider says of itself: what is believed, how long, and how often it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiohttp import web

from adapters.login.provider import (
    PAUSE_SECONDS,
    REFRESH_SECONDS,
    STALE_SECONDS_MAX,
    Provider,
    ProviderKeys,
    configuration_url,
)
from adapters.login.transport import BoundedTransport
from gateway.errors import UpstreamUnavailable
from gateway.oauth.keys import KeysInvalid
from tests.fakes import FakeClock
from tests.fakes_login import CONFIGURATION, FakeProvider, running_provider
from tests.fakes_oauth import ec_key, ed_key, jwks, rsa_key


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def served(clock: FakeClock) -> AsyncIterator[FakeProvider]:
    async with running_provider(clock) as running:
        yield running


@pytest.fixture
async def provider(served: FakeProvider, clock: FakeClock) -> AsyncIterator[Provider]:
    async with httpx.AsyncClient(transport=BoundedTransport(served.client_context()), trust_env=False) as client:
        yield Provider(served.issuer, client=client, algorithms=["ES256"], clock=clock, timeout_seconds=5)


async def problem(provider: Provider) -> str:
    with pytest.raises(UpstreamUnavailable) as failed:
        await provider.description()
    return failed.value.private


async def down(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=503)


async def test_the_description_is_kept(provider: Provider, served: FakeProvider) -> None:
    first = await provider.description()
    assert await provider.description() is first
    assert first.token_endpoint == served.base + "/token"
    assert first.names_itself
    assert served.seen == [CONFIGURATION, "/keys"]


async def test_all_who_wait_are_served_by_one_fetch(provider: Provider, served: FakeProvider) -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(provider.description()) for _ in range(50)]
    assert len({id(task.result()) for task in waiting}) == 1
    assert served.seen == [CONFIGURATION, "/keys"]


async def test_an_old_description_is_fetched_again(provider: Provider, served: FakeProvider, clock: FakeClock) -> None:
    first = await provider.description()
    clock.advance(REFRESH_SECONDS)
    assert await provider.description() is not first
    assert len(served.seen) == 4


async def test_an_outage_is_outlived_for_an_hour(provider: Provider, served: FakeProvider, clock: FakeClock) -> None:
    first = await provider.description()
    served.handlers[CONFIGURATION] = down
    clock.advance(STALE_SECONDS_MAX - 1)
    assert await provider.description() is first
    assert provider.problem == "status"
    clock.advance(PAUSE_SECONDS)
    assert await problem(provider) == "login_status"


async def test_a_provider_that_is_down_is_not_asked_for_everybody(
    provider: Provider, served: FakeProvider, clock: FakeClock
) -> None:
    served.handlers[CONFIGURATION] = down
    assert [await problem(provider) for _ in range(5)] == ["login_status"] * 5
    assert served.seen == [CONFIGURATION]
    clock.advance(PAUSE_SECONDS)
    served.handlers.clear()
    assert (await provider.description()).names_itself


async def test_a_missing_key_is_looked_for_once(provider: Provider, served: FakeProvider, clock: FakeClock) -> None:
    first = await provider.description()
    assert await provider.newer(first) is first  # fetched just now
    clock.advance(PAUSE_SECONDS)
    second = await provider.newer(first)
    assert second is not first
    assert await provider.newer(first) is second  # somebody else has looked already
    clock.advance(PAUSE_SECONDS)
    served.handlers[CONFIGURATION] = down
    with pytest.raises(UpstreamUnavailable):
        await provider.newer(second)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"issuer": None}, "login_metadata_issuer"),
        ({"issuer": "https://localhost/tenant/"}, "login_metadata_issuer"),
        ({"token_endpoint": None}, "login_metadata_token_endpoint"),
        ({"token_endpoint": "http://localhost/token"}, "login_metadata_token_endpoint"),
        ({"token_endpoint": "https://u:p@localhost/token"}, "login_metadata_token_endpoint"),
        ({"token_endpoint": "https://[/token"}, "login_metadata_token_endpoint"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "login_metadata_authorization_endpoint"),
        ({"authorization_endpoint": "https://localhost/a#b"}, "login_metadata_authorization_endpoint"),
        ({"authorization_endpoint": "https://localhost/" + "a" * 2_048}, "login_metadata_authorization_endpoint"),
        ({"jwks_uri": "file:///etc/passwd"}, "login_metadata_jwks_uri"),
        ({"jwks_uri": 7}, "login_metadata_jwks_uri"),
        ({"code_challenge_methods_supported": ["plain"]}, "login_metadata_pkce"),
        ({"code_challenge_methods_supported": "S256"}, "login_metadata_pkce"),
        ({"note": 1.5}, "login_metadata_not_json"),
    ],
)
async def test_metadata_that_cannot_be_relied_on_is_refused(
    provider: Provider, served: FakeProvider, metadata: dict[str, Any], reason: str
) -> None:
    served.metadata = metadata
    assert await problem(provider) == reason


async def test_keys_that_cannot_be_used_are_an_outage(provider: Provider, served: FakeProvider) -> None:
    async def without_keys(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"keys": []})

    served.handlers["/keys"] = without_keys
    assert await problem(provider) == "login_no_usable_key"


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("https://op.example", "https://op.example/.well-known/openid-configuration"),
        ("https://op.example/", "https://op.example/.well-known/openid-configuration"),
        ("https://op.example:8443/a/b", "https://op.example:8443/a/b/.well-known/openid-configuration"),
    ],
)
def test_the_well_known_path_is_appended_to_the_issuers(issuer: str, url: str) -> None:
    assert configuration_url(issuer) == url


@pytest.mark.parametrize("issuer", ["http://op.example", "https://", "https://u@op.example", "https://op.example?a=b"])
def test_what_is_no_issuer_identifier_is_refused(issuer: str) -> None:
    with pytest.raises(ValueError, match="https URL"):
        configuration_url(issuer)


def test_a_key_is_found_for_configured_algorithms_only() -> None:
    document = jwks(ec_key(), rsa_key(), ed_key())
    keys = ProviderKeys(document, algorithms=["ES256", "EdDSA"])
    assert [keys.find(algorithm, None) is not None for algorithm in ("ES256", "EdDSA", "PS256", "RS256")] == [
        True,
        True,
        False,
        False,
    ]
    legacy = ProviderKeys(document, algorithms=["RS256"])
    assert legacy.find("RS256", "rsa") is not None
    assert legacy.find("PS256", "rsa") is None
    assert legacy.find("RS256", "ec") is None


def test_an_rsa_key_for_one_padding_is_not_used_with_the_other() -> None:
    both = ["PS256", "RS256"]
    for own, other in (("RS256", "PS256"), ("PS256", "RS256")):
        key = rsa_key()
        keys = ProviderKeys(jwks(type(key).import_key(key.as_dict(private=True) | {"alg": own})), algorithms=both)
        assert keys.find(own, "rsa") is not None
        assert keys.find(other, "rsa") is None


@pytest.mark.parametrize("document", [b"", b"{}", b'{"keys":[]}', jwks(ec_key(), private=True)])
def test_what_is_no_usable_key_set_is_refused(document: bytes) -> None:
    with pytest.raises(KeysInvalid):
        ProviderKeys(document, algorithms=["ES256", "RS256"])
