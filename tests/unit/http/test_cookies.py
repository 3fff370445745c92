from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from gateway.http.cookies import LANGUAGE, LOGIN, SESSION, SIGNED_OUT, Cookies, Journey
from tests.fakes import FakeSealer

JOURNEY = Journey(secret="of-the-login", to="/consents")


def sending(**cookies: str) -> web.Request:
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return make_mocked_request("GET", "/", headers={"Cookie": header} if header else {})


def set_by(response: web.Response) -> Mapping[str, str]:
    """Attributes of the only cookie, by lower-case name; `value` is its value."""
    (morsel,) = response.cookies.values()
    return {"name": morsel.key, "value": morsel.value} | {
        name: str(value) for name, value in morsel.items() if value != ""
    }


@pytest.fixture
def cookies() -> Cookies:
    return Cookies(FakeSealer())


def sealed(text: str, context: str = LOGIN) -> str:
    return base64.urlsafe_b64encode(FakeSealer().seal(text, context=context)).decode()


def test_every_cookie_is_of_this_host_alone_and_out_of_scripts_reach(cookies: Cookies) -> None:
    responses = [web.Response() for _ in range(5)]
    cookies.begin_session(responses[0], "secret")
    cookies.begin_journey(responses[1], JOURNEY)
    cookies.remember_language(responses[2], "en")
    cookies.forget(responses[3], SESSION)
    cookies.remember_sign_out(responses[4])
    for response in responses:
        found = set_by(response)
        assert found["name"].startswith("__Host-")
        assert (found["path"], found["secure"], found["httponly"], found["samesite"]) == ("/", "True", "True", "Lax")
        assert "domain" not in found  # RFC 6265bis §4.1.3.2: with one, a browser refuses a `__Host-` cookie


def test_a_session_ends_with_the_browser(cookies: Cookies) -> None:
    response = web.Response()
    cookies.begin_session(response, "secret")
    found = set_by(response)
    assert (found["name"], found["value"]) == (SESSION, "secret")
    assert "max-age" not in found
    assert "expires" not in found


def test_a_journey_is_sealed_and_short(cookies: Cookies) -> None:
    response = web.Response()
    cookies.begin_journey(response, JOURNEY)
    found = set_by(response)
    assert (found["name"], found["max-age"]) == (LOGIN, "600")
    assert JOURNEY.secret not in found["value"]
    assert cookies.journey(sending(**{LOGIN: found["value"]})) == JOURNEY
    assert JOURNEY.secret not in repr(JOURNEY)


def test_a_language_is_remembered_for_a_year(cookies: Cookies) -> None:
    response = web.Response()
    cookies.remember_language(response, "zh-Hant")
    found = set_by(response)
    assert (found["name"], found["max-age"]) == (LANGUAGE, "31536000")
    assert cookies.language(sending(**{LANGUAGE: found["value"]})) == "zh-Hant"


def test_a_sign_out_is_remembered_as_long_as_the_browser_runs(cookies: Cookies) -> None:
    response = web.Response()
    cookies.remember_sign_out(response)
    found = set_by(response)
    assert (found["name"], "max-age" in found) == (SIGNED_OUT, False)
    assert cookies.signed_out(sending(**{SIGNED_OUT: found["value"]}))
    assert not cookies.signed_out(sending(**{SESSION: "1"}))


def test_forgetting_ends_the_cookie_now(cookies: Cookies) -> None:
    response = web.Response()
    cookies.forget(response, SESSION)
    found = set_by(response)
    assert (found["name"], found["value"], found["max-age"]) == (SESSION, "", "0")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "not base64 §",
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        sealed('{"secret":"s","to":"/"}', context="another"),
        sealed("no json"),
        sealed("[]"),
        sealed("null"),
        sealed('"text"'),
        sealed('{"secret":"s"}'),
        sealed('{"to":"/"}'),
    ],
)
def test_a_journey_that_was_not_sealed_here_is_none(cookies: Cookies, value: str) -> None:
    assert cookies.journey(sending(**{LOGIN: value})) is None


@pytest.mark.parametrize("name", [SESSION, LANGUAGE, LOGIN])
def test_a_cookie_beyond_all_measure_is_none(cookies: Cookies, name: str) -> None:
    read = {SESSION: cookies.session, LANGUAGE: cookies.language, LOGIN: cookies.journey}[name]
    assert read(sending()) is None
    assert read(sending(**{name: ""})) is None
    assert read(sending(**{name: "x" * 4_097})) is None
