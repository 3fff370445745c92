"""Who may be believed, as the files say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

import schemas
from adapters.clock import SystemClock
from adapters.sandbox.cast import CREDIT_SOURCE, PLATFORM_ID
from gateway.app.identities import published_codes, self_signed, view
from gateway.oauth.client import Authentication
from gateway.profiles.validation import Validators
from gateway.tls import TlsMaterialError, parse_certificate
from tests.certificates import self_signed as signed_by_itself
from tests.fakes_app import Place, make_place

SELF_SIGNED = "self_signed_tls_client_auth"
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


def with_clients(place: Place, *clients: dict[str, Any], listed: Sequence[dict[str, str]] = ()) -> None:
    """The first bank's, instead of its own. `listed`: more certificates of the bank."""
    registry = place.participants()
    registry["participants"][0]["clients"] = list(clients)
    registry["participants"][0]["certificates"] += listed
    place.participants_file.write_text(yaml.safe_dump(registry))


def own_certificate(folder: Path, name: str) -> str:
    """Written to `name`.pem; its sha256."""
    pem = signed_by_itself(name)[0]
    (folder / f"{name}.pem").write_bytes(pem)
    return x509.load_pem_x509_certificate(pem).fingerprint(SHA256()).hex()


def test_clients_are_known_with_what_they_may(place: Place) -> None:
    clients = view(*place.loaded(), VALIDATORS).clients
    bank = clients.by_id("bank-a-loans")
    assert bank is not None
    assert (bank.participant_id, bank.authentication) == ("BANKA01DC", Authentication.TLS)
    assert bank.subject == place.credentials.clients["bank-a"].certificate.subject.rfc4514_string()
    assert (bank.keys, bank.certificates, bank.dpop) == (None, frozenset(), False)
    assert "cdi:data-requests" in bank.scopes
    web = clients.by_id("bank-a-web")
    assert web is not None
    assert (web.authentication, web.dpop) == (Authentication.PRIVATE_KEY_JWT, True)
    assert web.keys is not None
    assert len(web.keys) == 1
    assert clients.by_id("nobody") is None


def test_a_client_that_only_external_issuers_know_is_none_of_the_servers(tmp_path: Path) -> None:
    place = make_place(tmp_path, migrated=False)
    with_clients(place, {"id": "elsewhere"})
    seen = view(*place.loaded(), VALIDATORS)
    assert seen.clients.by_id("elsewhere") is None
    bank = seen.registry.by_id("BANKA01DC")
    assert bank is not None
    assert bank.clients == {"elsewhere"}


def test_self_signed_certificates_are_the_clients_and_the_listeners(tmp_path: Path) -> None:
    place = make_place(tmp_path, migrated=False)
    listed = [{"sha256": own_certificate(tmp_path, name)} for name in ("old", "new")]
    with_clients(
        place, {"id": "own", "authentication": SELF_SIGNED, "certificate_files": ["old.pem", "new.pem"]}, listed=listed
    )
    settings, participants = place.loaded()
    client = view(settings, participants, VALIDATORS).clients.by_id("own")
    assert client is not None
    trusted = self_signed(participants)
    assert [one.subject.rfc4514_string() for one in trusted] == ["CN=old", "CN=new"]
    assert client.certificates == {one.fingerprint(SHA256()).hex() for one in trusted}


def test_a_self_signed_certificate_that_its_participant_does_not_list_refuses_the_whole_registry(
    tmp_path: Path,
) -> None:
    """Nor is its name enough: in a certificate that it signs itself, a client may call itself what it likes."""
    place = make_place(tmp_path, migrated=False)
    listed = [{"sha256": own_certificate(tmp_path, "old")}, {"issuer": "CN=new", "subject": "CN=new"}]
    own_certificate(tmp_path, "new")
    client = {"id": "own", "authentication": SELF_SIGNED, "certificate_files": ["old.pem", "new.pem"]}
    with_clients(place, client, listed=listed)
    settings, participants = place.loaded()
    for read in (lambda: view(settings, participants, VALIDATORS), lambda: self_signed(participants)):
        with pytest.raises(ValueError, match=r"new\.pem: client own has .* do not list"):
            read()


@pytest.mark.parametrize("authority", [True, None])
def test_a_certificate_that_could_issue_others_refuses_the_whole_registry(
    tmp_path: Path, *, authority: bool | None
) -> None:
    place = make_place(tmp_path, migrated=False)
    (tmp_path / "own.pem").write_bytes(signed_by_itself("own", ca=authority)[0])
    with_clients(place, {"id": "own", "authentication": SELF_SIGNED, "certificate_files": ["own.pem"]})
    settings, participants = place.loaded()
    with pytest.raises(TlsMaterialError):
        view(settings, participants, VALIDATORS)
    with pytest.raises(TlsMaterialError):
        self_signed(participants)


@pytest.mark.parametrize("content", [b"canary", b'{"keys":[{"kty":"oct","k":"Y2FuYXJ5"}]}'])
def test_a_clients_key_set_that_is_of_no_use_is_named(tmp_path: Path, content: bytes) -> None:
    place = make_place(tmp_path, migrated=False)
    (tmp_path / "own.jwks.json").write_bytes(content)
    with_clients(place, {"id": "own", "authentication": "private_key_jwt", "jwks_file": "own.jwks.json"})
    with pytest.raises(ValueError, match=r"own\.jwks\.json: not a usable key set") as refused:
        view(*place.loaded(), VALIDATORS)
    assert "canary" not in str(refused.value)
