"""A bank's check of its receipt, offline: who signed it, and that the log under a signed checkpoint holds its record.

It reads files and nothing else: no configuration, no database, no network.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import schemas
from gateway.audit import note, proof
from gateway.audit.note import Checkpoint, NoteInvalid, VerifierKey
from gateway.audit.proof import ProofInvalid
from gateway.cli.terminal import DONE, NEGATIVE, Refused, complain, say, say_json
from gateway.core import ijson
from gateway.errors import GatewayError
from gateway.exchange.statements import RECEIPT_TYPE
from gateway.profiles.dvp_v1 import signature
from gateway.profiles.dvp_v1.signature import KeySet, SignatureError
from gateway.profiles.validation import Validators

_FILE_BYTES_MAX = 256 * 1024


class DoesNotHold(Exception):
    """What was given does not show what it should; the text says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A receipt whose record is in the log. `signed`: the gateway's signature was checked, too."""

    claims: dict[str, Any]
    head: Checkpoint
    signed: bool


def check_receipt(
    proof_file: Path, receipt_file: Path, *, keys: Sequence[str], jwks: Path | None, as_json: bool
) -> int:
    """Print what is shown; the exit code. Raises Refused for files and keys that cannot be used."""
    try:
        verifiers = [note.verifier_key(key) for key in keys]
        signing = signature.key_set(_read(jwks)) if jwks is not None else None
    except NoteInvalid as error:
        raise Refused(f"--key: {error}") from error
    except ValueError as error:
        raise Refused(f"{jwks}: {error}") from error
    try:
        held = examine(_read(proof_file), _read(receipt_file).strip(), verifiers, signing)
    except DoesNotHold as error:
        if as_json:
            say_json({"holds": False, "reason": str(error)})
        complain(str(error))
        return NEGATIVE
    _show(held, as_json=as_json)
    return DONE


def examine(proof_data: bytes, receipt: bytes, verifiers: Sequence[VerifierKey], signing: KeySet | None) -> Held:
    """Raises DoesNotHold."""
    claims = _claims(receipt, signing)
    log = claims["log"]
    try:
        found = proof.parse(proof_data.decode())
        head = proof.verify(found, bytes.fromhex(log["leafHash"]), origin=log["origin"], keys=verifiers)
    except ProofInvalid as error:
        raise DoesNotHold(f"the proof does not hold: {error}") from error
    except UnicodeDecodeError as error:
        raise DoesNotHold("the proof does not hold: not a tlog-proof") from error
    if found.index != log["index"]:
        raise DoesNotHold(f"the proof is of entry {found.index}, the receipt names entry {log['index']}")
    return Held(claims=claims, head=head, signed=signing is not None)


def _claims(receipt: bytes, signing: KeySet | None) -> dict[str, Any]:
    try:
        payload = signature.verify(receipt, signing, RECEIPT_TYPE) if signing is not None else _unverified(receipt)
        claims: dict[str, Any] = ijson.parse(payload)
        Validators(schemas.load()).check("cdi/v1/receipt", claims)
    except SignatureError as error:
        raise DoesNotHold("the receipt is not signed by one of the gateway's keys") from error
    except (GatewayError, binascii.Error) as error:
        raise DoesNotHold("the receipt is none: not the claims of cdi/v1/receipt in a compact JWS") from error
    return claims


def _unverified(receipt: bytes) -> bytes:
    payload = receipt.split(b".")[1] if receipt.count(b".") == 2 else b""
    return base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4))


def _show(held: Held, *, as_json: bool) -> None:
    claims, log = held.claims, held.claims["log"]
    if as_json:
        checked = "verified" if held.signed else "not checked"
        say_json({"holds": True, "signature": checked, "claims": claims, "checkpoint": {"size": held.head.size}})
        return
    signed = (
        f"signed by {claims['iss']}" if held.signed else f"says {claims['iss']}; signature not checked: give --jwks"
    )
    say(f"receipt   for {claims['aud']}, {signed}")
    say(f"outcome   {claims['outcome']} for data request {claims['dataRequestId']}")
    for digest in claims["document"]["digests"]:
        say(f"document  {digest['algorithm']} {digest['value']}")
    say(f"record    entry {log['index']} of {log['origin']}, under its signed checkpoint of {held.head.size} entries")


def _read(file: Path) -> bytes:
    with file.open("rb") as stream:
        data = stream.read(_FILE_BYTES_MAX + 1)
    if len(data) > _FILE_BYTES_MAX:
        raise Refused(f"{file}: larger than {_FILE_BYTES_MAX} bytes, so no such thing")
    return data
