"""Secrets that are handed out, and what is kept of each."""

from __future__ import annotations

import hashlib

import pytest

from gateway.authorization.handles import REQUEST_URI, handle_of, kept, new_secret


def test_secrets_have_256_bits_and_never_come_twice() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(len(secret) == 43 and secret.replace("-", "").replace("_", "").isalnum() for secret in made)


def test_what_is_kept_is_a_hash() -> None:
    assert kept("secret") == hashlib.sha256(b"secret").hexdigest()
    assert kept("a") != kept("b")


@pytest.mark.parametrize("text", ["", "\ud800", "é", "x" * 1_000_000])
def test_whatever_a_browser_sends_has_a_hash(text: str) -> None:
    assert len(kept(text)) == 64


def test_the_handle_of_our_request_uris_alone_is_read() -> None:
    handle = new_secret()
    assert handle_of(REQUEST_URI + handle) == handle
    for other in (handle, "https://x.example/" + handle, REQUEST_URI.upper() + handle, REQUEST_URI + "x" * 129):
        assert handle_of(other) is None
