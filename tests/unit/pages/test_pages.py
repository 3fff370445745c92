from __future__ import annotations

import dataclasses
from collections import Counter
from html.parser import HTMLParser

import pytest

from gateway.core.model import ConsentStatus
from gateway.pages.languages import Language
from gateway.pages.pages import Pages
from gateway.pages.views import DecisionForm, Problem, SourceView
from schemas import codelist
from tests import owner_pages

SHOWN = owner_pages.pages()
EVERY = [
    pytest.param(html, language, id=f"{name}-{language.value}")
    for language in Language
    for name, html in owner_pages.every(SHOWN, language)
]
FORM = DecisionForm(action="/decide", decide_by=owner_pages.NOW + 300)
HOSTILE = "<script>alert(1)</script>\"' onmouseover=x {{ 7*7 }} \u202eקנב 惡意"


class Reader(HTMLParser):
    """Elements with their attributes, and the text that is read."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.forms: list[list[dict[str, str]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        if tag == "form":
            self.forms.append([attributes])
        elif tag in {"input", "button", "select"} and self.forms:
            self.forms[-1].append(attributes)

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.mark.parametrize(("html", "language"), EVERY)
def test_a_page_has_one_main_heading_landmarks_and_its_language(html: str, language: Language) -> None:
    page = Reader(html)
    counted = Counter(tag for tag, _ in page.elements)
    assert [counted[tag] for tag in ("h1", "main", "header", "footer", "title")] == [1] * 5
    assert page.named("html") == [{"lang": language.tag}]
    assert page.named("a")[0]["href"] == "#main"
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    referred = {
        ref
        for _, a in page.elements
        for ref in (a.get("aria-labelledby", "") + " " + a.get("aria-describedby", "")).split()
    }
    assert referred <= set(ids)


@pytest.mark.parametrize(("html", "language"), EVERY)
def test_a_page_has_no_script_no_inline_style_and_loads_one_stylesheet(html: str, language: Language) -> None:
    page = Reader(html)
    assert not {"script", "style", "iframe", "object", "img", "base"} & {tag for tag, _ in page.elements}
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in names if name.startswith("on") or name in {"style", "src", "srcdoc"}]
    assert [link["href"] for link in page.named("link")] == [SHOWN.stylesheet.path]
    assert all(a["href"].startswith(("/", "#")) for a in page.named("a"))


@pytest.mark.parametrize(("html", "language"), EVERY)
def test_every_form_is_posted_with_the_csrf_token(html: str, language: Language) -> None:
    for form, *fields in Reader(html).forms:
        assert form["method"] == "post"
        assert [field["value"] for field in fields if field.get("name") == "csrf"] == [owner_pages.CSRF]


def test_the_owner_sees_who_asks_for_what_from_whom_why_until_when_and_how_often() -> None:
    consent = owner_pages.view(of={"status": ConsentStatus.SUBMITTED})
    english = Reader(SHOWN.ask(owner_pages.frame(), consent, FORM)).text
    chinese = Reader(SHOWN.ask(owner_pages.frame(Language.ZH_HANT), consent, FORM)).text
    for text in (english, chinese):
        assert consent.consumer_name in text
        assert consent.provider_name in text
    for fact in ("Corporate credit report", "small or medium-sized enterprise", "15 April 2027", "Up to 3 times"):
        assert fact in english
    for fact in ("企業信貸報告", "中小企業貸款審批", "2027年4月15日", "最多3次"):
        assert fact in chinese
    assert "does not cross the boundary" in english
    assert "revoke your consent at any time" in english
    assert "15 January 2027, 16:05 (Hong Kong time)" in english


def test_approving_and_refusing_are_two_buttons_of_one_form() -> None:
    for page in (SHOWN.ask, SHOWN.already):
        form, *fields = Reader(page(owner_pages.frame(), owner_pages.view(), FORM)).forms[-1]
        assert form["action"] == "/decide"
        assert [field["value"] for field in fields if field.get("name") == "decision"] == ["approve", "refuse"]


def test_a_decision_has_no_links_that_lead_away_but_the_language() -> None:
    page = Reader(SHOWN.ask(owner_pages.frame(), owner_pages.view(), FORM))
    assert [a["href"] for a in page.named("a")] == ["#main", "/consents?lang=zh-Hant"]


@pytest.mark.parametrize("language", Language)
def test_a_hostile_name_stays_text(language: Language) -> None:
    consent = dataclasses.replace(
        owner_pages.view(),
        consumer_name=HOSTILE,
        provider_name=HOSTILE,
        document_type=HOSTILE,
        purpose=HOSTILE,
        consent_id=HOSTILE,
        href="/consents/1",
        receipt_href='/x"onclick="y',
    )
    frame = owner_pages.frame(language, owner_name=HOSTILE, path='/consents"><script>?a="><script>')
    sources = [SourceView(source_id=HOSTILE, name=HOSTILE, document_types=(HOSTILE,))]
    code = dataclasses.replace(owner_pages.CODE, provider_name=HOSTILE, document_type=HOSTILE)
    hostile = owner_pages.pages(deployment=HOSTILE)
    for html in (
        hostile.ask(frame, consent, FORM),
        hostile.already(frame, consent, FORM),
        hostile.consent(frame, dataclasses.replace(consent, reject_code=HOSTILE)),
        hostile.consents(frame, [consent], next_href='/"><script>'),
        hostile.consent(frame, consent, revoked=True),
        hostile.auth_code_form(frame, sources, action='"><script>', not_chosen=True),
        hostile.auth_code(frame, code),
        hostile.sign_in(frame, href='"><script>'),
        hostile.problem(frame, Problem.NOT_FOUND, reference=HOSTILE),
    ):
        page = Reader(html)
        names = {name for _, attributes in page.elements for name in attributes}
        assert "<script" not in html
        assert not [name for name in names if name.startswith("on")]
        assert "49" not in page.text


def test_what_can_be_revoked_has_a_form_with_a_reason_chosen() -> None:
    page = Reader(SHOWN.consent(owner_pages.frame(), owner_pages.view()))
    form, *fields = page.forms[-1]
    assert form["action"] == "/consents/1/revocation"
    reasons = [field for field in fields if field.get("name") == "reason"]
    assert {reason["value"] for reason in reasons} <= codelist("revocation-reason").keys()
    assert ["checked" in reason for reason in reasons] == [True] + [False] * (len(reasons) - 1)


def test_what_has_ended_has_no_form_and_says_what_it_is() -> None:
    page = Reader(
        SHOWN.consent(owner_pages.frame(), owner_pages.view(of={"status": ConsentStatus.REVOKED}), revoked=True)
    )
    assert [form["action"] for form, *_ in page.forms] == ["/logout"]
    assert "You have revoked this consent" in page.text
    assert "Revoked" in page.text


def test_the_list_leads_to_each_consent_and_on() -> None:
    views = [owner_pages.view(href=f"/consents/{number}") for number in range(3)]
    page = Reader(SHOWN.consents(owner_pages.frame(), views, next_href="/consents?after=3"))
    hrefs = [a["href"] for a in page.named("a")]
    assert [href for href in hrefs if href.startswith("/consents/")] == [f"/consents/{number}" for number in range(3)]
    assert "/consents?after=3" in hrefs
    assert "1 of 3" in page.text


def test_a_wrong_choice_is_said_at_the_top_at_the_field_and_in_the_title() -> None:
    html = SHOWN.auth_code_form(owner_pages.frame(), owner_pages.SOURCES, action="/auth-code", not_chosen=True)
    page = Reader(html)
    assert "<title>Error: " in html
    assert "#choice" in [a["href"] for a in page.named("a")]
    assert page.named("select")[0]["aria-invalid"] == "true"
    assert "choice-mistake" in page.named("select")[0]["aria-describedby"]


def test_a_code_is_shown_whole_and_for_the_ear() -> None:
    text = Reader(SHOWN.auth_code(owner_pages.frame(path=None), owner_pages.CODE)).text
    assert "7KQMX4RTWC" in text
    assert "7 K Q M X 4 R T W C" in text


def test_a_page_that_cannot_be_asked_for_again_offers_no_other_language() -> None:
    assert "hreflang" not in SHOWN.auth_code(owner_pages.frame(path=None), owner_pages.CODE)


@pytest.mark.parametrize("problem", Problem)
def test_a_problem_has_its_code_and_a_reference_to_quote(problem: Problem) -> None:
    text = Reader(SHOWN.problem(owner_pages.stranger(), problem, reference="0197a3c2")).text
    assert problem.value in text
    assert "0197a3c2" in text


def test_a_page_with_a_form_needs_a_csrf_token() -> None:
    frame = owner_pages.frame(csrf=None, owner_name=None)
    with pytest.raises(ValueError, match="csrf"):
        SHOWN.ask(frame, owner_pages.view(), FORM)
    with pytest.raises(ValueError, match="csrf"):
        SHOWN.consent(frame, owner_pages.view())
    with pytest.raises(ValueError, match="csrf"):
        SHOWN.auth_code_form(frame, owner_pages.SOURCES, action="/auth-code")
    with pytest.raises(ValueError, match="csrf"):
        SHOWN.signed_out(owner_pages.frame(csrf=""), href="/login")


def test_titles_are_complete_before_the_first_page() -> None:
    with pytest.raises(ValueError, match="no titles of the code list purpose"):
        Pages(deployment="A", titles={"document-type": codelist("document-type")})
    with pytest.raises(ValueError, match="no title in zh-Hant"):
        owner_pages.pages(titles={"document-type": {"OTHER": {"en": "Other"}}})


def test_a_code_without_a_title_is_shown_as_it_is() -> None:
    consent = dataclasses.replace(owner_pages.view(), purpose="BRAND_NEW_PURPOSE")
    assert "BRAND_NEW_PURPOSE" in SHOWN.consent(owner_pages.frame(), consent)
