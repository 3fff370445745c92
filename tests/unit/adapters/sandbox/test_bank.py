"""The bank's client against a whole sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters.sandbox.bank import NOTICES, Bank, TokenRefused, authorization_detail
from gateway.core.digest import digests_of
from gateway.profiles.dvp_v1.messages import digests_body
from tests.end_to_end.world import approved_consent, bank_of, machine_token, running_world
from tests.fakes_sandbox import CLOCK


async def test_a_bank_goes_from_consent_to_verdict(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world, bank_of(world) as bank:
        sample = world.description["samples"][0]
        consent, token = await approved_consent(world, bank, sample)
        machine = await machine_token(bank)
        document = (tmp_path / sample["file"]).read_bytes()
        hashed = await bank.digests(document, token=machine)
        assert hashed.json["digests"] == sample["digests"] == digests_body(digests_of(document))
        asked = await bank.ask(
            token=token, consent=consent, digests=sample["digests"], voucher=sample["voucher"], wait_seconds=20
        )
        assert asked.json["verification"]["outcome"] == "MATCH"
        read = await bank.data_request(asked.json["dataRequestId"], token=machine, wait_seconds=1)
        assert read.json["status"] == "DataRequestDataShared"
        proved = await bank.proof(asked.json["dataRequestId"], token=machine, wait_seconds=20)
        assert proved.body.startswith(b"c2sp.org/tlog-proof@v1\n")
        covered = await bank.data_request(asked.json["dataRequestId"], token=machine, covered=True)
        assert (covered.status, covered.headers["Preference-Applied"]) == (200, "covered")
        types = [notice["type"] for notice in (await bank.notices(token=machine)).json["notices"]]
        assert types == ["CONSENT_VALID", "DATA_REQUEST_FINAL"]
        revoked = await bank.revoke_consent(consent["consentId"], token=machine)
        assert revoked.json["status"] == "ConsentRevoked"
        refused = await bank.ask(token=token, consent=consent, digests=sample["digests"])
        assert refused.code == "CONSENT_REVOKED"


async def test_no_token_without_approval_or_beyond_the_clients_scopes(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world, bank_of(world) as bank, bank_of(world, "source-hk") as source:
        sample = world.description["samples"][0]
        with pytest.raises(TokenRefused, match="invalid_scope"):
            await bank.token("cdi:evidence")
        assert await source.token("cdi:evidence", NOTICES)

        consent = await submitted(bank, sample)
        with pytest.raises(TokenRefused, match="invalid_grant"):
            await bank.token(consent=consent)
        somebody_else = await bank.approve(consent, "owner-8")
        assert (somebody_else.status, somebody_else.json["error"]) == (403, "access_denied")
        refused = await bank.refuse(consent)
        assert (refused.status, refused.json["error"]) == (403, "access_denied")
        assert (await read(bank, consent))["status"] == "ConsentRejected"
        again = await bank.approve(consent)
        assert again.status in {400, 403}
        with pytest.raises(TokenRefused, match="invalid_grant"):
            await bank.token(consent=consent)


@pytest.mark.parametrize("label", ["bank-a-jwt", "bank-a-dpop"])
async def test_clients_with_a_key_go_the_same_way(label: str, tmp_path: Path) -> None:
    async with running_world(tmp_path) as world, bank_of(world, label) as bank, bank_of(world, "bank-b") as other:
        sample = world.description["samples"][0]
        consent = await submitted(bank, sample)
        approved = await bank.approve(consent)
        assert approved.status == 201, approved.json
        token = await bank.token(consent=consent)
        asked = await bank.ask(token=token, consent=consent, digests=sample["digests"], wait_seconds=20)
        assert asked.json["verification"]["outcome"] == "MATCH"
        refused = await other.ask(token=token, consent=consent, digests=sample["digests"])
        assert refused.status == 401
        assert (await (await bank.owner()).revoke(consent["consentId"])).form_to("/revocation") is None
        after = await bank.ask(token=token, consent=consent, digests=sample["digests"])
        assert after.code == "CONSENT_REVOKED"


async def submitted(bank: Bank, sample: Mapping[str, Any]) -> dict[str, Any]:
    reply = await bank.submit_consent(
        token=await machine_token(bank),
        provider_id=sample["issuerId"],
        document_type=sample["documentType"],
        expire_time=int(CLOCK.now()) + 3_600,
        max_uses=5,
    )
    assert reply.status == 201, reply.json
    return dict(reply.json)


async def read(bank: Bank, consent: Mapping[str, Any]) -> dict[str, Any]:
    token = await machine_token(bank)
    return dict((await bank.call("GET", f"/cdi/v1/consents/{consent['consentId']}", token=token)).json)


def test_a_client_that_nobody_knows_is_refused() -> None:
    with pytest.raises(KeyError):
        Bank(Path(), {"clients": {}}, "bank-z")


def test_the_authorization_detail_names_all_of_the_consent() -> None:
    consent = {
        "consentId": "id",
        "dataProviderId": "P",
        "scope": {"documentType": "T"},
        "purpose": "W",
        "expireTime": 1,
        "status": "ConsentSubmitted",
    }
    assert authorization_detail(consent) == {
        "type": "cdi_consent",
        "consentId": "id",
        "dataProviderId": "P",
        "documentType": "T",
        "purpose": "W",
        "expireTime": 1,
    }
