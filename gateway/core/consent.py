"""Does a live consent cover this request, now? The one answer is a `Consented`, without which nothing is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.core.canonical import canonical_sha256
from gateway.core.lifecycle import CONSENT, step
from gateway.core.model import Approval, Consent, ConsentStatus, DataScope, Document, Exchange, Participant, Role
from gateway.errors import (
    ConsentConsumed,
    ConsentExpired,
    ConsentNotFound,
    ConsentPending,
    ConsentPurposeMismatch,
    ConsentRevoked,
    ConsentScopeExceeded,
    DirectionNotPermitted,
    GatewayError,
)

# CDI's reject codes (`schemas/codelists`): why a submitted consent was refused at once.
INVALID_EXPIRE_TIME = "ConsentRejectReasonInvalidExpireTime"
INVALID_SCOPE = "ConsentRejectReasonInvalidScope"
INVALID_PURPOSE = "ConsentRejectReasonInvalidPurpose"
INVALID_HASH_KEY = "ConsentRejectReasonInvalidHashKey"
INVALID_SIGNATURE = "ConsentRejectReasonInvalidSignature"  # a wrong Auth Code, which stands for the owner's signature
OTHERS = "ConsentRejectReasonOthers"  # the owner said no


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRequest:
    """What the bank asks, mapped from CDI's message."""

    consent_id: str
    scope: DataScope
    purpose: str
    document: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a token says about one consent (RFC 9396 `cdi_consent`). None: the token does not say.

    `approves`: its issuer speaks for data owners, so that its first token makes a submitted consent valid.
    """

    consent_id: str
    provider_id: str | None = None
    document_type: str | None = None
    purpose: str | None = None
    expire_time: int | None = None
    approves: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Consented:
    """Proof that a live consent covered this document, source and purpose at `checked_at`."""

    consent: Consent
    scope: DataScope
    document: Document
    checked_at: int


def hash_key(private: Mapping[str, Any]) -> str:
    """CDI `hashKey`: hex SHA-256 over RFC 8785 of `private` with its `secret`. Our choice: CDI says nothing."""
    return canonical_sha256(private)


def rejection(consent: Consent, consumer: Participant, provider: Participant, *, now: int) -> str | None:
    """Why the gateway refuses a submitted consent at once (CDI reject code), or None."""
    document_type = consent.scope.document_type
    if consent.expire_time <= now:
        return INVALID_EXPIRE_TIME
    if provider.role is not Role.SOURCE or document_type not in provider.document_types:
        return INVALID_SCOPE
    if document_type not in consumer.document_types:
        return INVALID_SCOPE
    if consent.purpose not in consumer.purposes:
        return INVALID_PURPOSE
    return None


def approval(consent: Consent, grant: Grant) -> bool:
    """Whether this grant makes the submitted consent valid: from an approving issuer, and exactly about it."""
    return (
        grant.approves
        and grant.consent_id == consent.consent_id
        and grant.provider_id == consent.provider_id
        and grant.document_type == consent.scope.document_type
        and grant.purpose == consent.purpose
        and grant.expire_time == consent.expire_time
    )


def approved(consent: Consent, approval: Approval, *, now: int) -> Consent:
    """The submitted consent after its owner said yes. Raises StateConflict, and ConsentExpired when it is too late."""
    if consent.expire_time <= now:
        raise ConsentExpired()
    status = step(CONSENT, consent.status, ConsentStatus.VALID)
    return replace(consent, status=status, approval=approval, updated_at=now)


def declined(consent: Consent, *, now: int) -> Consent:
    """The submitted consent after its owner said no. Raises StateConflict."""
    status = step(CONSENT, consent.status, ConsentStatus.REJECTED)
    return replace(consent, status=status, reject_code=OTHERS, updated_at=now)


def revoked(consent: Consent, *, now: int) -> Consent:
    """The consent after it was taken back. Raises StateConflict when it has ended before."""
    return replace(consent, status=step(CONSENT, consent.status, ConsentStatus.REVOKED), updated_at=now)


def refusal(consent: Consent, *, now: int) -> GatewayError | None:
    """Why this consent permits nothing now, or None when it is live. Uses are not looked at."""
    if consent.status is ConsentStatus.SUBMITTED:
        return ConsentPending()
    if consent.status is ConsentStatus.CONSUMED:
        return ConsentConsumed()
    if consent.status is ConsentStatus.EXPIRED:
        return ConsentExpired()
    if consent.status in {ConsentStatus.REVOKED, ConsentStatus.REJECTED}:
        return ConsentRevoked()
    if consent.expire_time <= now:
        return ConsentExpired()
    return None


def check(consent: Consent | None, grant: Grant, request: DataRequest, consumer: Participant, *, now: int) -> Consented:
    """The consent covers this request, or the refusal that says why not.

    Another bank's consent does not exist for this one. A free use is reserved by the store, in the
    same transaction as this check.
    """
    if consent is None or consent.consumer_id != consumer.participant_id:
        raise ConsentNotFound()
    if grant.consent_id != consent.consent_id:
        raise ConsentScopeExceeded("The access token was issued for another consent")
    live = refusal(consent, now=now)
    if live is not None:
        raise live
    _covers(consent, request, grant)
    if request.scope.document_type not in consumer.document_types:
        raise DirectionNotPermitted("The participant may not ask for this document type")
    if consent.used + consent.reserved >= consent.max_uses:
        raise ConsentConsumed()
    return Consented(consent=consent, scope=request.scope, document=request.document, checked_at=now)


def recheck(consent: Consent | None, exchange: Exchange, *, now: int) -> Consented:
    """The consent of an accepted exchange is still live: before every question, and before the answer leaves.

    Its use is reserved, so a consent that others consumed in the meantime still covers it.
    """
    if consent is None:
        raise ConsentNotFound()
    live = refusal(consent, now=now)
    if live is not None and not (consent.status is ConsentStatus.CONSUMED and consent.expire_time > now):
        raise live
    return Consented(consent=consent, scope=exchange.scope, document=exchange.document, checked_at=now)


def _covers(consent: Consent, request: DataRequest, grant: Grant) -> None:
    scope, granted = request.scope, consent.scope
    if request.purpose != consent.purpose or grant.purpose not in {None, consent.purpose}:
        raise ConsentPurposeMismatch()
    if request.document.issuer_id != consent.provider_id:
        raise ConsentScopeExceeded("The consent names another source")
    if scope.document_type != granted.document_type or scope.scope_type != granted.scope_type:
        raise ConsentScopeExceeded("The consent names another document type or scope type")
    if grant.provider_id not in {None, consent.provider_id} or grant.document_type not in {
        None,
        granted.document_type,
    }:
        raise ConsentScopeExceeded("The access token was issued for another scope")
    if granted.udr is not None and scope.udr != granted.udr:
        raise ConsentScopeExceeded("The consent names another document reference")
    if granted.start_date is not None and granted.end_date is not None:
        # ISO 8601 calendar dates compare as text; a request may be narrower, never wider.
        if scope.start_date is None or scope.end_date is None:
            raise ConsentScopeExceeded("The consent is limited to a period")
        if scope.start_date < granted.start_date or scope.end_date > granted.end_date:
            raise ConsentScopeExceeded("The period goes beyond the consent")
