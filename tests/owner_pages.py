"""Every page of the data owner once, with plausible content: for unit tests and for the browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.core.model import Consent, ConsentStatus, DataScope
from gateway.pages.languages import Language
from gateway.pages.pages import CODE_LISTS, Pages
from gateway.pages.views import (
    AuthCodeView,
    ConsentView,
    DecisionForm,
    Frame,
    Problem,
    SourceView,
)
from schemas import codelist
from tests import samples

NOW = samples.NOW
CSRF = "csrf-token-of-this-session"
DEPLOYMENT = "Harbour Document Verification"
OWNER = "Data Owner 7 資料擁有人"
SOURCES = (
    SourceView(
        source_id="SZCREDIT01DP",
        name="Shenzhen Credit Service Co., Ltd. 深圳徵信服務有限公司",
        document_types=("CORPORATE_CREDIT_REPORT", "PERSONAL_CREDIT_REPORT"),
    ),
    SourceView(source_id="SZCUSTOMS1DP", name="Shenzhen Customs Data", document_types=("TRADE_DECLARATION",)),
)
CODE = AuthCodeView(
    code="7KQMX4RTWC",
    provider_name=SOURCES[0].name,
    document_type="CORPORATE_CREDIT_REPORT",
    expires_at=NOW + 600,
)


def pages(**changes: Any) -> Pages:
    titles = {name: codelist(name) for name in CODE_LISTS}
    return Pages(**({"deployment": DEPLOYMENT, "titles": titles} | changes))


def frame(language: Language = Language.EN, **changes: Any) -> Frame:
    """Of an owner who is signed in."""
    return Frame(**({"language": language, "path": "/consents", "owner_name": OWNER, "csrf": CSRF} | changes))


def stranger(language: Language = Language.EN) -> Frame:
    """Of somebody who is not."""
    return Frame(language=language, path="/login")


def view(*, of: Mapping[str, Any] | None = None, **changes: Any) -> ConsentView:
    """`of`: changes to the consent itself."""
    values: dict[str, Any] = {"now": NOW, "href": "/consents/1", "revoke_action": "/consents/1/revocation"}
    return ConsentView.of(consent(**(of or {})), **(values | changes))


def consent(**changes: Any) -> Consent:
    values: dict[str, Any] = {
        "consent_id": "0197a3c2-8f14-7d20-9b1e-5a7c3f0d2e61",
        "consumer_name": "Bank of the Harbour (Hong Kong) Limited 海港銀行",
        "provider_name": SOURCES[0].name,
        "max_uses": 3,
        "used": 1,
        "expire_time": NOW + 86_400 * 90,
    }
    return samples.consent(**(values | changes))


def every(shown: Pages, language: Language) -> Iterator[tuple[str, str]]:
    """Name and HTML of each page, and of each state that looks different."""
    mine, form = frame(language), DecisionForm(action="/oauth/authorize/decision", decide_by=NOW + 300)
    dated = DataScope(
        scope_type="DataScopeTypeDateRange",
        document_type="BANK_STATEMENT",
        udr="sealed",
        start_date="2026-01-01",
        end_date="2026-06-30",
    )
    submitted = view(of={"status": ConsentStatus.SUBMITTED, "used": 0})
    yield "ask", shown.ask(mine, submitted, form)
    yield "ask-once", shown.ask(mine, view(of={"max_uses": 1, "scope": dated}), form)
    yield "already", shown.already(mine, view(), form)
    rejected = {"status": ConsentStatus.REJECTED, "reject_code": "ConsentRejectReasonInvalidScope"}
    each = [view(of={"status": status}) for status in ConsentStatus]
    yield "consents", shown.consents(mine, each, next_href="/consents?after=7", newest_href="/consents")
    yield "consents-none", shown.consents(mine, [])
    yield "consents-no-more", shown.consents(mine, [], newest_href="/consents")
    yield "consent", shown.consent(mine, view(of={"scope": dated}, receipt_href="/consents/1/receipt"))
    yield "consent-revoked", shown.consent(mine, view(of={"status": ConsentStatus.REVOKED}), revoked=True)
    yield "consent-rejected", shown.consent(mine, view(of=rejected))
    yield "auth-code-form", shown.auth_code_form(mine, SOURCES, action="/auth-code")
    yield "auth-code-form-wrong", shown.auth_code_form(mine, SOURCES, action="/auth-code", not_chosen=True)
    yield "auth-code-form-none", shown.auth_code_form(mine, [], action="/auth-code")
    yield "auth-code", shown.auth_code(frame(language, path=None), CODE)
    yield "sign-in", shown.sign_in(stranger(language), href="/login/start")
    yield "signed-out", shown.signed_out(stranger(language), href="/login")
    for problem in Problem:
        yield f"problem-{problem.value}", shown.problem(mine, problem, href="/consents", reference="an-interaction-id")
    yield "problem-stranger", shown.problem(stranger(language), Problem.NOT_FOUND)
