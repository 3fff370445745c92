"""Making access tokens: claims, signature, and the record that must be durable before one is handed out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.audit.record import Record
from gateway.authorization import records
from gateway.authorization.presented import Authenticated
from gateway.core.model import Consent
from gateway.exchange.identifiers import new_id
from gateway.oauth import details
from gateway.oauth.grant import OAuthGrant
from gateway.oauth.issuing import Confirmation, access_token_claims, pairwise, token_answer
from gateway.ports import Signer

TOKEN_TYPE = "at+jwt"  # noqa: S105  a media type (RFC 9068 §2.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Minted:
    """A token that nobody has yet."""

    caller: Authenticated
    token: str = field(repr=False)
    token_id: str
    scopes: Sequence[str]
    life_seconds: int
    confirmation: Confirmation
    grant: OAuthGrant | None = None
    consent: Consent | None = None
    authorization_details: Sequence[dict[str, Any]] = ()

    def record(self, grant_type: str) -> Record:
        return records.issued(
            self.caller,
            token_id=self.token_id,
            grant_type=grant_type,
            scope=" ".join(self.scopes),
            binding="dpop" if self.confirmation.jkt is not None else "mtls",
            grant_id=self.grant.grant_id if self.grant is not None else None,
            consent=self.consent,
        )

    def answer(self) -> dict[str, Any]:
        return token_answer(
            access_token=self.token,
            confirmation=self.confirmation,
            expires_in=self.life_seconds,
            scopes=self.scopes,
            grant_id=self.grant.grant_id if self.grant is not None else None,
            authorization_details=self.authorization_details,
        )


class Mint:
    """`pairwise_key`: of the pseudonyms. `signer`: its key is published."""

    def __init__(self, *, issuer: str, resource: str, signer: Signer, pairwise_key: bytes, life_seconds: int) -> None:
        self._issuer = issuer
        self._resource = resource
        self._signer = signer
        self._pairwise_key = pairwise_key
        self._life_seconds = life_seconds

    def for_client(self, caller: Authenticated, confirmation: Confirmation, *, scopes: Sequence[str]) -> Minted:
        """No data owner takes part: `sub` is the client (RFC 9068 §2.2)."""
        return self._minted(caller, confirmation, scopes, subject=caller.client.client_id)

    def for_grant(
        self,
        caller: Authenticated,
        grant: OAuthGrant,
        consent: Consent,
        confirmation: Confirmation,
        *,
        scopes: Sequence[str],
    ) -> Minted:
        subject = pairwise(self._pairwise_key, grant.client_id, grant.subject)
        return self._minted(caller, confirmation, scopes, subject=subject, grant=grant, consent=consent)

    def _minted(
        self,
        caller: Authenticated,
        confirmation: Confirmation,
        scopes: Sequence[str],
        *,
        subject: str,
        grant: OAuthGrant | None = None,
        consent: Consent | None = None,
    ) -> Minted:
        token_id = new_id(caller.now)
        granted = (details.enriched(consent),) if consent is not None else ()
        claims = access_token_claims(
            issuer=self._issuer,
            resource=self._resource,
            subject=subject,
            client_id=caller.client.client_id,
            scopes=scopes,
            token_id=token_id,
            now=int(caller.now),
            life_seconds=self._life_seconds,
            confirmation=confirmation,
            grant=grant,
            authorization_details=granted,
        )
        return Minted(
            caller=caller,
            token=self._signer.sign_jws({"typ": TOKEN_TYPE}, orjson.dumps(claims)),
            token_id=token_id,
            scopes=scopes,
            life_seconds=self._life_seconds,
            confirmation=confirmation,
            grant=grant,
            consent=consent,
            authorization_details=granted,
        )
