"""Pushed authorization requests: whose consent, which key, signed or not, and until when."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.authorization.handles import REQUEST_URI, kept
from gateway.authorization.pushing import Pushed, Pushing
from gateway.core.model import Consent, ConsentStatus
from gateway.errors import UpstreamUnavailable
from gateway.oauth.refusal import OAuthRefusal
from tests.authorization_parts import OTHER_OWNER
from tests.fakes_authorization import LIVES, RESOURCE, Server, refused, subject_of
from tests.fakes_flows import OTHER_BANK
from tests.oauth_clients import CLIENT, ISSUER, details, parameters, request_object
from tests.samples import NOW


def form(consent: Consent, **changes: Any) -> dict[str, str]:
    return parameters(authorization_details=details(consent.consent_id), **changes)


async def push(
    server: Server, parameters: dict[str, str], client_id: str = CLIENT, *, jkt: str | None = None
) -> Pushed:
    return await server.pushing.push(server.caller(client_id), parameters, jkt)


async def told(server: Server, *arguments: Any, **named: Any) -> tuple[str, str]:
    found: OAuthRefusal = await refused(push(server, *arguments, **named))
    return found.code, found.reason


async def test_a_pushed_request_is_kept_under_a_handle_that_nobody_can_guess(server: Server) -> None:
    consent = await server.consent()
    made = await push(server, form(consent))
    assert made.expires_in == LIVES.request
    assert 5 <= made.expires_in < 600  # RFC 9126 §2.2, FAPI 2.0 §5.3.2.2
    handle = made.request_uri.removeprefix(REQUEST_URI)
    assert len(handle) == 43
    kept_request = await server.state.pushed(kept(handle))
    assert kept_request.request.consent_id == consent.consent_id
    assert kept_request.expires_at == NOW + LIVES.request
    assert await server.state.pushed(handle) is None  # the handle itself is not in the database


async def test_each_push_has_its_own_handle(server: Server) -> None:
    consent = await server.consent()
    assert (await push(server, form(consent))).request_uri != (await push(server, form(consent))).request_uri


@pytest.mark.parametrize("status", [ConsentStatus.SUBMITTED, ConsentStatus.VALID])
async def test_a_consent_that_can_be_approved_or_gone_on_with_is_taken(server: Server, status: ConsentStatus) -> None:
    assert (await push(server, form(await server.consent(status=status)))).expires_in


@pytest.mark.parametrize(
    "changes",
    [
        {"status": ConsentStatus.REVOKED},
        {"status": ConsentStatus.REJECTED},
        {"status": ConsentStatus.EXPIRED},
        {"status": ConsentStatus.CONSUMED},
        {"expire_time": NOW},
        {"consumer_id": OTHER_BANK},
    ],
)
async def test_no_other_consent_is(server: Server, changes: dict[str, Any]) -> None:
    found = await refused(push(server, form(await server.consent(**changes))))
    assert (found.code, found.reason) == ("invalid_authorization_details", "consent")


async def test_another_banks_consent_does_not_exist(server: Server) -> None:
    """The same answer as for a consent that nobody has: its existence does not show."""
    theirs, nobodys = await server.consent(consumer_id=OTHER_BANK), parameters()
    answers = [await refused(push(server, asked)) for asked in (form(theirs), nobodys)]
    assert {(one.code, one.description, one.status) for one in answers} == {
        ("invalid_authorization_details", "No consent of this client that can be approved", 400)
    }


async def test_every_client_of_the_bank_may_push_for_its_consents(server: Server) -> None:
    consent = await server.consent()
    assert await push(server, form(consent, client_id="bank-a-batch"), "bank-a-batch")


async def test_whose_the_consent_is_does_not_matter_yet(server: Server) -> None:
    assert await push(server, form(await server.consent(subject=subject_of(OTHER_OWNER))))


async def test_the_request_is_checked_whole(server: Server) -> None:
    consent = await server.consent()
    assert await told(server, form(consent, response_type="token")) == ("unsupported_response_type", "response_type")
    assert await told(server, form(consent, request_uri="urn:x")) == ("invalid_request", "unserved_parameter")
    assert await told(server, form(consent, client_id="bank-b")) == ("invalid_request", "client_id")


async def test_a_token_for_another_resource_is_refused_at_once(server: Server) -> None:
    """RFC 8707 §2.1."""
    consent = await server.consent()
    assert await told(server, form(consent, resource="https://other.example")) == ("invalid_target", "resource")
    assert await push(server, form(consent, resource=RESOURCE))


# --- DPoP (RFC 9449 §10) --------------------------------------------------------------------------------------------


async def test_a_proof_at_the_pushed_endpoint_binds_the_code(server: Server) -> None:
    consent = await server.consent()
    handle = await server.pushed(consent, jkt="j" * 43)
    assert (await server.state.pushed(kept(handle))).request.dpop_jkt == "j" * 43


async def test_a_dpop_jkt_alone_binds_the_code_too(server: Server) -> None:
    handle = await server.pushed(await server.consent(), dpop_jkt="j" * 43)
    assert (await server.state.pushed(kept(handle))).request.dpop_jkt == "j" * 43


async def test_dpop_jkt_and_proof_must_name_one_key(server: Server) -> None:
    asked = form(await server.consent(), dpop_jkt="j" * 43)
    assert await told(server, asked, jkt="k" * 43) == ("invalid_dpop_proof", "dpop_jkt")
    assert await push(server, asked, jkt="j" * 43)


# --- signed request objects (RFC 9101) --------------------------------------------------------------------------------


def signed(consent: Consent, client_id: str = "bank-a-jar", **changes: Any) -> dict[str, str]:
    inside = {"iss": client_id, "client_id": client_id, "authorization_details": details(consent.consent_id)}
    return {"client_id": client_id, "request": request_object(**(inside | changes))}


async def test_a_signed_request_counts_as_it_was_signed(server: Server) -> None:
    consent = await server.consent()
    made = await push(server, signed(consent, state="signed"), "bank-a-jar")
    assert (await server.state.pushed(kept(made.request_uri.removeprefix(REQUEST_URI)))).request.state == "signed"


async def test_any_client_with_keys_may_sign(server: Server) -> None:
    assert await push(server, signed(await server.consent(), CLIENT), CLIENT)


async def test_ensure_unsigned_request_at_par_endpoint_fails(server: Server) -> None:
    """For a client that is registered to sign."""
    asked = form(await server.consent(), client_id="bank-a-jar")
    assert await told(server, asked, "bank-a-jar") == ("invalid_request", "request_object_missing")


async def test_a_request_of_another_client_is_refused(server: Server) -> None:
    asked = signed(await server.consent(), "bank-a-batch") | {"client_id": "bank-a-jar"}
    assert await told(server, asked, "bank-a-jar") == ("invalid_request_object", "request_object_identity")


async def test_the_resource_inside_counts(server: Server) -> None:
    asked = signed(await server.consent(), resource="https://other.example")
    assert await told(server, asked, "bank-a-jar") == ("invalid_target", "resource")


# --- durability -----------------------------------------------------------------------------------------------------


async def test_no_request_uri_is_given_for_what_is_not_kept(server: Server) -> None:
    consent = await server.consent()
    server.state.before["push"] = UpstreamUnavailable()
    with pytest.raises(UpstreamUnavailable):
        await push(server, form(consent))


async def test_a_push_changes_nothing_of_the_consent(server: Server) -> None:
    consent = await server.consent()
    await push(server, form(consent))
    assert await server.status(consent) is ConsentStatus.SUBMITTED
    assert await server.entries() == []


async def test_a_weaker_sign_in_than_the_operator_demands_cannot_be_asked_for(server: Server) -> None:
    server.pushing = Pushing(
        issuer=ISSUER,
        resource=RESOURCE,
        store=server.world.store,
        state=server.state,
        life_seconds=LIVES.request,
        acr_values=("loa3",),
    )
    consent = await server.consent()
    weaker = await refused(server.pushed(consent, acr_values="loa1 loa2"))
    assert (weaker.code, weaker.reason) == ("invalid_request", "acr_values")
    assert await server.pushed(consent, acr_values="loa1 loa3")
    assert await server.pushed(consent)
