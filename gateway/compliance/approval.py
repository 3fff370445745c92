"""The second person: a request to do something grave with the log, and somebody else's signed approval of it. Pure.

An approval is a JWS (`typ` cdi-approval+jwt, Ed25519). It names who asked, what for, and the one request that it is
for; that it is used once is for the caller to enforce (`ports.Approvals`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from gateway.core.canonical import canonical_sha256

TYP = "cdi-approval+jwt"
ACTIONS = frozenset({"export", "erase", "prune", "release", "recover"})

REQUEST_BYTES_MAX = 64 * 1024
APPROVAL_BYTES_MAX = 16 * 1024
SKEW_SECONDS = 60  # how far the approver's clock may be ahead of ours

_ALGORITHMS = ["Ed25519"]  # RFC 9864
_NONCE = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[A-Za-z0-9_.@:-]{1,64}")


class ApprovalRefused(ValueError):
    """The file is no request, or no approval of this act. Says which, never what it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for. `what`: public facts only, since it is handed from person to person."""

    action: str
    what: Mapping[str, str | int]
    requester: str
    time: int
    nonce: str

    @property
    def content(self) -> str:
        """Hex SHA-256 over the RFC 8785 bytes of what the approval is about: action, facts and requester."""
        return canonical_sha256({"action": self.action, "what": dict(self.what), "requester": self.requester})

    def document(self) -> dict[str, Any]:
        """As it is handed over: what the approver reads, and its hash."""
        return {
            "v": 1,
            "action": self.action,
            "what": dict(self.what),
            "requester": self.requester,
            "time": self.time,
            "nonce": self.nonce,
            "content": self.content,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Approver:
    """One of `audit.second_person.approvers`. `public_key`: the PEM bytes of an Ed25519 public key."""

    name: str
    public_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A good approval. `approval_id` is the nonce of the request, so that one request is acted on once, however many
    people approve it."""

    approval_id: str
    approver: str
    expires_at: int

    @property
    def facts(self) -> dict[str, str | int]:
        """For the audit record of the act."""
        return {"approval": self.approval_id, "approver": self.approver}


def request(action: str, what: Mapping[str, str | int], requester: str, now: float) -> Request:
    """Raises ValueError for an action that nobody approves."""
    if action not in ACTIONS:
        raise ValueError("not an action that is approved")
    return Request(action=action, what=dict(what), requester=requester, time=int(now), nonce=os.urandom(16).hex())


def parse_request(data: bytes) -> Request:
    """The request in a file. Raises ApprovalRefused, also when its hash is not that of what the file shows."""
    body = _object(data, REQUEST_BYTES_MAX, "not a request for an approval")
    what = body.get("what")
    fits = (
        body.get("v") == 1
        and body.get("action") in ACTIONS
        and isinstance(what, dict)
        and all(isinstance(value, str) or type(value) is int for value in what.values())
        and _matches(_NAME, body.get("requester"))
        and type(body.get("time")) is int
        and _matches(_NONCE, body.get("nonce"))
    )
    if not fits:
        raise ApprovalRefused("not a request for an approval")
    found = Request(**{name: body[name] for name in ("action", "what", "requester", "time", "nonce")})
    try:
        content = found.content
    except ValueError as error:
        raise ApprovalRefused("not a request for an approval") from error
    if content != body.get("content"):
        raise ApprovalRefused("the request was changed: its hash is not that of what it says")
    return found


def approve(asked: Request, name: str, private_key: bytes, now: float, *, lifetime_seconds: int) -> str:
    """The approval of `asked` by this person. `private_key`: PEM. Raises ApprovalRefused."""
    if name.casefold() == asked.requester.casefold():
        raise ApprovalRefused("who asks cannot approve: a second person is needed")
    key = _key(private_key)
    if not key.is_private:
        raise ApprovalRefused("the key is a public one: approving takes the private key")
    claims = {
        "jti": asked.nonce,
        "sub": name,
        "action": asked.action,
        "content": asked.content,
        "requester": asked.requester,
        "iat": int(now),
        "exp": int(now) + lifetime_seconds,
    }
    return jws.serialize_compact({"alg": "Ed25519", "typ": TYP}, orjson.dumps(claims), key, algorithms=_ALGORITHMS)


