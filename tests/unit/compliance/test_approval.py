"""Two people: who asks and who approves; what was approved is what is done, in time, by somebody who may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OKPKey

from gateway.compliance import approval
from gateway.compliance.approval import ApprovalRefused, Approver, Request

NOW = 1_800_000_000.0
LIFETIME = 3_600
WHAT: dict[str, str | int] = {"log": "log.example/1", "query": "outcome:MATCH", "format": "case"}


def private_pem(key: Any) -> bytes:
    data: bytes = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    return data


def public_pem(key: Any) -> bytes:
    data: bytes = key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    return data


KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
APPROVERS = (Approver(name="mei", public_key=public_pem(KEY)), Approver(name="jo", public_key=public_pem(OTHER_KEY)))


def asked(**changes: Any) -> Request:
    return approval.request(**{"action": "export", "what": WHAT, "requester": "sam", "now": NOW} | changes)


def approved(
    of: Request, name: str = "mei", key: Ed25519PrivateKey = KEY, at: float = NOW, lifetime: int = LIFETIME
) -> str:
    return approval.approve(of, name, private_pem(key), at, lifetime_seconds=lifetime)


def check(text: str, of: Request, at: float = NOW) -> approval.Approval:
    return approval.checked(text, of, APPROVERS, at, lifetime_seconds=LIFETIME)


def signed(claims: object, *, typ: str = approval.TYP, key: Ed25519PrivateKey = KEY) -> str:
    header = {"alg": "Ed25519", "typ": typ}
    return jws.serialize_compact(
        header, orjson.dumps(claims), OKPKey.import_key(private_pem(key)), algorithms=["Ed25519"]
    )


def test_an_approval_of_what_is_done_is_good_and_named_by_its_request() -> None:
    first = asked()
    found = check(approved(first), asked(now=NOW + 30), at=NOW + 60)
    assert found.approver == "mei"
    assert found.approval_id == first.nonce
    assert found.facts == {"approval": first.nonce, "approver": "mei"}


def test_two_approvals_of_one_request_are_one_use() -> None:
    first = asked()
    ids = {check(approved(first), asked()).approval_id, check(approved(first, "jo", OTHER_KEY), asked()).approval_id}
    assert ids == {first.nonce}


@pytest.mark.parametrize(
    ("now_asked", "says"),
    [
        ({"action": "erase"}, "another action"),
        ({"what": WHAT | {"query": "outcome:MISMATCH"}}, "something else"),
        ({"what": WHAT | {"log": "log.example/2"}}, "something else"),
        ({"requester": "kim"}, "another person"),
        ({"requester": "mei"}, "second person"),
    ],
)
def test_an_approval_is_for_one_act_of_one_person(now_asked: dict[str, Any], says: str) -> None:
    with pytest.raises(ApprovalRefused, match=says):
        check(approved(asked()), asked(**now_asked))


@pytest.mark.parametrize("name", ["sam", "SAM"])
def test_who_asks_cannot_approve(name: str) -> None:
    with pytest.raises(ApprovalRefused, match="second person"):
        approved(asked(), name)
    claims = {"jti": "0" * 32, "sub": name, "action": "export", "content": asked().content, "requester": "sam"}
    own = (Approver(name=name, public_key=public_pem(KEY)),)
    with pytest.raises(ApprovalRefused, match="second person"):
        approval.checked(signed(claims), asked(), own, NOW, lifetime_seconds=LIFETIME)


def test_an_unknown_approver_is_refused() -> None:
    with pytest.raises(ApprovalRefused, match="nobody who may"):
        check(approved(asked(), "eve"), asked())


def test_another_approvers_key_is_refused() -> None:
    with pytest.raises(ApprovalRefused, match="signature"):
        check(approved(asked(), "mei", OTHER_KEY), asked())


@pytest.mark.parametrize(
    ("issued", "lifetime", "at", "says"),
    [
        (NOW, 600, NOW + 600, "expired"),
        (NOW, 10 * LIFETIME, NOW + LIFETIME, "expired"),  # the deployment's limit, whatever the approval says
        (NOW + 61, LIFETIME, NOW, "future"),
    ],
)
def test_an_approval_is_good_for_its_time_only(issued: float, lifetime: int, at: float, says: str) -> None:
    with pytest.raises(ApprovalRefused, match=says):
        check(approved(asked(), at=issued, lifetime=lifetime), asked(), at=at)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no jws",
        "é",
        "a.b.c",
        "x" * (approval.APPROVAL_BYTES_MAX + 1),
        signed([]),
        signed({"sub": "mei"}, typ="JWT"),
        signed({"sub": "mei", "requester": "sam", "action": "export", "content": asked().content}),
        signed(
            {"sub": "mei", "requester": "sam", "action": "export", "content": asked().content, "iat": True, "exp": 9}
        ),
    ],
)
def test_what_is_no_approval_is_refused(text: str) -> None:
    with pytest.raises(ApprovalRefused):
        check(text, asked())


@given(st.data())
def test_any_changed_character_of_an_approval_is_refused(data: st.DataObject) -> None:
    text = approved(asked())
    place = data.draw(st.integers(0, len(text) - 2))  # the last one may hold unused bits
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda found: found != text[place]))
    with pytest.raises(ApprovalRefused):
        check(text[:place] + other + text[place + 1 :], asked())


def test_a_request_comes_back_from_its_file() -> None:
    first = asked()
    assert approval.parse_request(orjson.dumps(first.document())) == first


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda body: body["what"].update(query="type:*"), "changed"),
        (lambda body: body.update(requester="kim"), "changed"),
        (lambda body: body.update(action="sing"), "not a request"),
        (lambda body: body.update(what={"a": []}), "not a request"),
        (lambda body: body.update(what={"a": 2**60}), "not a request"),
        (lambda body: body.update(nonce="1"), "not a request"),
        (lambda body: body.update(time="now"), "not a request"),
        (lambda body: body.pop("v"), "not a request"),
    ],
)
def test_a_changed_request_is_noticed(change: Callable[[dict[str, Any]], object], says: str) -> None:
    body = asked().document()
    change(body)
    with pytest.raises(ApprovalRefused, match=says):
        approval.parse_request(orjson.dumps(body))


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading_of_a_request(data: bytes) -> None:
    with pytest.raises(ApprovalRefused):
        approval.parse_request(data)


@pytest.mark.parametrize(
    "key", [b"", b"no key", private_pem(generate_private_key(SECP256R1())), private_pem(X25519PrivateKey.generate())]
)
def test_only_an_ed25519_key_signs(key: bytes) -> None:
    with pytest.raises(ApprovalRefused, match="Ed25519"):
        approval.approve(asked(), "mei", key, NOW, lifetime_seconds=LIFETIME)


def test_keys_are_on_the_side_where_they_belong() -> None:
    approval.check_approvers(APPROVERS)
    with pytest.raises(ApprovalRefused, match="key of jo is a private one"):
        approval.check_approvers([APPROVERS[0], Approver(name="jo", public_key=private_pem(OTHER_KEY))])
    with pytest.raises(ApprovalRefused, match="public"):
        approval.approve(asked(), "mei", public_pem(KEY), NOW, lifetime_seconds=LIFETIME)


def test_one_key_is_not_two_people() -> None:
    again = b"However it is laid out:\n" + public_pem(KEY)
    with pytest.raises(ApprovalRefused, match="mei and jo have one key"):
        approval.check_approvers([APPROVERS[0], Approver(name="jo", public_key=again)])


@pytest.mark.parametrize("action", ["export", "erase", "prune", "release", "recover"])
def test_what_takes_two_people_can_be_asked_and_approved(action: str) -> None:
    of = asked(action=action)
    assert approval.parse_request(orjson.dumps(of.document())) == of
    assert check(approved(of), of).approver == "mei"


def test_an_action_that_nobody_approves_is_a_programmers_error() -> None:
    with pytest.raises(ValueError, match="action"):
        asked(action="read")
