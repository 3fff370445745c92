"""From the browser's arrival to its return: who decides, on what, and once."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from gateway.authorization.handles import REQUEST_URI, kept
from gateway.authorization.interactions import Decide, Gone, Leave, NotTheirs, SignIn
from gateway.core.model import ConsentStatus
from tests.authorization_parts import OTHER_OWNER
from tests.fakes_authorization import LIVES, Server, answer_of, claims_of, subject_of
from tests.fakes_flows import INTERACTION
from tests.oauth_clients import CLIENT, ISSUER, REDIRECT_URI
from tests.samples import BANK, NOW

# --- arriving ------------------------------------------------------------------------------------------------------


async def test_a_browser_arrives_with_what_was_pushed(server: Server) -> None:
    handle = await server.pushed(await server.consent())
    assert await server.interactions.arrive(CLIENT, REQUEST_URI + handle) == handle


async def test_par_ensure_reused_request_uri_prior_to_auth_completion_succeeds(server: Server) -> None:
    handle = await server.pushed(await server.consent())
    for _ in range(3):
        assert await server.interactions.arrive(CLIENT, REQUEST_URI + handle) == handle
        assert isinstance(await server.interactions.view(handle, server.session()), Decide)


async def test_par_attempt_to_use_request_uri_for_different_client(server: Server) -> None:
    handle = await server.pushed(await server.consent())
    for other in ("bank-b", "bank-a-batch", None, ""):
        assert await server.interactions.arrive(other, REQUEST_URI + handle) is None


async def test_ensure_unsigned_authorization_request_without_using_par_fails(server: Server) -> None:
    handle = await server.pushed(await server.consent())
    for uri in (None, "", handle, "https://bank-a.example/request.jwt", REQUEST_URI, REQUEST_URI + "x" * 43):
        assert await server.interactions.arrive(CLIENT, uri) is None


async def test_par_attempt_to_use_expired_request_uri(server: Server) -> None:
    handle = await server.pushed(await server.consent())
    server.clock.advance(LIVES.request)
    assert await server.interactions.arrive(CLIENT, REQUEST_URI + handle) is None
    assert isinstance(await server.interactions.view(handle, server.session()), Gone)
    assert isinstance(await server.decided(handle), Gone)


# --- who decides ---------------------------------------------------------------------------------------------------


async def test_nobody_decides_before_they_signed_in(server: Server) -> None:
    handle = await server.pushed(await server.consent(), ui_locales="zh-Hant en", acr_values="loa2")
    assert await server.interactions.view(handle, None) == SignIn(
        fresh=False, acr_values=("loa2",), ui_locales=("zh-Hant", "en")
    )


async def test_the_owner_is_asked_about_the_consent_as_it_is_kept(server: Server) -> None:
    consent = await server.consent()
    handle = await server.pushed(consent, ui_locales="zh-Hant")
    assert await server.interactions.view(handle, server.session()) == Decide(
        consent=consent,
        approved=False,
        redirect_uri=REDIRECT_URI,
        ui_locales=("zh-Hant",),
        decide_by=NOW + LIVES.request,
    )


async def test_somebody_else_sees_nothing_and_decides_nothing(server: Server) -> None:
    consent = await server.consent()
    handle = await server.pushed(consent)
    other = server.session(OTHER_OWNER)
    assert await server.interactions.view(handle, other) == NotTheirs()
    for approve in (True, False):
        assert await server.decided(handle, other, approve=approve) == NotTheirs()
    assert await server.status(consent) is ConsentStatus.SUBMITTED
    assert isinstance(await server.interactions.view(handle, server.session()), Decide)  # its owner still can


# --- what is wanted of the sign-in (OpenID Connect Core §3.1.2.1, RFC 9470) ----------------------------------------


@pytest.mark.parametrize(
    ("asked", "age", "good"),
    [
        ({}, 0, True),
        ({}, LIVES.fresh, True),
        ({}, LIVES.fresh + 1, False),
        ({"max_age": "60"}, 60, True),
        ({"max_age": "60"}, 61, False),
        ({"max_age": "86400"}, LIVES.fresh + 1, False),  # no more than the gateway itself allows
        ({"max_age": "0"}, 0, True),
        ({"max_age": "0"}, 1, False),
        ({"prompt": "login"}, 0, True),
        ({"prompt": "login"}, 1, False),
        ({"prompt": "login", "max_age": "600"}, 1, False),
        ({"prompt": "consent"}, 60, True),
    ],
)
async def test_a_sign_in_that_is_too_old_is_done_again(
    server: Server, asked: dict[str, str], age: int, good: bool
) -> None:
    handle = await server.pushed(await server.consent(), **asked)
    found = await server.interactions.view(handle, server.session(auth_time=NOW - age))
    if good:
        assert isinstance(found, Decide)
    else:
        assert isinstance(found, SignIn)
        assert found.fresh


async def test_prompt_login_wants_a_sign_in_from_the_beginning(server: Server) -> None:
    handle = await server.pushed(await server.consent(), prompt="login")
    assert await server.interactions.view(handle, None) == SignIn(fresh=True, acr_values=(), ui_locales=())


async def test_a_sign_in_of_before_the_request_is_held_against_the_time_of_the_decision(server: Server) -> None:
    handle = await server.pushed(await server.consent(), max_age="60")
    session = server.session(auth_time=NOW - 50)
    assert isinstance(await server.interactions.view(handle, session), Decide)
    server.clock.advance(20)
    assert isinstance(await server.interactions.view(handle, session), SignIn)
    # The page was shown when it was recent enough: some time to read is given.
    left = await server.interactions.decide(handle, session, approve=True, interaction=INTERACTION)
    assert "code" in answer_of(left)


async def test_nobody_signs_in_twice_for_having_read_slowly(server: Server) -> None:
    handle = await server.pushed(await server.consent(), max_age="10", prompt="login")
    session = server.session()
    server.clock.advance(LIVES.request - 1)
    assert isinstance(await server.interactions.view(handle, session), Decide)


@pytest.mark.parametrize(("acr", "good"), [("loa3", True), ("loa2", True), ("loa1", False), (None, False)])
async def test_the_way_of_the_sign_in_is_one_that_was_asked_for(server: Server, acr: str | None, good: bool) -> None:
    handle = await server.pushed(await server.consent(), acr_values="loa3 loa2")
    found = await server.interactions.view(handle, server.session(acr=acr))
    wanted = SignIn(fresh=True, acr_values=("loa3", "loa2"), ui_locales=())
    assert isinstance(found, Decide) if good else found == wanted


async def test_what_would_not_be_asked_is_not_decided(server: Server) -> None:
    consent = await server.consent()
    handle = await server.pushed(consent, acr_values="loa3")
    assert isinstance(await server.decided(handle, server.session(acr="loa1")), SignIn)
    assert await server.status(consent) is ConsentStatus.SUBMITTED


async def test_the_client_is_told_when_no_such_sign_in_can_be_had(server: Server) -> None:
    handle = await server.pushed(await server.consent(), acr_values="loa9")
    found = answer_of(await server.interactions.unmet(handle))
    assert found["error"] == "unmet_authentication_requirements"
    assert found["iss"] == ISSUER
    assert await server.interactions.unmet(handle) == Gone()
    (entry,) = await server.entries("token.refused")
    assert (entry["reason"], entry["actor"]["client"]) == ("SIGN_IN_UNMET", CLIENT)


# --- yes -----------------------------------------------------------------------------------------------------------


async def test_a_yes_makes_the_consent_valid_and_gives_a_code(server: Server) -> None:
    consent = await server.consent()
    found = answer_of(await server.decided(await server.pushed(consent)))
    assert found.keys() == {"code", "state", "iss"}
    assert (found["iss"], found["state"]) == (ISSUER, "af0ifjsldkj")
    assert await server.status(consent) is ConsentStatus.VALID
    assert [notice.type for notice in await server.world.told()] == ["CONSENT_VALID"]
    (entry,) = await server.entries()
    assert (entry["type"], entry["actor"]["participant"]) == ("consent.validated", "OWNER")
    assert (entry["subject"], entry["interaction"]) == (subject_of(), INTERACTION)


async def test_the_grant_holds_what_was_decided_and_the_code_only_as_a_hash(server: Server) -> None:
    consent = await server.consent()
    code = await server.code(consent, scope="cdi:data-requests cdi:notices", dpop_jkt="j" * 43)
    grant = await server.state.by_code(kept(code), lambda _, __: None)
    assert (grant.client_id, grant.consumer_id, grant.consent_id) == (CLIENT, BANK, consent.consent_id)
    assert (grant.subject, grant.scopes) == (consent.subject, ("cdi:data-requests", "cdi:notices"))
    assert (grant.auth_time, grant.acr, grant.dpop_jkt) == (NOW, "loa2", "j" * 43)
    assert (grant.expires_at, grant.code_expires_at) == (consent.expire_time, NOW + LIVES.code)
    assert code not in repr(grant)


async def test_par_attempt_reuse_request_uri(server: Server) -> None:
    """Consumed at completion: neither the form nor the link comes back."""
    handle = await server.pushed(await server.consent())
    session = server.session()
    assert isinstance(await server.decided(handle, session), Leave)
    for approve in (True, False):
        assert await server.decided(handle, session, approve=approve) == Gone()
    assert await server.interactions.view(handle, session) == Gone()
    assert await server.interactions.arrive(CLIENT, REQUEST_URI + handle) is None


async def test_of_many_forms_that_come_together_one_gives_a_code(server: Server) -> None:
    consent = await server.consent()
    handle = await server.pushed(consent)
    found = await asyncio.gather(*(server.decided(handle) for _ in range(20)))
    assert sum(isinstance(one, Leave) and "code" in answer_of(one) for one in found) == 1
    assert len(await server.entries("consent.validated")) == 1


async def test_a_yes_and_a_no_that_come_together_are_one_decision(server: Server) -> None:
    consent = await server.consent()
    handle = await server.pushed(consent)
    found = await asyncio.gather(*(server.decided(handle, approve=number % 2 == 0) for number in range(10)))
    left = [answer_of(one) for one in found if isinstance(one, Leave)]
    assert len(left) == 1
    if "code" in left[0]:
        assert await server.status(consent) is ConsentStatus.VALID


async def test_who_approved_before_is_asked_whether_to_go_on(server: Server) -> None:
    consent = await server.consent()
    await server.code(consent)
    handle = await server.pushed(consent)
    found = await server.interactions.view(handle, server.session())
    assert isinstance(found, Decide)
    assert found.approved
    assert "code" in answer_of(await server.decided(handle))
    assert [notice.type for notice in await server.world.told()] == ["CONSENT_VALID"]  # told once


async def test_going_on_is_on_record_as_well(server: Server) -> None:
    consent = await server.consent(status=ConsentStatus.VALID)
    code = await server.code(consent)
    (entry,) = await server.entries("consent.continued")
    grant = await server.state.by_code(kept(code), lambda _, __: None)
    assert entry["facts"] == {"client": CLIENT, "grant": grant.grant_id}
    assert (entry["counterparty"], entry["subject"]) == (BANK, consent.subject)
    assert code not in str(entry)


# --- no ------------------------------------------------------------------------------------------------------------


async def test_user_rejects_authentication(server: Server) -> None:
    consent = await server.consent()
    found = answer_of(await server.decided(await server.pushed(consent), approve=False))
    assert (found["error"], found["iss"], found["state"]) == ("access_denied", ISSUER, "af0ifjsldkj")
    assert "code" not in found
    assert await server.status(consent) is ConsentStatus.REJECTED
    assert [notice.type for notice in await server.world.told()] == ["CONSENT_REJECTED"]
    entries = await server.entries("token.refused", "consent.rejected")
    assert [entry["reason"] for entry in entries] == ["OWNER_DECLINED", "ConsentRejectReasonOthers"]


async def test_a_no_to_going_on_leaves_the_consent(server: Server) -> None:
    consent = await server.consent(status=ConsentStatus.VALID)
    found = answer_of(await server.decided(await server.pushed(consent), approve=False))
    assert found["error"] == "access_denied"
    assert await server.status(consent) is ConsentStatus.VALID
    (entry,) = await server.entries()
    assert (entry["type"], entry["reason"], entry["consent"]["id"]) == (
        "token.refused",
        "OWNER_DECLINED",
        consent.consent_id,
    )


async def test_a_no_behind_an_end_in_another_window_still_leaves(server: Server) -> None:
    consent = await server.consent()
    handle = await server.pushed(consent)

    server.state.after["take"] = lambda: server.changed(consent, ConsentStatus.REVOKED)
    assert answer_of(await server.decided(handle, approve=False))["error"] == "access_denied"
    assert await server.status(consent) is ConsentStatus.REVOKED


# --- JARM ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("approve", [True, False])
async def test_a_client_that_wants_it_signed_gets_it_signed(server: Server, approve: bool) -> None:
    handle = await server.pushed(await server.consent(), response_mode="jwt")
    view = await server.decided(handle, approve=approve)
    found = answer_of(view)
    assert found.keys() == {"response"}
    claims = claims_of(found["response"])
    assert (claims["iss"], claims["aud"], claims["state"]) == (ISSUER, CLIENT, "af0ifjsldkj")
    assert ("code" in claims) is approve
    assert isinstance(view, Leave)
    assert urlsplit(view.url).fragment == ""
