"""The audit records of the authorization server."""

from __future__ import annotations

import pytest

from gateway.audit.record import Record
from gateway.authorization import records
from gateway.core.model import ConsentStatus
from gateway.errors import AuditUnavailable
from gateway.oauth.refusal import OAuthRefusal
from tests import samples
from tests.events import event_of
from tests.fakes_authorization import Server
from tests.fakes_flows import INTERACTION
from tests.oauth_clients import CLIENT
from tests.samples import BANK, NOW


def entry(record: Record) -> dict[str, object]:
    """As it is written, in the limits of an entry."""
    return dict(event_of(record).body)


async def test_an_issue_names_client_token_grant_and_consent(server: Server) -> None:
    consent = samples.consent(status=ConsentStatus.VALID)
    issued = records.issued(
        server.caller(),
        token_id="token-1",
        grant_type="authorization_code",
        scope="cdi:data-requests",
        binding="dpop",
        grant_id="grant-1",
        consent=consent,
    )
    made = entry(issued)
    assert (made["type"], made["interaction"]) == ("token.issued", INTERACTION)
    assert made["facts"] == {
        "token": "token-1",
        "grantType": "authorization_code",
        "scope": "cdi:data-requests",
        "binding": "dpop",
        "grant": "grant-1",
    }
    assert issued.about == consent.subject


async def test_a_refusal_is_on_record_before_it_is_told(server: Server) -> None:
    refused = OAuthRefusal("invalid_grant", "The grant is not valid", reason="code_reused")
    await records.refusing(server.audit, server.caller(), refused, "token")
    (made,) = await server.world.entries()
    assert (made["type"], made["reason"]) == ("token.refused", "CODE_REUSED")
    assert made["facts"] == {"error": "invalid_grant", "endpoint": "token"}
    assert (made["actor"]["participant"], made["actor"]["client"]) == (BANK, CLIENT)


async def test_a_refusal_that_cannot_be_recorded_is_no_answer(server: Server) -> None:
    server.audit.refuses = 1
    refused = OAuthRefusal("invalid_grant", "x", reason="code_reused")
    with pytest.raises(AuditUnavailable):
        await records.refusing(server.audit, server.caller(), refused, "token")


async def test_a_revocation_says_why(server: Server) -> None:
    made = entry(records.revoked(server.caller(), reason="TOKEN_REVOKED", facts={"token": "token-1"}))
    assert (made["type"], made["reason"], made["facts"]) == ("token.revoked", "TOKEN_REVOKED", {"token": "token-1"})


async def test_a_way_back_without_a_code_names_whose_request_it_was(server: Server) -> None:
    caller = server.caller()
    made = entry(
        records.turned_away(NOW, caller.client, caller.participant, error="access_denied", reason="OWNER_DECLINED")
    )
    assert (made["type"], made["reason"]) == ("token.refused", "OWNER_DECLINED")
    assert made["actor"] == {"participant": BANK, "role": "bank", "client": CLIENT}
    assert "consent" not in made


async def test_going_on_is_the_owners_act(server: Server) -> None:
    consent = samples.consent()
    continued = records.continued(NOW, consent, client_id=CLIENT, grant_id="grant-1", interaction=INTERACTION)
    made = entry(continued)
    assert (made["type"], made["actor"]) == ("consent.continued", {"participant": "OWNER", "role": "owner"})
    assert (continued.about, made["facts"]) == (consent.subject, {"client": CLIENT, "grant": "grant-1"})


async def test_without_a_log_there_is_no_answer(server: Server) -> None:
    records.require(server.audit)
    server.audit.dead = True
    with pytest.raises(AuditUnavailable):
        records.require(server.audit)
