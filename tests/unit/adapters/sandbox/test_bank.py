"""The bank's client against a whole sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.sandbox.bank import NOTICES, Bank, TokenRefused, authorization_detail
from gateway.core.digest import digests_of
from gateway.profiles.dvp_v1.messages import digests_body
from tests.end_to_end.world import approved_consent, bank_of, machine_token, running_world


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
        consent = {
            "consentId": "11111111-2222-4333-8444-555555555555",
            "dataProviderId": "SZCREDIT01DP",
            "scope": {"documentType": "CORPORATE_CREDIT_REPORT"},
            "purpose": "SME_LOAN_UNDERWRITING",
            "expireTime": 1_900_000_000,
        }
        with pytest.raises(TokenRefused, match="invalid_grant"):
            await bank.token(consent=consent)
        with pytest.raises(TokenRefused, match="invalid_scope"):
            await bank.token("cdi:evidence")
        assert await source.token("cdi:evidence", NOTICES)


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
