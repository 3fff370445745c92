from __future__ import annotations

from datetime import date

import pytest

from gateway.core.model import ConsentStatus, DataScope
from gateway.pages.views import AuthCodeView, ConsentView, Frame
from tests import owner_pages

NOW = owner_pages.NOW


@pytest.mark.parametrize("status", [ConsentStatus.SUBMITTED, ConsentStatus.VALID])
def test_a_consent_whose_time_is_over_is_shown_as_expired_and_cannot_be_revoked(status: ConsentStatus) -> None:
    shown = owner_pages.view(of={"status": status, "expire_time": NOW})
    assert shown.status is ConsentStatus.EXPIRED
    assert shown.revoke_action is None


@pytest.mark.parametrize("status", ConsentStatus)
def test_what_is_open_can_be_revoked_and_nothing_else(status: ConsentStatus) -> None:
    shown = owner_pages.view(of={"status": status})
    assert shown.status is status
    assert (shown.revoke_action is not None) == (status in {ConsentStatus.SUBMITTED, ConsentStatus.VALID})


def test_a_view_has_the_consents_facts_and_none_of_its_secrets() -> None:
    scope = DataScope(
        scope_type="DataScopeTypeDateRange",
        document_type="BANK_STATEMENT",
        udr="a-secret-voucher",
        start_date="2026-01-01",
        end_date="2026-06-30",
    )
    consent = owner_pages.consent(scope=scope)
    shown = ConsentView.of(consent, now=NOW)
    assert (shown.start_date, shown.end_date) == (date(2026, 1, 1), date(2026, 6, 30))
    assert shown.one_document
    assert not [value for value in ("a-secret-voucher", consent.subject, consent.hash_key) if value in repr(shown)]


def test_secrets_and_names_of_people_are_in_no_repr() -> None:
    frame = owner_pages.frame()
    code = AuthCodeView(code="7KQMX4RTWC", provider_name="A", document_type="B", expires_at=NOW)
    shown = repr((frame, code))
    assert isinstance(frame, Frame)
    assert not [value for value in (owner_pages.OWNER, owner_pages.CSRF, code.code) if value in shown]


def test_a_choice_names_source_and_document() -> None:
    assert owner_pages.SOURCES[1].choice("TRADE_DECLARATION").split("/", 1) == ["SZCUSTOMS1DP", "TRADE_DECLARATION"]
