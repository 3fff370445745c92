"""What the pages show, as values. Names and codes are raw: the templates escape them. Paths are the caller's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from gateway.core.lifecycle import OPEN_CONSENT
from gateway.core.model import Consent, ConsentStatus
from gateway.pages.languages import Language


class Problem(StrEnum):
    """Why there is no page to show. Stable: logged, and shown for people to quote."""

    BAD_REQUEST = "bad_request"
    NOT_FOUND = "not_found"
    NOT_YOURS = "not_yours"  # signed in as somebody else than the consent's data owner
    REQUEST_GONE = "request_gone"  # decided, or too late
    LOGIN_FAILED = "login_failed"
    FORM_STALE = "form_stale"  # csrf token of another session, or none
    TOO_MANY = "too_many"
    UNAVAILABLE = "unavailable"


class RevocationChoice(StrEnum):
    """What an owner may say about why (`reason` of the form): codes of `schemas/codelists/revocation-reason`."""

    CUSTOMER_REQUEST = "CUSTOMER_REQUEST"
    PURPOSE_FULFILLED = "PURPOSE_FULFILLED"
    APPLICATION_WITHDRAWN = "APPLICATION_WITHDRAWN"
    RELATIONSHIP_ENDED = "RELATIONSHIP_ENDED"
    FRAUD_SUSPECTED = "FRAUD_SUSPECTED"
    OTHER = "OTHER"


class Decision(StrEnum):
    """`decision` of the form: the button that was pressed."""

    APPROVE = "approve"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where the links of every page lead."""

    consents: str = "/consents"
    auth_code: str = "/auth-code"
    sign_out: str = "/logout"  # POST


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What every page needs. `path`: this page's, with its query, for the language switch; None for a page that is the
    answer to a POST and cannot be asked for again. `owner_name`, `csrf`: of who is signed in."""

    language: Language
    path: str | None = None
    owner_name: str | None = field(default=None, repr=False)
    csrf: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionForm:
    """`decide_by`: Unix seconds; the request is gone after that."""

    action: str
    decide_by: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentView:
    """A consent as its owner sees it. Without `revoke_action` it has no form, without `receipt_href` no receipt."""

    consent_id: str
    consumer_name: str
    provider_name: str
    document_type: str
    purpose: str
    status: ConsentStatus
    created_at: int
    expire_time: int
    max_uses: int
    used: int
    one_document: bool = False  # named by its reference (`udr`), not any of its kind
    start_date: date | None = None
    end_date: date | None = None
    reject_code: str | None = None
    href: str | None = None
    revoke_action: str | None = None
    receipt_href: str | None = None

    @classmethod
    def of(
        cls,
        consent: Consent,
        *,
        now: float,
        href: str | None = None,
        revoke_action: str | None = None,
        receipt_href: str | None = None,
    ) -> ConsentView:
        """The view of a consent at `now`. One whose time is over is shown as expired, swept or not. What has ended
        cannot be revoked any more: its `revoke_action` is left out."""
        over = consent.status in OPEN_CONSENT and consent.expire_time <= now
        scope = consent.scope
        return cls(
            consent_id=consent.consent_id,
            consumer_name=consent.consumer_name,
            provider_name=consent.provider_name,
            document_type=scope.document_type,
            purpose=consent.purpose,
            status=ConsentStatus.EXPIRED if over else consent.status,
            created_at=consent.created_at,
            expire_time=consent.expire_time,
            max_uses=consent.max_uses,
            used=consent.used,
            one_document=scope.udr is not None,
            start_date=_date(scope.start_date),
            end_date=_date(scope.end_date),
            reject_code=consent.reject_code,
            href=href,
            revoke_action=revoke_action if consent.status in OPEN_CONSENT and not over else None,
            receipt_href=receipt_href,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    """A source for which an Auth Code can be had, and its kinds of document."""

    source_id: str
    name: str
    document_types: tuple[str, ...]

    def choice(self, document_type: str) -> str:
        """`choice` of the form: split it at its first slash."""
        return f"{self.source_id}/{document_type}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthCodeView:
    """An Auth Code, shown once."""

    code: str = field(repr=False)
    provider_name: str
    document_type: str
    expires_at: float


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
