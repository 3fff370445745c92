"""Authorization details (RFC 9396) of the one type that is served: `cdi_consent`."""

from __future__ import annotations

import uuid
from typing import Any

from gateway.core.ijson import parse
from gateway.core.model import Consent
from gateway.errors import SchemaInvalid
from gateway.oauth.access_token import CONSENT_DETAIL_TYPE
from gateway.oauth.refusal import OAuthRefusal

_UUID_CHARACTERS = 36


def consent_id(authorization_details: str) -> str:
    """The consent of a request's details: exactly one, by its id alone; all else is the consent's own to say.

    Raises OAuthRefusal `invalid_authorization_details` (§5).
    """
    try:
        value = parse(authorization_details.encode())
    except (SchemaInvalid, UnicodeEncodeError) as error:
        raise _refused("details_json") from error
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
        raise _refused("details_shape")
    detail = value[0]
    if detail.get("type") != CONSENT_DETAIL_TYPE:
        raise _refused("details_type")
    if detail.keys() != {"type", "consentId"}:
        raise _refused("details_members")
    return _uuid(detail["consentId"])


def enriched(consent: Consent) -> dict[str, Any]:
    """What a token and its answer say about the consent (§7)."""
    return {
        "type": CONSENT_DETAIL_TYPE,
        "consentId": consent.consent_id,
        "dataProviderId": consent.provider_id,
        "documentType": consent.scope.document_type,
        "purpose": consent.purpose,
        "expireTime": consent.expire_time,
    }


def _uuid(value: Any) -> str:
    if not isinstance(value, str) or len(value) != _UUID_CHARACTERS:
        raise _refused("details_consent_id")
    try:
        found = str(uuid.UUID(value))
    except ValueError as error:
        raise _refused("details_consent_id") from error
    if found != value.lower():  # Python also reads braces, URNs and hyphens in other places
        raise _refused("details_consent_id")
    return found


def _refused(reason: str) -> OAuthRefusal:
    return OAuthRefusal(
        "invalid_authorization_details",
        'authorization_details must be [{"type": "cdi_consent", "consentId": "<uuid>"}]',
        reason=reason,
    )
