"""PKCE with S256."""

from __future__ import annotations

import base64
import hashlib

import pytest

from gateway.oauth.pkce import CHALLENGE, verifies
from tests import oauth_clients
from tests.oauth_clients import VERIFIER


def test_the_vector_of_rfc_7636_appendix_b() -> None:
    assert verifies(VERIFIER, oauth_clients.CHALLENGE)


def test_incorrect_pkce_code_verifier_rejected() -> None:
    assert not verifies(VERIFIER[:-1] + "l", oauth_clients.CHALLENGE)
    assert not verifies(VERIFIER, "A" * 43)


@pytest.mark.parametrize(
    "verifier", ["", VERIFIER[:42], "a" * 129, "a" * 42 + "+", "a" * 42 + "=", "a" * 43 + "\n", "é" * 43, " " * 43]
)
def test_what_is_no_verifier_is_never_right(verifier: str) -> None:
    """RFC 7636 §4.1: 43 to 128 unreserved characters."""
    assert not verifies(verifier, oauth_clients.CHALLENGE)


@pytest.mark.parametrize("length", [43, 128])
def test_both_bounds_of_the_length_are_good(length: int) -> None:
    verifier = "-._~" + "a" * (length - 4)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert verifies(verifier, challenge)


def test_a_plain_challenge_is_not_compared_with() -> None:
    assert not verifies(VERIFIER, VERIFIER)


def test_a_challenge_is_32_bytes_in_base64url() -> None:
    assert CHALLENGE.fullmatch(oauth_clients.CHALLENGE)
    assert CHALLENGE.fullmatch(oauth_clients.CHALLENGE + "=") is None
