"""An issuer of opaque tokens is asked as the settings say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.keys.file import KeyFileRefused
from gateway.app.introspecting import introspection
from gateway.errors import TokenInvalid
from gateway.oauth.access_token import Fault
from gateway.settings import Introspection, Issuer, OAuth
from gateway.tls import TlsMaterialError
from tests.fakes import FakeClock
from tests.fakes_introspection import FakeIssuer, active, running_issuer
from tests.fakes_oauth import ISSUER, RESOURCE

OAUTH = OAuth(resource=RESOURCE, issuers=(Issuer(issuer=ISSUER),))


def written(folder: Path, name: str, data: bytes) -> Path:
    file = folder / name
    file.touch(mode=0o600)
    file.write_bytes(data)
    return file


def trusted(folder: Path, issuer: FakeIssuer, **changes: Any) -> Issuer:
    ca_file = written(folder, "ca.pem", issuer.ca.cert_pem.bytes())
    return Issuer(issuer=ISSUER, ca_file=ca_file).model_copy(update=changes)


def asked(issuer: FakeIssuer, **credentials: Any) -> Introspection:
    return Introspection(url=issuer.url or "https://as.example/introspect", client_id="gateway", **credentials)


def certificate(folder: Path, issuer: FakeIssuer) -> dict[str, Path]:
    issued = issuer.ca.issue_cert("gateway.example")
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    return {
        "certificate_file": written(folder, "client.pem", chain),
        "key_file": written(folder, "client.key", issued.private_key_pem.bytes()),
    }


@pytest.mark.parametrize("approves", [True, False])
async def test_it_is_asked_with_the_secret_and_believed_as_far_as_configured(tmp_path: Path, *, approves: bool) -> None:
    async with running_issuer() as issuer:
        details = [{"type": "cdi_consent", "consentId": "consent-1"}]
        issuer.tokens["opaque"] = active(authorization_details=details)
        settings = asked(issuer, secret_file=written(tmp_path, "secret", b"a secret"))
        verifier = introspection(trusted(tmp_path, issuer, approves_consents=approves), settings, OAUTH, FakeClock())
        found = await verifier.look_up("opaque")
        await verifier.aclose()
    assert found is not None
    assert [grant.approves for grant in found.grants] == [approves]
    assert (issuer.authorizations, issuer.certified) == (["Basic Z2F0ZXdheTphK3NlY3JldA=="], [False])


async def test_it_is_asked_with_the_certificate(tmp_path: Path) -> None:
    async with running_issuer() as issuer:
        issuer.tokens["opaque"] = active()
        settings = asked(issuer, **certificate(tmp_path, issuer))
        verifier = introspection(trusted(tmp_path, issuer), settings, OAUTH, FakeClock())
        assert await verifier.look_up("opaque") is not None
        await verifier.aclose()
    assert (issuer.authorizations, issuer.certified) == ([None], [True])


async def test_what_lives_longer_than_configured_is_refused(tmp_path: Path) -> None:
    shorter = OAUTH.model_copy(update={"lifetime_seconds_max": 289})
    async with running_issuer() as issuer:
        issuer.tokens["opaque"] = active()  # for another 290 seconds
        settings = asked(issuer, **certificate(tmp_path, issuer))
        verifier = introspection(trusted(tmp_path, issuer), settings, shorter, FakeClock())
        with pytest.raises(TokenInvalid) as refused:
            await verifier.look_up("opaque")
        await verifier.aclose()
    assert refused.value.private == Fault.LIFETIME


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    issuer = FakeIssuer()
    secret = written(tmp_path, "secret", b"a secret")
    secret.chmod(0o644)
    with pytest.raises(KeyFileRefused, match="chmod"):
        introspection(trusted(tmp_path, issuer), asked(issuer, secret_file=secret), OAUTH, FakeClock())


def test_what_is_no_secret_is_refused_by_its_files_name(tmp_path: Path) -> None:
    issuer = FakeIssuer()
    secret = written(tmp_path, "secret", b"canary\ncanary")
    with pytest.raises(KeyFileRefused, match=r"/secret: not a client secret") as refused:
        introspection(trusted(tmp_path, issuer), asked(issuer, secret_file=secret), OAUTH, FakeClock())
    assert "canary" not in str(refused.value)


def test_files_that_are_of_no_use_are_named(tmp_path: Path) -> None:
    issuer = FakeIssuer()
    own = certificate(tmp_path, issuer)
    bad = written(tmp_path, "bad.pem", b"nonsense")
    for settings, trust in (
        (asked(issuer, **(own | {"key_file": bad})), trusted(tmp_path, issuer)),
        (asked(issuer, **own), trusted(tmp_path, issuer, ca_file=bad)),
    ):
        with pytest.raises(TlsMaterialError, match=r"bad\.pem"):
            introspection(trust, settings, OAUTH, FakeClock())
