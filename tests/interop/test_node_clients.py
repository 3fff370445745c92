"""npm openid-client and oauth4webapi as clients of our authorization server and bank API, over real TLS.

Each goes the whole way: metadata, machine token, pushed request, the owner's decision in a browser, tokens, a real
question, refresh, introspection, grant management, revocation.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.stage import Stage
from tests.interop.conftest import BankOf
from tests.interop.stories import Story, Way, told_by

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCRIPTS = ("openid_client.mjs", "oauth4webapi.mjs")
WAYS = (
    Way(label="bank-a"),
    Way(label="bank-a", jarm=True, discovery="oidc", code_twice=True),
    Way(label="bank-a-jwt", jar=True),
    Way(label="bank-a-jwt", jar=True, jarm=True, code_twice=True),
    Way(label="bank-a-dpop", discovery="oidc"),
    Way(label="bank-a-dpop", jar=True, jarm=True, code_twice=True),
)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("script", SCRIPTS)
async def test_a_client_that_we_did_not_write_goes_the_whole_way(
    script: str, way: Way, stage: Stage, bank_of: BankOf, node_binary: Path
) -> None:
    story = await told_by(node_binary, script, stage, await bank_of(way.label), way)
    steps = story.steps
    kind = "dpop" if way.label == "bank-a-dpop" else "bearer"
    client_id = stage.world.description["clients"][way.label]["clientId"]

    assert steps["discovery"]["issuer"] == stage.world.description["issuer"]["issuer"]
    machine = steps["machine"]
    assert (machine["type"], machine["expires"], machine["status"]) == (kind, 300, 200)
    if script == "oauth4webapi.mjs" and kind == "dpop":  # it checked token and proof as a resource server would
        assert machine["client"] == client_id
    if not way.jarm:  # there the signature says whose answer it is
        assert steps["mix-up"]["error"] is not None

    tokens = steps["tokens"]
    assert (tokens["type"], tokens["expires"], tokens["scope"]) == (kind, 300, "cdi:data-requests")
    assert tokens["refresh"]
    assert tokens["grant"]
    _check_details(tokens["details"], story)
    assert steps["question"] == {"status": 200, "outcome": "MATCH"}
    assert steps["refresh"] == {"rotated": False, "status": 200}  # FAPI 2.0 §5.3.2.1: no rotation

    seen = steps["introspection"]
    assert (seen["active"], seen["client"]) == (True, client_id)
    assert seen.get("signed", way.jarm) is way.jarm
    _check_details(seen["details"], story)
    assert steps["grant"]["status"] == 200
    _check_details(steps["grant"]["body"]["authorization_details"], story)
    assert steps["revocation"] == {"active": False, "refused": 401}
    _check_end(way, story)


def _check_details(details: list[dict[str, object]], story: Story) -> None:
    """RFC 9396 §7: what the owner approved, enriched."""
    (detail,) = details
    assert detail == {
        "type": "cdi_consent",
        "consentId": story.consent["consentId"],
        "dataProviderId": story.consent["dataProviderId"],
        "documentType": story.consent["scope"]["documentType"],
        "purpose": story.consent["purpose"],
        "expireTime": story.consent["expireTime"],
    }


def _check_end(way: Way, story: Story) -> None:
    """The code a second time (RFC 6749 §4.1.2), or the end of the grant: either way nothing is left of it."""
    last = story.steps["code-twice" if way.code_twice else "grant-ended"]
    if way.code_twice:
        assert last["error"] == "invalid_grant"
    else:
        assert last["status"] == 204
    assert last["refresh"]["error"] == "invalid_grant"