def checked(
    approval: str, asked: Request, approvers: Sequence[Approver], now: float, *, lifetime_seconds: float
) -> Approval:
    """The approval, when it is one of `asked` by one of `approvers` who did not ask.

    `asked` is made anew from what is about to be done, so its time and nonce do not matter. Raises ApprovalRefused.
    """
    approver, claims = _verified(approval, approvers)
    if approver.name.casefold() == asked.requester.casefold():
        raise ApprovalRefused("who asks cannot approve: a second person is needed")
    if claims.get("requester") != asked.requester:
        raise ApprovalRefused("the approval was given to another person")
    if claims.get("action") != asked.action:
        raise ApprovalRefused("the approval is for another action")
    if claims.get("content") != asked.content:
        raise ApprovalRefused("the approval is for something else: ask anew with the same options as now")
    issued, expires, nonce = claims.get("iat"), claims.get("exp"), claims.get("jti")
    if type(issued) is not int or type(expires) is not int or not _matches(_NONCE, nonce):
        raise ApprovalRefused("not an approval")
    if issued > now + SKEW_SECONDS:
        raise ApprovalRefused("the approval is dated in the future")
    # The approver says how long it is good; the deployment's own limit holds whatever that says.
    if now >= min(expires, issued + lifetime_seconds):
        raise ApprovalRefused("the approval has expired: ask anew")
    return Approval(approval_id=str(nonce), approver=approver.name, expires_at=expires)


def check_approvers(approvers: Sequence[Approver]) -> None:
    """Raises ApprovalRefused unless each one has a PEM Ed25519 public key, which no other one has: with one key under
    two names a person could ask as the one and approve as the other."""
    owners: dict[str, str] = {}
    for approver in approvers:
        key = _key(approver.public_key)
        if key.is_private:
            raise ApprovalRefused(f"the key of {approver.name} is a private one: it belongs to that person alone")
        # RFC 7638: of the key, however its PEM file is laid out.
        owner = owners.setdefault(key.thumbprint(), approver.name)
        if owner != approver.name:
            raise ApprovalRefused(f"{owner} and {approver.name} have one key: each needs their own")


def _verified(approval: str, approvers: Sequence[Approver]) -> tuple[Approver, dict[str, Any]]:
    if len(approval) > APPROVAL_BYTES_MAX:
        raise ApprovalRefused("not an approval")
    try:
        unverified = jws.extract_compact(approval.strip().encode("ascii"))
        header = unverified.headers()
        claimed = _object(unverified.payload, APPROVAL_BYTES_MAX, "not an approval").get("sub")
    except (JoseError, ValueError) as error:
        raise ApprovalRefused("not an approval") from error
    if header.get("typ") != TYP:
        raise ApprovalRefused("not an approval")
    approver = next((known for known in approvers if known.name == claimed), None)
    if approver is None:
        raise ApprovalRefused("the approval is by nobody who may approve")
    try:
        signed = jws.deserialize_compact(approval.strip(), _key(approver.public_key), algorithms=_ALGORITHMS)
    except (JoseError, ValueError) as error:
        raise ApprovalRefused("the approval's signature is not that of the approver") from error
    return approver, _object(signed.payload, APPROVAL_BYTES_MAX, "not an approval")


def _object(data: bytes, bytes_max: int, otherwise: str) -> dict[str, Any]:
    if len(data) > bytes_max:
        raise ApprovalRefused(otherwise)
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ApprovalRefused(otherwise) from error
    if not isinstance(body, dict):
        raise ApprovalRefused(otherwise)
    return body


def _key(pem: bytes) -> OKPKey:
    try:
        key = OKPKey.import_key(pem)
    except (JoseError, ValueError, TypeError) as error:
        raise ApprovalRefused("not a PEM Ed25519 key") from error
    if key.curve_name != "Ed25519":
        raise ApprovalRefused("not a PEM Ed25519 key")
    return key


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
