from __future__ import annotations

import hashlib
import hmac

from gateway.core.pseudonym import pseudonym

KEY = b"k" * 32


def test_it_is_hmac_sha256_over_kind_and_value() -> None:
    expected = hmac.new(KEY, b"subject\x00owner-7", hashlib.sha256).hexdigest()
    assert pseudonym(KEY, "subject", "owner-7") == expected


def test_kinds_keys_and_values_give_different_names() -> None:
    names = {
        pseudonym(KEY, "subject", "owner-7"),
        pseudonym(KEY, "subject", "owner-8"),
        pseudonym(KEY, "idempotency", "owner-7"),
        pseudonym(b"l" * 32, "subject", "owner-7"),
    }
    assert len(names) == 4
