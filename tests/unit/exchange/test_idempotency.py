"""Idempotency keys as they are kept: apart by participant, route and key, and telling nothing."""

from __future__ import annotations

from gateway.exchange.idempotency import idempotency

SECRET, KEY, BODY = b"s" * 32, "key-of-the-bank", b'{"a":1}'


def test_the_same_request_gives_the_same_and_any_difference_another_key() -> None:
    first = idempotency(SECRET, "BANKA01DC", "consents", KEY, BODY)
    assert first == idempotency(SECRET, "BANKA01DC", "consents", KEY, BODY)
    others = [
        idempotency(SECRET, "BANKB01DC", "consents", KEY, BODY),
        idempotency(SECRET, "BANKA01DC", "data-requests", KEY, BODY),
        idempotency(SECRET, "BANKA01DC", "consents", "another", BODY),
        idempotency(b"t" * 32, "BANKA01DC", "consents", KEY, BODY),
    ]
    assert len({item.key for item in (first, *others)}) == 5


def test_another_body_keeps_the_key_and_changes_the_fingerprint() -> None:
    first = idempotency(SECRET, "BANKA01DC", "consents", KEY, BODY)
    changed = idempotency(SECRET, "BANKA01DC", "consents", KEY, b'{"a":2}')
    assert changed.key == first.key
    assert changed.fingerprint != first.fingerprint


def test_parts_do_not_run_into_each_other() -> None:
    assert idempotency(SECRET, "A", "bc", "d", BODY).key != idempotency(SECRET, "A", "b", "cd", BODY).key


def test_neither_key_nor_body_can_be_read_from_it() -> None:
    kept = repr(idempotency(SECRET, "BANKA01DC", "consents", KEY, BODY))
    assert KEY not in kept
    assert BODY.decode() not in kept
