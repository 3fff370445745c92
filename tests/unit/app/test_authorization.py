"""The authorization server is built as the settings say, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.keys.file import KeyFileRefused
from adapters.login.credentials import PrivateKey, Secret
from gateway.app.authorization import Embedded, login_credentials, resource_metadata
from gateway.app.flows import build_flows
from gateway.app.parts import open_parts
from gateway.settings import Issuer, Login, Oidc
from gateway.tls import TlsMaterialError
from tests.fakes_app import Events, Place, log_to, make_place


@asynccontextmanager
async def embedded(place: Place, **oauth: Any) -> AsyncIterator[Embedded | None]:
    """`oauth`: laid over the settings that were read."""
    settings, participants = place.loaded()
    settings = settings.model_copy(update={"oauth": settings.oauth.model_copy(update=oauth)})
    async with (
        open_parts(settings, participants, log_to(Events())) as parts,
        AsyncExitStack() as stack,
        asyncio.TaskGroup() as tasks,
    ):
        yield build_flows(parts, tasks, stack).embedded


def oidc(place: Place, **changes: Any) -> Login:
    settings, _ = place.loaded()
    assert settings.oauth.login is not None
    return Login(oidc=settings.oauth.login.oidc.model_copy(update=changes))


async def test_what_it_publishes_is_what_was_configured(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    settings, _ = place.loaded()
    server = settings.oauth.server
    assert server is not None
    async with embedded(place) as built:
        assert built is not None
        document = orjson.loads(built.back_channel.server_metadata)
        assert document["issuer"] == built.back_channel.issuer == server.issuer
        assert document["token_endpoint"] == f"{server.issuer}/oauth/token"
        aliases = document["mtls_endpoint_aliases"]
        assert aliases["token_endpoint"] == f"{settings.deployment.public_url}/oauth/token"
        assert "refresh_token" in document["grant_types_supported"]
        keys = orjson.loads(built.back_channel.jwks)["keys"]
        assert [key["kid"] for key in keys] == [key.id for key in server.signing_keys]
        assert built.back_channel.signer.key_id == server.signing_keys[0].id


async def test_refresh_tokens_may_be_switched_off(tmp_path: Path) -> None:
    place = make_place(tmp_path, {"oauth": {"server": {"refresh_tokens": False}}})
    async with embedded(place) as built:
        assert built is not None
        assert "refresh_token" not in orjson.loads(built.back_channel.server_metadata)["grant_types_supported"]


async def test_without_a_server_there_is_none(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    issuer = Issuer(issuer="https://as.example", jwks_file=tmp_path / "pki/tokens.jwks.json")
    async with embedded(place, server=None, login=None, issuers=(issuer,)) as built:
        assert built is None


async def test_files_of_the_login_that_are_of_no_use_refuse_the_start(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    bad = tmp_path / "bad.pem"
    bad.touch(mode=0o600)
    for changes, refusal in (({"ca_file": bad}, TlsMaterialError), ({"key_file": bad}, ValueError)):
        with pytest.raises(ExceptionGroup) as refused:
            async with embedded(place, login=oidc(place, **changes)):
                pytest.fail("built")
        assert isinstance(refused.value.exceptions[0], refusal)


class TestLoginCredentials:
    def test_a_key_is_read_with_its_name(self, tmp_path: Path) -> None:
        login = oidc(make_place(tmp_path, migrated=False)).oidc
        credentials = login_credentials(login)
        assert isinstance(credentials, PrivateKey)
        assert credentials.key_id == login.key_id

    def test_a_secret_is_read(self, tmp_path: Path) -> None:
        login = self.with_secret(tmp_path)
        credentials = login_credentials(login)
        assert credentials == Secret(secret="a client secret")
        assert "client secret" not in repr(credentials)

    def test_what_others_may_read_is_refused(self, tmp_path: Path) -> None:
        key = oidc(make_place(tmp_path, migrated=False)).oidc
        for login in (key, self.with_secret(tmp_path)):
            file = login.key_file or login.secret_file
            assert file is not None
            file.chmod(0o644)
            with pytest.raises(KeyFileRefused, match="chmod"):
                login_credentials(login)

    def test_what_is_neither_is_refused_by_its_files_name(self, tmp_path: Path) -> None:
        key = oidc(make_place(tmp_path, migrated=False)).oidc
        for login in (key, self.with_secret(tmp_path)):
            file = login.key_file or login.secret_file
            assert file is not None
            file.write_bytes(b"canary\ncanary")
            with pytest.raises(KeyFileRefused, match=f"/{file.name}: not a") as refused:
                login_credentials(login)
            assert "canary" not in str(refused.value)

    @staticmethod
    def with_secret(folder: Path) -> Oidc:
        file = folder / "login.secret"
        file.touch(mode=0o600)
        file.write_bytes(b"a client secret\n")
        return Oidc(issuer="https://login.example", client_id="gateway", secret_file=file)


def test_the_resource_names_its_own_server_first_and_then_the_others(tmp_path: Path) -> None:
    settings, _ = make_place(tmp_path, migrated=False).loaded()
    issuers = (Issuer(issuer="https://one.example"), Issuer(issuer="https://two.example"))
    own = settings.oauth.model_copy(update={"issuers": issuers})
    for oauth, expected in (
        (own, [own.server.issuer if own.server else "", "https://one.example", "https://two.example"]),
        (own.model_copy(update={"server": None}), ["https://one.example", "https://two.example"]),
    ):
        document = resource_metadata(settings.model_copy(update={"oauth": oauth}))
        assert document["authorization_servers"] == expected
        assert document["resource"] == settings.oauth.resource
