"""Refusals as OAuth clients see them."""

from __future__ import annotations

import pytest

from gateway.oauth.refusal import CODES, OAuthRefusal


def test_a_refusal_keeps_what_is_public_apart_from_its_reason() -> None:
    refused = OAuthRefusal("invalid_grant", "The grant is not valid", reason="code_reused")
    assert (refused.code, refused.description, refused.reason) == (
        "invalid_grant",
        "The grant is not valid",
        "code_reused",
    )
    assert (refused.status, dict(refused.headers)) == (400, {})
    assert str(refused) == "The grant is not valid"


def test_status_and_fields_can_be_given() -> None:
    refused = OAuthRefusal("invalid_client", "x", reason="y", status=401, headers={"DPoP-Nonce": "n"})
    assert (refused.status, refused.headers["DPoP-Nonce"]) == (401, "n")


def test_a_code_that_nobody_registered_is_a_programmers_error() -> None:
    with pytest.raises(ValueError, match="no OAuth error code"):
        OAuthRefusal("invalid_banana", "x", reason="y")


def test_every_code_fits_the_grammar_of_errors() -> None:
    """RFC 6749 §5.2: no quote, no backslash."""
    assert all(code.replace("_", "").isalpha() and code.islower() for code in CODES)
