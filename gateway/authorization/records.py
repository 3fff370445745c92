"""The audit records of the authorization server: what was issued, refused, revoked, and by whom."""

from __future__ import annotations

from gateway.audit.record import Record
from gateway.authorization.presented import Authenticated
from gateway.core.model import Consent, Participant
from gateway.errors import AuditUnavailable
from gateway.exchange.owned import OWNER
from gateway.exchange.recording import actor, record
from gateway.oauth.client import Client
from gateway.oauth.refusal import OAuthRefusal
from gateway.ports import AuditLog


def issued(
    caller: Authenticated,
    *,
    token_id: str,
    grant_type: str,
    scope: str,
    binding: str,
    grant_id: str | None = None,
    consent: Consent | None = None,
) -> Record:
    """An access token is about to be handed out. `binding`: how it is bound, not to what."""
    facts: dict[str, str | int] = {"token": token_id, "grantType": grant_type, "scope": scope, "binding": binding}
    if grant_id is not None:
        facts["grant"] = grant_id
    return record(
        caller.now,
        "token.issued",
        actor=caller.actor,
        interaction=caller.interaction,
        consent=consent,
        facts=facts,
    )


def revoked(caller: Authenticated, *, reason: str, facts: dict[str, str | int]) -> Record:
    """A grant or a token ends by its client's wish, or because its code came twice."""
    return record(
        caller.now, "token.revoked", actor=caller.actor, interaction=caller.interaction, reason=reason, facts=facts
    )


async def refusing(audit: AuditLog, caller: Authenticated, refused: OAuthRefusal, endpoint: str) -> None:
    """An authenticated client was refused: on record before it is told. Raises AuditUnavailable."""
    await audit.append(
        [
            record(
                caller.now,
                "token.refused",
                actor=caller.actor,
                interaction=caller.interaction,
                reason=refused.reason.upper(),
                facts={"error": refused.code, "endpoint": endpoint},
            )
        ]
    )


def turned_away(
    now: float,
    client: Client,
    participant: Participant,
    *,
    error: str,
    reason: str,
    consent: Consent | None = None,
    interaction: str | None = None,
) -> Record:
    """A browser goes back to the client without a code. `reason`: a code."""
    return record(
        now,
        "token.refused",
        actor=actor(participant, client=client.client_id),
        interaction=interaction,
        consent=consent,
        reason=reason,
        facts={"error": error, "endpoint": "authorize"},
    )


def continued(now: float, consent: Consent, *, client_id: str, grant_id: str, interaction: str) -> Record:
    """The owner lets a client go on with a consent that is valid already."""
    return record(
        now,
        "consent.continued",
        actor=OWNER,
        counterparty=consent.consumer_id,
        interaction=interaction,
        consent=consent,
        facts={"client": client_id, "grant": grant_id},
    )


def require(audit: AuditLog) -> None:
    """No record, no answer. Raises AuditUnavailable."""
    if not audit.healthy():
        raise AuditUnavailable()
