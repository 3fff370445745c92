"""The data owner's part of the story, told from what a fake person saw."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from adapters.sandbox.bank import Pushed, Reply, TokenRefused
from adapters.sandbox.page import Page, read
from gateway.cli import demo_owner
from gateway.cli.story import Story

ISSUER, CALLBACK = "https://localhost:8444", "https://bank.example/callback"
LOGIN = '<title>Login</title><form><input name="who"><input type="password" name="pw"></form>'
ASK = '<title>Ask</title><form><button name="decision" value="approve">Yes</button></form>'
CONSENT = '<title>Consent</title><form action="/consents/1/revocation"><button>Revoke</button></form>'
ENDED = "<title>Ended</title>"
CONSENT_ID = "11111111-2222-4333-8444-555555555555"


class Owner:
    owner_id = "owner-7"

    def __init__(self, *pages: str, answer: dict[str, str] | None = None) -> None:
        self._answer = answer or {}
        self._coming = [read(html, url=f"{ISSUER}/page") for html in pages]
        self.shown: list[Page] = []

    async def decide(self, url: str, redirect_uri: str) -> dict[str, str]:
        assert (url, redirect_uri) == (f"{ISSUER}/oauth/authorize", CALLBACK)
        self.shown = self._coming
        return self._answer

    async def revoke(self, consent_id: str) -> Page:
        assert consent_id == CONSENT_ID
        self.shown = self._coming
        return self.shown[-1]


class Bank:
    """A bank whose server says what the test wants."""

    label = "bank-a"

    def __init__(self, *, par: int = 201, token: int = 201) -> None:
        self.issuer = ISSUER
        self.oauth = self
        self._par, self._token = par, token

    async def push(self, consent_id: str) -> tuple[Reply, Pushed | None]:
        request = Pushed(
            consent_id=consent_id, url=f"{ISSUER}/oauth/authorize", redirect_uri=CALLBACK, state="s", verifier="v"
        )
        reply = said(self._par, {"expires_in": 300} if self._par == 201 else {"error": "invalid_request"})
        return reply, request if self._par == 201 else None

    async def redeem(self, pushed: Pushed, answer: dict[str, str]) -> Reply:
        return said(self._token, {} if self._token == 201 else {"error": "invalid_grant", "error_description": "no"})

    async def token(self, *, consent: dict[str, Any]) -> str:
        return f"token for {consent['consentId']}"


def said(status: int, body: dict[str, Any]) -> Reply:
    return Reply(status=status, headers={}, body=orjson.dumps(body), json=body)


def story() -> Story:
    made = Story(quiet=True)
    made.begin("a step")
    return made


async def approved(told: Story, bank: Bank, owner: Owner) -> str:
    consent = {"consentId": CONSENT_ID}
    return await demo_owner.approve(told, bank, owner, consent, connection="bank → gateway")  # type: ignore[arg-type]


async def test_an_approval_gives_the_token_and_good_checks() -> None:
    told = story()
    owner = Owner(LOGIN, ASK, answer={"iss": ISSUER, "state": "s", "code": "c"})
    assert await approved(told, Bank(), owner) == f"token for {CONSENT_ID}"
    assert told.ok
    assert len(told.steps[0].checks) == 2


@pytest.mark.parametrize(
    "answer", [{"iss": ISSUER, "state": "s"}, {"iss": "other", "state": "s", "code": "c"}], ids=str
)
async def test_an_answer_without_code_or_issuer_is_a_failed_check(answer: dict[str, str]) -> None:
    told = story()
    await approved(told, Bank(), Owner(ASK, answer=answer))
    assert not told.ok


@pytest.mark.parametrize(
    ("bank", "error"), [(Bank(par=400), "invalid_request: "), (Bank(token=400), "invalid_grant: no")]
)
async def test_a_refusal_ends_the_step(bank: Bank, error: str) -> None:
    with pytest.raises(TokenRefused, match=error):
        await approved(story(), bank, Owner(ASK, answer={"iss": ISSUER, "state": "s", "code": "c"}))


@pytest.mark.parametrize(("after", "good"), [(ENDED, True), (CONSENT, False)])
async def test_a_revoked_consent_has_nothing_to_revoke_any_more(after: str, good: bool) -> None:
    told = story()
    await demo_owner.revoke(told, Owner(CONSENT, after), CONSENT_ID)  # type: ignore[arg-type]
    assert told.ok is good
