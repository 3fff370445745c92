"""The data owner's part of `demo`: what happens in their browser, at the login and on the consent pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.sandbox.bank import Bank, Reply, TokenRefused
from adapters.sandbox.browser import origin
from adapters.sandbox.data_owner import DataOwner
from adapters.sandbox.page import Page
from gateway.cli.story import Story


async def approve(story: Story, bank: Bank, owner: DataOwner, consent: Mapping[str, Any], *, connection: str) -> str:
    """The bank asks, the owner signs in and approves, the bank redeems the code. Returns the consent token.

    `connection`: how the bank is connected, as it is told. Raises TokenRefused, BrowserStopped.
    """
    story.asked(connection, "POST /oauth/par  cdi_consent, PKCE S256")
    reply, pushed = await bank.oauth.push(consent["consentId"])
    if pushed is None:
        raise TokenRefused(_said(reply))
    story.check(f"{reply.status}, a request_uri of {reply.json['expires_in']} s for the owner's browser", True)
    before = owner.shown
    answer = await owner.decide(pushed.url, pushed.redirect_uri)
    _tell(story, owner, owner.shown[len(before) :])
    back = answer.get("iss") == bank.oauth.issuer and answer.get("state") == pushed.state and "code" in answer
    story.check(f"back at {origin(pushed.redirect_uri)} with code, state and the issuer's name", back)
    story.asked(connection, "POST /oauth/token  authorization_code, code_verifier")
    redeemed = await bank.oauth.redeem(pushed, answer)
    if redeemed.status != 201:
        raise TokenRefused(_said(redeemed))
    return await bank.token(consent=consent)


async def revoke(story: Story, owner: DataOwner, consent_id: str) -> None:
    """On the consent's own page. Raises BrowserStopped."""
    before = owner.shown
    after = await owner.revoke(consent_id)
    _tell(story, owner, owner.shown[len(before) : -1])
    story.check(
        f"{after.status} “{_plain(after.title)}”, and nothing to revoke any more", after.form_to("/revocation") is None
    )


def _tell(story: Story, owner: DataOwner, pages: Sequence[Page]) -> None:
    """What the owner saw, and did there."""
    for page in pages:
        connection = f"{owner.owner_id}'s browser → {origin(page.url)} (TLSv1.3)"
        story.asked(connection, f"“{_plain(page.title)}”: {_done_at(page)}")


def _done_at(page: Page) -> str:
    if any(form.password_field is not None for form in page.forms):
        return "user name, password, sign in"
    if page.form_with_button("approve") is not None:
        return "approve"
    return "revoke" if page.form_to("/revocation") is not None else "read"


def _plain(title: str) -> str:
    """Without the marks that keep a name's direction to itself (UAX #9), which terminals show as boxes."""
    return title.replace("\u2068", "").replace("\u2069", "")


def _said(reply: Reply) -> str:
    said = reply.json if isinstance(reply.json, dict) else {}
    return f"{said.get('error', reply.status)}: {said.get('error_description', '')}"
