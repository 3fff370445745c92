"""`cdi-gateway consent`: an operator looks at a consent, or ends it on somebody's behalf.

Ending one is on record with the operator's name. Looking at one is no act, and leaves no record.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

import schemas
from gateway.app.consent_desk import ConsentDesk, open_consent_desk
from gateway.cli.audit.desk import AsJson, Config, opened
from gateway.cli.terminal import DONE, NEGATIVE, Refused, say, say_json
from gateway.core.model import Consent
from gateway.errors import StateConflict

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="markdown",
    help="Consents, for the operator: look at one, and end one on somebody's behalf.",
)

ConsentId = Annotated[str, typer.Argument(metavar="CONSENT", help="The consent's id, as the bank knows it.")]


@app.command()
def show(consent: ConsentId, config: Config, as_json: AsJson = False) -> int:
    """Say how a consent stands: who asked whom for what, until when, how often it was used.

    Who the data owner is, the gateway does not know; it keeps a keyed pseudonym.
    """
    consent_id = _uuid(consent)

    async def work(desk: ConsentDesk) -> int:
        found = await desk.store.consent(consent_id)
        if found is None:
            raise Refused("no consent of this id", code=NEGATIVE)
        _tell(found, as_json)
        return DONE

    return opened(open_consent_desk(config), work)


@app.command()
def revoke(
    consent: ConsentId,
    config: Config,
    reason: Annotated[
        str, typer.Option("--reason", metavar="CODE", help="A code of `schemas/codelists/revocation-reason`.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> int:
    """End a consent now: by order of its source, of its owner who cannot sign in, of a court.

    Its grants and tokens end with it on every running gateway within a second, the bank finds a notice, and the audit
    log has a record with your name. What is under way is refused before its answer leaves.

    `cdi-gateway consent revoke 3f2c… --config gateway.yaml --reason LEGAL_ORDER`
    """
    consent_id = _uuid(consent)
    codes = schemas.codelist("revocation-reason")
    if reason not in codes:
        raise Refused(f"--reason takes one of {', '.join(codes)}")
    if not yes:
        typer.confirm("End this consent? This cannot be undone.", abort=True, err=True)

    async def work(desk: ConsentDesk) -> int:
        if await desk.store.consent(consent_id) is None:
            raise Refused("no consent of this id", code=NEGATIVE)
        try:
            revoked = await desk.owned.revoke_as(desk.actor, consent_id, reason)
        except StateConflict as error:
            raise Refused("the consent has ended before: see `consent show`", code=NEGATIVE) from error
        _tell(revoked, as_json)
        return DONE

    return opened(open_consent_desk(config), work)


def _tell(consent: Consent, as_json: bool) -> None:
    facts: dict[str, Any] = {
        "consentId": consent.consent_id,
        "status": consent.status.value,
        "approval": consent.approval.value if consent.approval else None,
        "dataConsumerId": consent.consumer_id,
        "dataProviderId": consent.provider_id,
        "documentType": consent.scope.document_type,
        "purpose": consent.purpose,
        "used": consent.used,
        "maxUses": consent.max_uses,
        "expireTime": consent.expire_time,
    }
    if as_json:
        say_json(facts)
        return
    expires = datetime.fromtimestamp(consent.expire_time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    for name, value in (facts | {"expireTime": expires}).items():
        if value is not None:
            say(f"{name:<15} {value}")


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise Refused("a consent's id is a UUID") from error
