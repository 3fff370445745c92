"""Who may be believed, as the files say."""

from __future__ import annotations

from pathlib import Path

import pytest

import schemas
from adapters.clock import SystemClock
from adapters.sandbox.cast import CREDIT_SOURCE, PLATFORM_ID
from gateway.app.identities import published_codes, view
from gateway.profiles.validation import Validators
from gateway.tls import TlsMaterialError, parse_certificate
from tests.fakes_app import Place, make_place

VALIDATORS = Validators(schemas.load())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return make_place(tmp_path_factory.mktemp("gateway"), migrated=False)


def der(place: Place, label: str) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return place.credentials.clients[label].certificate.public_bytes(Encoding.DER)


def test_the_codes_are_the_published_lists() -> None:
    codes = published_codes()
    assert codes.document_types == frozenset(schemas.codelist("document-type"))
    assert codes.purposes == frozenset(schemas.codelist("purpose"))


def test_participants_are_known_by_their_certificates(place: Place) -> None:
    seen = view(*place.loaded(), VALIDATORS)
    bank = parse_certificate(der(place, "bank-a"))
    found = seen.registry.by_certificate(bank)
    assert found is not None
    assert found.participant_id == "BANKA01DC"
    assert not seen.revoked(bank)


def test_each_platform_has_the_trust_that_judging_needs(place: Place) -> None:
    trust = view(*place.loaded(), VALIDATORS).trust
    assert set(trust) == {PLATFORM_ID}
    entitled = trust[PLATFORM_ID].entitled
    assert entitled(CREDIT_SOURCE.participant_id, "CORPORATE_CREDIT_REPORT")
    assert not entitled(CREDIT_SOURCE.participant_id, "BANK_STATEMENT")
    assert not trust[PLATFORM_ID].issuer_signed(CREDIT_SOURCE.participant_id, b"{}", "e30..c2ln")


def test_a_list_names_the_revoked_certificate_and_no_other(tmp_path: Path) -> None:
    place = make_place(tmp_path, migrated=False)
    revoked, other = (parse_certificate(der(place, label)) for label in ("bank-a", "bank-b"))
    before = view(*place.loaded(), VALIDATORS)
    now = int(SystemClock().now())
    crl = place.credentials.authority("clients").revocation_list((revoked.serial,), now=now, number=2)
    (tmp_path / "pki/clients.crl.pem").write_bytes(crl)
    after = view(*place.loaded(), VALIDATORS)
    assert after.revoked(revoked)
    assert not after.revoked(other)
    assert not before.revoked(revoked)  # a view is one state; a reload makes the next


def test_a_list_of_a_stranger_is_refused_as_a_whole(tmp_path: Path) -> None:
    place = make_place(tmp_path, migrated=False)
    foreign = place.credentials.authority("dvp").revocation_list((1,), now=int(SystemClock().now()))
    (tmp_path / "pki/clients.crl.pem").write_bytes(foreign)
    with pytest.raises(TlsMaterialError):
        view(*place.loaded(), VALIDATORS)
