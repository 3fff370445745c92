"""The OAuth clients as a value."""

from __future__ import annotations

from gateway.oauth.client import Authentication, Clients
from tests.oauth_clients import client


def test_a_client_is_found_by_its_id_and_no_other() -> None:
    two = client(client_id="bank-b")
    clients = Clients([client(), two])
    assert clients.by_id("bank-b") is two
    assert clients.by_id("BANK-A") is None
    assert clients.by_id("") is None


def test_without_clients_nobody_is_found() -> None:
    assert Clients().by_id("bank-a") is None


def test_the_ways_to_prove_oneself_have_their_registered_names() -> None:
    assert {method.value for method in Authentication} == {
        "tls_client_auth",
        "self_signed_tls_client_auth",
        "private_key_jwt",
    }
