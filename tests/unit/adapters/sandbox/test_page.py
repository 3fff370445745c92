"""What a person finds on a page, well-formed or not."""

from __future__ import annotations

import pytest

from adapters.sandbox.page import Page, read

URL = "https://localhost/place/page?query"
HTML = """<!doctype html>
<html lang="zh-Hant-HK"><head><title> A &amp; B </title><style>p {}</style></head><body>
<p>First<br>line</p><a href="/login?to=%2F"> Sign  in </a>
<form action="other" method="post">
<input type="hidden" name="csrf" value="c">
<label for="who">Who</label><input id="who" name="who" value="&quot;me&quot;">
<label>Secret <input type="password" name="secret"></label>
<label><input type="radio" name="reason" value="A"> One</label>
<label><input type="radio" name="reason" value="B" checked> Two</label>
<input type="checkbox" name="read" required><input type="checkbox" name="news">
<select name="choice"><option value="">none</option><option value="x" selected>X</option></select>
<textarea name="note">as it is</textarea>
<input name="off" value="1" disabled>
<button name="decision" value="approve">Approve</button>
<button name="decision" value="refuse" formaction="/refusals">Refuse</button>
<button type="button" value="script">Help</button>
</form>
<form action="/search"><input name="q"><input type="submit" value="Search"></form>
<script>document.write("<form></form>")</script>
</body></html>"""


@pytest.fixture
def page() -> Page:
    return read(HTML, url=URL, headers={"Content-Type": "text/html"})


def test_title_text_language_and_links_are_read(page: Page) -> None:
    assert (page.title, page.language) == ("A & B", "zh-Hant-HK")
    assert page.text.startswith("First line Sign in Who Secret One Two")
    assert "document.write" not in page.text
    assert page.links == [("Sign in", "https://localhost/login?to=%2F")]
    assert page.link_to("/login") == "https://localhost/login?to=%2F"
    assert page.link_to("/logout") is None
    assert page.headers == {"content-type": "text/html"}


def test_fields_have_the_text_of_their_labels(page: Page) -> None:
    labels = {(field.name, field.value): field.label for field in page.forms[0].fields if field.label}
    assert labels == {
        ("who", '"me"'): "Who",
        ("secret", ""): "Secret",
        ("reason", "A"): "One",
        ("reason", "B"): "Two",
    }


def test_a_form_is_sent_as_a_browser_would(page: Page) -> None:
    form = page.forms[0]
    assert (form.method, form.action) == ("POST", "https://localhost/place/other")
    found = page.form_with_button("approve")
    assert found is not None
    assert form.filled({"secret": "s"}, found[1]) == [
        ("csrf", "c"),
        ("who", '"me"'),
        ("secret", "s"),
        ("reason", "B"),
        ("read", "on"),
        ("choice", "x"),
        ("note", "as it is"),
        ("decision", "approve"),
    ]


def test_buttons_are_those_that_submit(page: Page) -> None:
    first, second = page.forms
    assert [(button.value, button.text, button.action) for button in first.buttons] == [
        ("approve", "Approve", None),
        ("refuse", "Refuse", "https://localhost/refusals"),
    ]
    assert [button.text for button in second.buttons] == ["Search"]
    assert page.form_with_button("script") is None


def test_forms_are_found_by_what_is_on_them(page: Page) -> None:
    first, second = page.forms
    assert page.form_to("/search") is second
    assert page.form_to("/revocation") is None
    assert first.password_field is not None
    assert first.text_field is not None
    assert first.text_field.name == "who"
    assert second.password_field is None


def test_a_field_that_is_not_there_cannot_be_filled(page: Page) -> None:
    with pytest.raises(KeyError, match="amount"):
        page.forms[0].filled({"amount": "1"}, None)


def test_what_is_not_well_formed_gives_what_can_be_made_out() -> None:
    page = read("<form action=/x><input name=a value=1><button>go<p>more", url=URL)
    assert page.forms[0].filled({}, page.forms[0].buttons[0]) == [("a", "1")]
    assert read("", url=URL).forms == []
