"""The login page: two languages, labels, no script."""

from __future__ import annotations

import pytest

from adapters.sandbox.identity_pages import WORDS, headers, language, render
from adapters.sandbox.page import read


@pytest.mark.parametrize("tag", WORDS)
def test_every_field_has_its_label_in_the_pages_language(tag: str) -> None:
    page = read(render(tag, interaction="name"), url="https://login.example/authorize?a=b")
    (form,) = page.forms
    assert page.language == tag
    assert (form.method, form.action) == ("POST", "https://login.example/sign-in")
    labels = {field.name: field.label for field in form.fields if field.type != "hidden"}
    assert labels == {"login": WORDS[tag].login, "password": WORDS[tag].password}
    assert form.filled({}, form.buttons[0])[0] == ("interaction", "name")
    assert "<script" not in page.html
    assert "style=" not in page.html


def test_what_is_shown_is_escaped_and_announced() -> None:
    html = render("en", interaction='"><script>', problem=WORDS["en"].wrong)
    assert "<script>" not in html
    assert 'role="alert"' in html


def test_without_a_sign_in_there_is_no_form() -> None:
    assert read(render("en", problem=WORDS["en"].over), url="https://login.example/").forms == []


@pytest.mark.parametrize(
    ("accepted", "ui_locales", "expected"),
    [
        ("zh-HK,zh;q=0.9,en;q=0.8", "", "zh-Hant"),
        ("en-GB", "", "en"),
        ("en-GB", "zh-Hant", "zh-Hant"),
        ("zh", "en", "en"),
        ("fr", "", "en"),
        ("", "", "en"),
    ],
)
def test_the_language_is_the_clients_then_the_browsers(accepted: str, ui_locales: str, expected: str) -> None:
    assert language(accepted, ui_locales) == expected


def test_the_form_leads_back_to_the_client_and_nowhere_else() -> None:
    policy = headers("https://gateway.example:8444/login/callback")["Content-Security-Policy"]
    assert "form-action 'self' https://gateway.example:8444" in policy
    assert "default-src 'none'; style-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
