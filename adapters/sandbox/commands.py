"""The sandbox's main calls as commands to copy and paste, made from its description (`sandbox.json`)."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from adapters.sandbox.cast import CONSENT_SCOPE
from adapters.sandbox.files import write_public

_SCRIPT = """#!/bin/sh
# curl with the certificate of {label}: ./curl.sh -H "Authorization: Bearer $TOKEN" {bank}/cdi/v1/consents
here=$(cd "$(dirname "$0")" && pwd)
exec curl --cacert "$here/../../{ca}" --cert "$here/cert.pem" --key "$here/key.pem" "$@"
"""
_EXPIRES_IN_SECONDS = 30 * 86_400


def write_client_scripts(folder: Path, description: Mapping[str, Any]) -> None:
    """`clients/<label>/curl.sh` for each client."""
    for label in description["clients"]:
        file = folder / "clients" / label / "curl.sh"
        script = _SCRIPT.format(label=label, bank=description["listeners"]["bank"], ca=description["ca"])
        write_public(file, script.encode())
        file.chmod(0o755)


def walk_through(
    folder: Path, description: Mapping[str, Any], *, now: int, program: str = "cdi-gateway"
) -> list[tuple[str, str]]:
    """Title and shell command of each main call as bank-a, in an order that works. `folder` as the user knows it,
    `program` as the shell does."""
    bank = description["listeners"]["bank"]
    sample = description["samples"][0]
    directory = shlex.quote(str(folder))
    curl = f"{directory}/clients/bank-a/curl.sh -s"
    token = f"{program} sandbox token --dir {directory} --client bank-a"
    consent = {
        "type": "ConsentTypeSignedDocNotRequired",
        "dataProviderId": sample["issuerId"],
        "scope": {"scopeType": "DataScopeTypeUDR", "documentType": sample["documentType"]},
        "purpose": "SME_LOAN_UNDERWRITING",
        "expireTime": now + _EXPIRES_IN_SECONDS,
        "usage": {"maxUses": 10},
        "private": {"dataOwnerId": "owner-7"},
    }
    question = {
        "consentId": "'$CONSENT'",  # closes and opens the shell's quotes
        "dataScope": {**consent["scope"], "udr": sample["voucher"]},
        "purpose": "SME_LOAN_UNDERWRITING",
        "document": {"issuerId": sample["issuerId"], "digests": sample["digests"]},
    }
    json_field = "-H 'Content-Type: application/json'"
    key = '-H "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)"'
    control = description["platform"]["control"]
    return [
        ("a token for the bank itself", f"TOKEN=$({token})"),
        (
            "register a consent (note its consentId)",
            f'{curl} -H "Authorization: Bearer $TOKEN" {key} {json_field} -d {_quoted(consent)} {bank}/cdi/v1/consents',
        ),
        (
            "the owner approves it, the bank gets its consent token; all from this shell",
            f"CONSENT=…  # the consentId\nCTOKEN=$({token} --consent $CONSENT)",
        ),
        *_approval_in_a_browser(description, curl=curl),
        (
            "is the document genuine?",
            f'{curl} -H "Authorization: Bearer $CTOKEN" -H "Prefer: wait=5" {key} {json_field} '
            f"-d {_quoted(question)} {bank}/cdi/v1/data-requests",
        ),
        *_evidence_of_the_outcome(description, directory, curl=curl, program=program),
        (
            "hash a document at the gateway",
            f"{curl} -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/octet-stream' "
            f"--data-binary @{directory}/{sample['file']} {bank}/cdi/v1/digests",
        ),
        ("what happened since", f'{curl} -H "Authorization: Bearer $TOKEN" "{bank}/cdi/v1/notices?after=0"'),
        ("the platform has an outage", f'curl -s -X PUT -d \'{{"mode": "outage"}}\' {control}/faults'),
        ("what the platform was asked", f'curl -s "{control}/journal?after=0"'),
    ]


def _approval_in_a_browser(description: Mapping[str, Any], *, curl: str) -> list[tuple[str, str]]:
    """The same with the owner's own browser: the bank pushes its request, the owner follows the link."""
    bank, client, owner = description["listeners"]["bank"], description["clients"]["bank-a"], description["owners"][0]
    identity = f"-d client_id={client['clientId']} -d redirect_uri={client['redirectUri']}"
    base64url = "base64 | tr '+/' '-_' | tr -d '=\\n'"
    details = """'authorization_details=[{"type":"cdi_consent","consentId":"'$CONSENT'"}]'"""
    link = f"{description['issuer']['issuer']}/oauth/authorize?client_id={client['clientId']}&request_uri=$REQUEST_URI"
    return [
        (
            "or the owner approves it in a browser: the bank pushes its request (note its request_uri)",
            f"VERIFIER=$(head -c 32 /dev/urandom | {base64url})\n"
            f'CHALLENGE=$(printf %s "$VERIFIER" | openssl dgst -sha256 -binary | {base64url})\n'
            f"{curl} {identity} -d response_type=code -d scope={CONSENT_SCOPE} -d code_challenge=$CHALLENGE "
            f"-d code_challenge_method=S256 --data-urlencode {details} {bank}/oauth/par",
        ),
        (
            f"open the link in a browser that trusts {description['ca']}, and sign in as {owner['login']} / "
            f"{owner['password']}",
            f'REQUEST_URI=…  # the request_uri\necho "{link}"',
        ),
        (
            "nobody listens where the browser is sent then: take the code from its address line within a minute",
            f"CODE=…  # the code\n{curl} {identity} -d grant_type=authorization_code -d code=$CODE "
            f"-d code_verifier=$VERIFIER {bank}/oauth/token",
        ),
    ]


def _evidence_of_the_outcome(
    description: Mapping[str, Any], directory: str, *, curl: str, program: str
) -> list[tuple[str, str]]:
    """What a bank keeps of an outcome, and how it shows it later, with no gateway at hand."""
    request = f"{description['listeners']['bank']}/cdi/v1/data-requests/$REQUEST"
    authorised = f'{curl} -H "Authorization: Bearer $TOKEN"'
    receipt = r"""sed -E 's/.*"receipt":"([^"]+)".*/\1/'"""
    return [
        (
            "keep the receipt, and the proof that the outcome is on record",
            f"REQUEST=…  # the dataRequestId\n{authorised} {request} | {receipt} > receipt.jws\n"
            f'{authorised} -H "Prefer: wait=5" {request}/proof > proof.txt',
        ),
        (
            "check both offline",
            f"{program} audit prove --check proof.txt --receipt receipt.jws "
            f"--key {shlex.quote(description['audit']['vkey'])} --jwks {directory}/{description['reports']['jwks']}",
        ),
    ]


def _quoted(body: Mapping[str, Any]) -> str:
    return f"'{orjson.dumps(body).decode()}'"
