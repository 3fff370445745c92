from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from gateway import errors
from gateway.errors import GatewayError
from gateway.http.browser import STATUS, dress, from_own_page, page, problem_of, see_other
from gateway.pages.views import Problem

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)


def leaves() -> list[type[GatewayError]]:
    return [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, GatewayError)]


def test_a_page_loads_and_sends_nothing_to_anybody_else() -> None:
    response = page("<title>t</title>")
    assert (response.status, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert response.headers["Content-Security-Policy"] == POLICY
    assert "script-src" not in POLICY  # `default-src 'none'` stands for it
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in response.headers["Permissions-Policy"]


def test_a_form_leads_to_the_origins_that_are_named_and_to_no_other() -> None:
    response = web.Response()
    dress(response, leads_to=("https://bank-a.example",))
    assert response.headers["Content-Security-Policy"] == f"{POLICY} https://bank-a.example"


def test_a_post_goes_on_as_a_get() -> None:
    response = see_other("/consents")
    assert (response.status, response.headers["Location"], response.body) == (303, "/consents", None)
    assert response.headers["Content-Security-Policy"] == POLICY
    assert response.headers["Referrer-Policy"] == "no-referrer"


def test_every_problem_has_a_status() -> None:
    assert set(STATUS) == set(Problem)
    assert all(400 <= status <= 599 for status in STATUS.values())


@pytest.mark.parametrize("leaf", leaves())
def test_every_refusal_is_a_problem_that_people_can_read(leaf: type[GatewayError]) -> None:
    found = problem_of(leaf())
    if leaf.status >= 500:
        assert found is Problem.UNAVAILABLE
    else:
        named = {404: Problem.NOT_FOUND, 410: Problem.REQUEST_GONE, 429: Problem.TOO_MANY}
        assert found is named.get(leaf.status, Problem.BAD_REQUEST)


@pytest.mark.parametrize(
    ("site", "own"),
    [
        (None, True),  # a browser that does not tell; the form's token decides
        ("same-origin", True),
        ("none", True),
        ("same-site", False),
        ("cross-site", False),
        ("Same-Origin", False),
        ("", False),
    ],
)
def test_a_form_of_another_site_is_not_of_ours(site: str | None, own: bool) -> None:
    headers = {} if site is None else {"Sec-Fetch-Site": site}
    assert from_own_page(make_mocked_request("POST", "/", headers=headers)) is own
