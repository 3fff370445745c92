"""What a believed token permits: its scopes, its consent, and whose hands it may be in.

Checked on every request, whether or not the token itself came from a cache.
"""

from __future__ import annotations

import hmac

from gateway.core.consent import Grant
from gateway.core.model import Certificate, Participant
from gateway.errors import ScopeInsufficient, TokenNotBound
from gateway.oauth.access_token import AccessToken

CONSENTS = "cdi:consents"  # create, read, revoke own consents
DATA_REQUESTS = "cdi:data-requests"  # create data requests under a consent, and all of DATA_REQUESTS_READ
DATA_REQUESTS_READ = "cdi:data-requests:read"  # read, acknowledge, cancel own data requests
NOTICES = "cdi:notices"
EVIDENCE = "cdi:evidence"  # register and follow evidence
GRANT_QUERY = "grant_management_query"  # FAPI Grant Management §6.1
GRANT_REVOKE = "grant_management_revoke"

MACHINE = (CONSENTS, DATA_REQUESTS_READ, NOTICES, EVIDENCE, GRANT_QUERY, GRANT_REVOKE)
"""What a client may have by itself."""
CONSENT = (DATA_REQUESTS,)
"""What needs a data owner."""


def require(token: AccessToken, *any_of: str) -> None:
    """The token has one of these scopes. Raises ScopeInsufficient, with the wanted scopes in WWW-Authenticate."""
    if token.scopes.isdisjoint(any_of):
        # RFC 6750 §3.1, in the token's own scheme (RFC 9449 §7.1).
        scheme = "Bearer" if token.jkt is None else "DPoP"
        challenge = f'{scheme} error="insufficient_scope", scope="{" ".join(any_of)}"'
        raise ScopeInsufficient(headers={"WWW-Authenticate": challenge})


def bound(
    token: AccessToken, certificate: Certificate, participant: Participant, proven_jkt: str | None = None
) -> None:
    """The token is in the hands that it was issued to. Raises TokenNotBound.

    The certificate of this connection is the one that the token names (RFC 8705 §3), or the key of the DPoP proof is
    (`proven_jkt`, RFC 9449 §7.1); and its client is one of this participant's: an issuer that binds one bank's token to
    another bank's certificate must not mix the two.
    """
    expected = token.thumbprint if token.jkt is None else token.jkt
    shown = certificate.thumbprint if token.jkt is None else proven_jkt
    if expected is None or shown is None or not hmac.compare_digest(expected, shown):
        raise TokenNotBound(private="certificate" if token.jkt is None else "dpop_key")
    if token.client_id not in participant.clients:
        raise TokenNotBound(private="client")


def grant_for(token: AccessToken, consent_id: str) -> Grant | None:
    """What the token says about this consent, if anything."""
    return next((grant for grant in token.grants if grant.consent_id == consent_id), None)
