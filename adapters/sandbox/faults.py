"""What the platform can be told to do wrong (`PUT /faults`), for tests and for those who write a client.

The body is `{"mode": …, "delaySeconds"?: n, "count"?: n, "match"?: messageType}`: the mode applies to the next `count`
messages (without it: until changed) of that type (without it: all). `delaySeconds` goes with every mode.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

_DELAY_SECONDS_MAX = 600
_COUNT_MAX = 1_000_000


class Mode(StrEnum):
    NONE = "none"
    DELAY = "delay"  # an honest answer, `delaySeconds` late
    # No answer at all.
    OUTAGE = "outage"  # 503 to everything
    HTTP_500 = "http_500"
    CLOSE = "close"  # the connection is closed instead of an answer
    TRUNCATED = "truncated"  # half of the answer, then the connection is closed
    GARBAGE = "garbage"  # bytes that are no JWS
    # An honest body in a wrong envelope.
    WRONG_SIGNATURE = "wrong_signature"  # signed by a key that is not the platform's, under its kid
    STALE_ANSWER = "stale_answer"  # issued and expired ten minutes ago
    REPLAYED_ANSWER = "replayed_answer"  # the bytes of the answer before
    WRONG_REFERENCE = "wrong_reference"  # in reply to another message
    DUPLICATE = "duplicate"  # a new answer under the messageId of the answer before
    UNKNOWN_SENDER = "unknown_sender"
    # An authentic lie.
    WRONG_REQUEST = "wrong_request"  # a result for another requestId
    WRONG_DIGEST = "wrong_digest"  # MATCH, with the evidence of another document
    WRONG_ISSUER_SIGNATURE = "wrong_issuer_signature"  # evidence that its issuer never signed
    WRONG_CHAIN_PROOF = "wrong_chain_proof"  # evidence that the block does not hold
    BARE_MATCH = "bare_match"  # MATCH without evidence
    # Honest, and not final.
    ACK = "ack"
    SOURCE_UNAVAILABLE = "source_unavailable"  # ErrorResponse, may be repeated


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    mode: Mode = Mode.NONE
    delay_seconds: float = 0.0
    count: int | None = None
    match: str | None = None


class Faults:
    """The fault that is set now; `take` counts it down."""

    def __init__(self) -> None:
        self.now = Fault()

    def set(self, body: Any) -> None:
        """Raises ValueError, with a text for the caller, for a body that is not as described above."""
        if not isinstance(body, dict) or not body.keys() <= {"mode", "delaySeconds", "count", "match"}:
            raise ValueError("an object with mode, delaySeconds, count and match is wanted")
        try:
            mode = Mode(body.get("mode", "none"))
        except ValueError as error:
            raise ValueError(f"mode must be one of {', '.join(Mode)}") from error
        delay, count, match = body.get("delaySeconds", 0), body.get("count"), body.get("match")
        if type(delay) not in {int, float} or not 0 <= delay <= _DELAY_SECONDS_MAX:
            raise ValueError(f"delaySeconds must be a number from 0 to {_DELAY_SECONDS_MAX}")
        if count is not None and (type(count) is not int or not 1 <= count <= _COUNT_MAX):
            raise ValueError(f"count must be an integer from 1 to {_COUNT_MAX}")
        if match is not None and (not isinstance(match, str) or len(match) > 64):
            raise ValueError("match must be a message type")
        self.now = Fault(mode=mode, delay_seconds=float(delay), count=count, match=match)

    def body(self) -> dict[str, Any]:
        return {
            "mode": self.now.mode.value,
            "delaySeconds": self.now.delay_seconds,
            "count": self.now.count,
            "match": self.now.match,
        }

    def take(self, message_type: str) -> Fault:
        """The fault for a message of this type."""
        fault = self.now
        if fault.match not in {None, message_type}:
            return Fault()
        if fault.count is not None:
            left = fault.count - 1
            self.now = (
                Fault(mode=fault.mode, delay_seconds=fault.delay_seconds, count=left, match=fault.match)
                if left
                else Fault()
            )
        return fault


def lie(mode: Mode, message_type: str, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What an authentic platform says instead. A lie about evidence needs some: without it the body stays honest."""
    if mode is Mode.ACK:
        return "Ack", {"code": "RECEIVED", "retryable": False}
    if mode is Mode.SOURCE_UNAVAILABLE:
        return "ErrorResponse", {"code": "SOURCE_UNAVAILABLE", "retryable": True}
    if message_type != "VerificationResult":
        return message_type, body
    if mode is Mode.WRONG_REQUEST:
        return message_type, {**body, "requestId": str(uuid.uuid4())}
    if mode is Mode.BARE_MATCH:
        bare = {name: value for name, value in body.items() if name not in {"evidence", "reason"}}
        return message_type, {**bare, "outcome": "MATCH"}
    if "evidence" not in body:
        return message_type, body
    evidence = dict(body["evidence"])
    if mode is Mode.WRONG_DIGEST:
        evidence["digests"] = [{**digest, "value": digest["value"][::-1]} for digest in evidence["digests"]]
    elif mode is Mode.WRONG_ISSUER_SIGNATURE:
        header, _, signature = evidence["issuerSignature"].partition("..")
        evidence["issuerSignature"] = f"{header}..{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    elif mode is Mode.WRONG_CHAIN_PROOF:
        proof = evidence["chain"]["proof"]
        false = {**proof, "path": ["0" * 64, *proof["path"][1:]], "treeSize": max(2, proof["treeSize"])}
        evidence["chain"] = {**evidence["chain"], "proof": false}
    return message_type, {**body, "evidence": evidence}
