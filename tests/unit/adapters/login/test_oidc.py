"""The whole login as a dialogue with a provider over real TLS: how somebody gets in, and all the ways not to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from aiohttp import web

from adapters.login.credentials import Secret
from adapters.login.oidc import CHALLENGE_SECONDS, SESSION_SECONDS_MAX, OidcLogin
from adapters.login.provider import PAUSE_SECONDS
from gateway.ports.authorization import LoginRefused, SignedIn
from tests.fakes import FakeClock
from tests.fakes_login import (
    CLIENT_ID,
    CLIENT_SECRET,
    CONFIGURATION,
    REDIRECT_URI,
    FakeProvider,
    begun,
    login_at,
    refusal,
    running_provider,
    signed_in,
)
from tests.fakes_oauth import b64, ec_key, ed_key, hmac_with_public_key, rsa_key, sign

NOW = 1_800_000_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
async def provider(clock: FakeClock) -> AsyncIterator[FakeProvider]:
    async with running_provider(clock) as running:
        yield running


@pytest.fixture
async def login(provider: FakeProvider) -> AsyncIterator[OidcLogin]:
    async with login_at(provider) as running:
        yield running


async def test_who_signs_in_is_told(login: OidcLogin, provider: FakeProvider) -> None:
    assert await signed_in(login, provider) == SignedIn(
        owner_id="owner-7", name="示例貿易有限公司", auth_time=NOW, acr=None
    )
    assert provider.seen == [CONFIGURATION, "/keys", "/token"]


async def test_the_browser_is_sent_with_everything_that_binds_the_answer(
    login: OidcLogin, provider: FakeProvider
) -> None:
    challenge = await begun(login, acr_values=("high", "higher"))
    assert challenge.url.startswith(provider.base + "/authorize?tenant=1&")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(challenge.url).query).items()}
    kept = orjson.loads(challenge.secret)
    assert len(kept["verifier"]) == 43
    assert kept["verifier"] not in challenge.url
    assert asked.pop("code_challenge")
    assert asked == {
        "tenant": "1",
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": REDIRECT_URI,
        "scope": "openid profile",
        "state": kept["state"],
        "nonce": kept["nonce"],
        "code_challenge_method": "S256",
        "max_age": str(SESSION_SECONDS_MAX),
        "acr_values": "high higher",
        "ui_locales": "zh-Hant",
    }


async def test_no_two_challenges_are_alike(login: OidcLogin) -> None:
    first, second = orjson.loads((await begun(login)).secret), orjson.loads((await begun(login)).secret)
    assert len({first[name] for name in ("state", "nonce", "verifier")}) == 3
    assert all(first[name] != second[name] for name in ("state", "nonce", "verifier"))


async def test_a_fresh_sign_in_is_demanded(login: OidcLogin, provider: FakeProvider) -> None:
    challenge = await begun(login, fresh=True)
    asked = parse_qs(urlsplit(challenge.url).query)
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
    assert (await login.finish(challenge.secret, provider.approve(challenge.url))).auth_time == NOW


async def test_a_secret_serves_instead_of_a_key(provider: FakeProvider) -> None:
    async with login_at(provider, credentials=Secret(secret=CLIENT_SECRET)) as login:
        assert (await signed_in(login, provider)).owner_id == "owner-7"
    assert provider.assertions == []


async def test_each_redemption_has_an_assertion_of_its_own(login: OidcLogin, provider: FakeProvider) -> None:
    await signed_in(login, provider)
    await signed_in(login, provider)
    assert len(set(provider.assertions)) == 2


async def test_logins_side_by_side_do_not_mix(login: OidcLogin, provider: FakeProvider) -> None:
    challenges = [await begun(login) for _ in range(10)]
    answers = [provider.approve(challenge.url) for challenge in challenges]
    async with asyncio.TaskGroup() as tasks:
        done = [
            tasks.create_task(login.finish(challenge.secret, answer))
            for challenge, answer in zip(challenges, answers, strict=True)
        ]
    assert {task.result().owner_id for task in done} == {"owner-7"}


async def test_cookies_and_tokens_of_the_provider_are_not_kept(login: OidcLogin, provider: FakeProvider) -> None:
    await signed_in(login, provider)
    await signed_in(login, provider)
    assert set(provider.sent_cookies) == {""}
    assert "opaque" not in repr(vars(login._client))


async def test_proxies_of_the_environment_are_not_used(provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    async with login_at(provider) as login:
        assert (await signed_in(login, provider)).owner_id == "owner-7"


@pytest.mark.parametrize("state", ["", "other", "é", "\ud800"])
async def test_another_state_is_refused(login: OidcLogin, provider: FakeProvider, state: str) -> None:
    assert await refusal(login, provider, state=state) == "state"
    assert "/token" not in provider.seen


async def test_an_answer_without_state_is_refused(login: OidcLogin, provider: FakeProvider) -> None:
    challenge = await begun(login)
    answer = provider.approve(challenge.url)
    del answer["state"]
    with pytest.raises(LoginRefused, match=r"^state$"):
        await login.finish(challenge.secret, answer)


@pytest.mark.parametrize("suffix", ["", "/", "/other", "/tenant/"])
async def test_an_answer_of_another_issuer_is_a_mix_up(login: OidcLogin, provider: FakeProvider, suffix: str) -> None:
    assert await refusal(login, provider, iss=provider.base + suffix) == "issuer"
    assert "/token" not in provider.seen


@pytest.mark.parametrize("announced", [True, False])
async def test_the_issuer_must_be_named_where_the_provider_says_it_does(
    provider: FakeProvider, announced: bool
) -> None:
    provider.metadata = {"authorization_response_iss_parameter_supported": announced}
    async with login_at(provider) as login:
        challenge = await begun(login)
        answer = provider.approve(challenge.url)
        del answer["iss"]
        if announced:
            with pytest.raises(LoginRefused, match=r"^issuer$"):
                await login.finish(challenge.secret, answer)
        else:
            assert (await login.finish(challenge.secret, answer)).owner_id == "owner-7"
            assert await refusal(login, provider, iss="https://other.example") == "issuer"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("access_denied", "denied"),
        ("login_required", "denied"),
        ("invalid_scope", "provider_error"),
        ("<script>", "provider_error"),
        ("", "provider_error"),
    ],
)
async def test_an_error_signs_nobody_in_even_with_a_code(
    login: OidcLogin, provider: FakeProvider, error: str, reason: str
) -> None:
    assert await refusal(login, provider, error=error) == reason
    assert "/token" not in provider.seen


@pytest.mark.parametrize("code", ["", "c" * 4_097])
async def test_what_is_no_code_is_not_sent(login: OidcLogin, provider: FakeProvider, code: str) -> None:
    assert await refusal(login, provider, code=code) == "code"
    assert "/token" not in provider.seen


async def test_a_callback_counts_once(login: OidcLogin, provider: FakeProvider) -> None:
    challenge = await begun(login)
    answer = provider.approve(challenge.url)
    await login.finish(challenge.secret, answer)
    with pytest.raises(LoginRefused, match=r"^code$"):
        await login.finish(challenge.secret, answer)


async def test_a_code_of_another_challenge_is_refused(login: OidcLogin, provider: FakeProvider) -> None:
    stolen = provider.approve((await begun(login)).url)["code"]
    assert await refusal(login, provider, code=stolen) == "code"  # PKCE


async def test_a_challenge_is_good_for_ten_minutes(login: OidcLogin, provider: FakeProvider, clock: FakeClock) -> None:
    challenge = await begun(login)
    clock.advance(CHALLENGE_SECONDS - 1)
    assert (await login.finish(challenge.secret, provider.approve(challenge.url))).owner_id == "owner-7"
    clock.advance(1)
    with pytest.raises(LoginRefused, match=r"^challenge_expired$"):
        await login.finish(challenge.secret, provider.approve(challenge.url))


@pytest.mark.parametrize("secret", ["", "{}", "[]", "null", '{"state":"a","acr_values":[]}', '{"acr_values":7}'])
async def test_what_is_no_challenge_is_refused(login: OidcLogin, secret: str) -> None:
    with pytest.raises(LoginRefused, match=r"^challenge$"):
        await login.finish(secret, {})


def unsigned(claims: dict[str, Any]) -> str:
    return f"{b64(orjson.dumps({'alg': 'none'}))}.{b64(orjson.dumps(claims))}."


Forge = Callable[[FakeProvider], Callable[[dict[str, Any]], str]]

FORGED: dict[str, tuple[Forge, str]] = {
    "none": (lambda _: unsigned, "id_token_algorithm"),
    "hmac with the public key": (
        lambda provider: (
            lambda claims: sign(
                hmac_with_public_key(provider.key),  # type: ignore[arg-type]
                {"alg": "HS256", "kid": "op-1"},
                claims,
            )
        ),
        "id_token_algorithm",
    ),
    "another key of that name": (
        lambda _: lambda claims: sign(ec_key("op-1"), {"alg": "ES256", "kid": "op-1"}, claims),
        "id_token_signature",
    ),
    "RS256 where it is not configured": (
        lambda _: lambda claims: sign(rsa_key(), {"alg": "RS256", "kid": "op-1"}, claims),
        "id_token_algorithm",
    ),
    "an unknown key": (
        lambda _: lambda claims: sign(ec_key("op-9"), {"alg": "ES256", "kid": "op-9"}, claims),
        "id_token_key",
    ),
    "no token": (lambda _: lambda claims: "a.b", "id_token_malformed"),
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_id_token_is_refused(login: OidcLogin, provider: FakeProvider, name: str) -> None:
    forge, reason = FORGED[name]
    provider.id_token = forge(provider)
    assert await refusal(login, provider) == reason


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://other.example"}, "id_token_iss"),
        ({"aud": "another"}, "id_token_aud"),
        ({"aud": [CLIENT_ID, "another"]}, "id_token_azp"),
        ({"nonce": "another"}, "id_token_nonce"),
        ({"exp": NOW}, "id_token_expired"),
        ({"auth_time": None}, "id_token_auth_time"),
        ({"data_owner_id": None}, "owner_claim"),
    ],
)
async def test_an_id_token_about_something_else_is_refused(
    login: OidcLogin, provider: FakeProvider, claims: dict[str, Any], reason: str
) -> None:
    provider.claims = claims
    assert await refusal(login, provider) == reason


async def test_a_sign_in_of_before_is_not_fresh(login: OidcLogin, provider: FakeProvider) -> None:
    provider.signed_in_at = NOW - 60
    assert await refusal(login, provider, fresh=True) == "id_token_auth_time"
    assert (await signed_in(login, provider)).auth_time == NOW - 60
    provider.signed_in_at = NOW - SESSION_SECONDS_MAX - 60
    assert await refusal(login, provider) == "id_token_auth_time"


async def test_the_authentication_context_must_be_one_that_was_asked(login: OidcLogin, provider: FakeProvider) -> None:
    for acr, accepted in (("high", True), ("low", False), (None, False)):
        provider.claims = {"acr": acr}
        challenge = await begun(login, acr_values=("higher", "high"))
        answer = provider.approve(challenge.url)
        if accepted:
            assert (await login.finish(challenge.secret, answer)).acr == acr
        else:
            with pytest.raises(LoginRefused, match=r"^id_token_acr$"):
                await login.finish(challenge.secret, answer)


async def test_rs256_is_taken_where_it_is_configured(provider: FakeProvider) -> None:
    provider.key, provider.header = rsa_key(), {"alg": "RS256"}
    async with login_at(provider, algorithms=("RS256",)) as login:
        assert (await signed_in(login, provider)).owner_id == "owner-7"


@pytest.mark.parametrize("algorithm", ["PS256", "EdDSA"])
async def test_the_other_algorithms_are_taken(provider: FakeProvider, algorithm: str) -> None:
    provider.key, provider.header = (rsa_key() if algorithm == "PS256" else ed_key()), {"alg": algorithm}
    async with login_at(provider) as login:
        assert (await signed_in(login, provider)).owner_id == "owner-7"


async def test_a_new_key_of_the_provider_is_fetched(login: OidcLogin, provider: FakeProvider, clock: FakeClock) -> None:
    await signed_in(login, provider)
    provider.key = ec_key("op-2")
    assert await refusal(login, provider) == "id_token_key"  # fetched just now, and not again for everybody who asks
    clock.advance(PAUSE_SECONDS)
    assert (await signed_in(login, provider)).owner_id == "owner-7"


@pytest.mark.parametrize("body", [b"{}", b'{"id_token":7}', b'{"id_token":"a.b.c","error":"invalid_grant"}'])
async def test_tokens_without_an_id_token_are_refused(login: OidcLogin, provider: FakeProvider, body: bytes) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body)

    provider.handlers["/token"] = answer
    assert await refusal(login, provider) == "id_token_missing"


async def test_nothing_of_the_answer_is_in_a_refusal(login: OidcLogin, provider: FakeProvider) -> None:
    challenge = await begun(login)
    answer = provider.approve(challenge.url) | {"code": "marked-code"}
    with pytest.raises(LoginRefused) as refused:
        await login.finish(challenge.secret, answer)
    error: BaseException | None = refused.value
    while error is not None:
        assert "marked-code" not in repr(error)  # the provider repeats it in its description
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@pytest.mark.parametrize("changes", [{"scopes": ("profile",)}, {"algorithms": ()}, {"algorithms": ("HS256",)}])
async def test_what_cannot_sign_anybody_in_is_refused_at_the_start(
    provider: FakeProvider, changes: dict[str, Any]
) -> None:
    with pytest.raises(ValueError):
        async with login_at(provider, **changes):
            pass
