"""What an issuer, a login and an introspection must say and may not. Rules between sections are in `test_loading`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.settings import Introspection, Issuer, Login, OAuth, Oidc, Server, SigningKey

FILE = Path("file.pem")
SERVER = Server(issuer="https://consent.example", signing_keys=(SigningKey(file=FILE, id="key-1"),))


def oidc(**changes: Any) -> Oidc:
    values: dict[str, Any] = {
        "issuer": "https://login.example",
        "client_id": "gateway",
        "key_file": FILE,
        "key_id": "login-1",
    }
    return Oidc(**(values | changes))


def introspection(**changes: Any) -> Introspection:
    values: dict[str, Any] = {"url": "https://as.example/introspect", "client_id": "gateway", "secret_file": FILE}
    return Introspection(**(values | changes))


def oauth(**changes: Any) -> OAuth:
    values: dict[str, Any] = {"resource": "https://gateway.example", "server": SERVER, "login": Login(oidc=oidc())}
    return OAuth(**(values | changes))


def mistake(made: Any, **changes: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        made(**changes)
    (error,) = refused.value.errors(include_input=False)
    return str(error["msg"])


def test_the_lives_are_those_of_the_contract() -> None:
    assert SERVER.access_token_seconds == 300
    assert SERVER.code_seconds <= 60
    assert 5 <= SERVER.request_seconds <= 600


@pytest.mark.parametrize(
    "changes",
    [{}, {"key_file": None, "key_id": None, "secret_file": FILE}, {"algorithms": ("RS256",)}],
    ids=["key", "secret", "RS256"],
)
def test_a_login_has_one_credential(changes: dict[str, Any]) -> None:
    assert oidc(**changes).owner_claim == "sub"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"secret_file": FILE}, "either key_file or secret_file"),
        ({"key_file": None, "key_id": None}, "either key_file or secret_file"),
        ({"key_id": None}, "go together"),
        ({"key_file": None, "secret_file": FILE}, "go together"),
        ({"scopes": ("profile",)}, "openid"),
        ({"scopes": ()}, "openid"),
    ],
)
def test_a_login_that_could_not_work_is_refused(changes: dict[str, Any], said: str) -> None:
    assert said in mistake(oidc, **changes)


@pytest.mark.parametrize(
    "issuer",
    [
        "https://login.example",
        "https://login.example:8443/realms/bank",
        "https://tenant.auth0.example/",
        "https://sts.example/5d7e6a1c-9f0a-4f3e-8a43-0a3a4d1e9b11/",
    ],
)
def test_a_login_provider_is_named_as_it_names_itself(issuer: str) -> None:
    assert oidc(issuer=issuer).issuer == issuer


@pytest.mark.parametrize(
    "issuer",
    ["http://login.example/", "https://", "https:///", "https://login.example/?a=b", "https://login.example/#a", "x"],
)
def test_a_login_provider_that_cannot_be_one_is_refused(issuer: str) -> None:
    assert "pattern" in mistake(oidc, issuer=issuer)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"secret_file": None}, "give secret_file, or certificate_file and key_file"),
        ({"certificate_file": FILE}, "go together"),
        ({"key_file": FILE}, "go together"),
    ],
)
def test_an_introspection_without_credentials_is_refused(changes: dict[str, Any], said: str) -> None:
    assert said in mistake(introspection, **changes)


def test_an_introspection_may_use_a_certificate_instead_of_a_secret() -> None:
    used = introspection(secret_file=None, certificate_file=FILE, key_file=FILE)
    assert used.cache_seconds <= 10


def test_keys_are_not_used_longer_than_they_may_be_stale() -> None:
    said = mistake(Issuer, issuer="https://as.example", refresh_seconds=600, stale_seconds_max=599)
    assert said.endswith("stale_seconds_max must not be less than refresh_seconds")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"server": None, "login": None}, "nobody issues tokens"),
        ({"login": None}, "go together"),
        ({"server": None, "issuers": (Issuer(issuer="https://as.example"),)}, "go together"),
    ],
)
def test_somebody_issues_tokens_and_an_own_server_has_a_login(changes: dict[str, Any], said: str) -> None:
    assert said in mistake(oauth, **changes)


def test_an_external_issuer_is_enough() -> None:
    assert oauth(server=None, login=None, issuers=(Issuer(issuer="https://as.example"),)).server is None
