"""The printed commands are shell that parses, and hold what `sandbox.json` says."""

from __future__ import annotations

import base64
import hashlib
import shlex
import stat
import subprocess
from pathlib import Path
from typing import Any

import orjson

from adapters.sandbox.commands import walk_through, write_client_scripts

DESCRIPTION: dict[str, Any] = {
    "listeners": {"bank": "https://localhost:8443", "consent": "https://localhost:8444"},
    "ca": "pki/ca.pem",
    "clients": {"bank-a": {"clientId": "bank-a-loans", "redirectUri": "https://bank-a.sandbox.example/callback"}},
    "owners": [{"id": "owner-7", "login": "owner-7", "password": "sandbox-owner-7"}],
    "issuer": {"issuer": "https://localhost:8444", "token": "https://localhost:8443/oauth/token"},
    "samples": [
        {
            "file": "samples/credit-report.pdf",
            "documentType": "CORPORATE_CREDIT_REPORT",
            "issuerId": "SZCREDIT01DP",
            "voucher": "VOUCHER",
            "digests": [{"algorithm": "SM3", "value": "0" * 64}],
        }
    ],
    "platform": {"control": "http://localhost:9080"},
    "reports": {"jwks": "pki/reports.jwks.json"},
    "audit": {"vkey": "localhost/log+0123abcd+AQ=="},
}


def test_every_command_parses_as_shell() -> None:
    for _, command in walk_through(Path("my sandbox"), DESCRIPTION, now=0):
        parsed = subprocess.run(["sh", "-n"], input=command.encode(), capture_output=True, check=False)
        assert parsed.stderr == b""


def test_the_bodies_are_json_of_the_api() -> None:
    commands = dict(walk_through(Path("sandbox"), DESCRIPTION, now=0))
    words = shlex.split(commands["register a consent (note its consentId)"])
    body = orjson.loads(words[words.index("-d") + 1])
    assert (body["dataProviderId"], body["expireTime"]) == ("SZCREDIT01DP", 30 * 86_400)
    words = shlex.split(commands["is the document genuine?"])
    body = orjson.loads(words[words.index("-d") + 1])
    assert (body["consentId"], body["dataScope"]["udr"]) == ("$CONSENT", "VOUCHER")


def test_the_pushed_request_is_one_for_pkce(tmp_path: Path) -> None:
    commands = walk_through(Path("sandbox"), DESCRIPTION, now=0)
    command = next(text for title, text in commands if "pushes its request" in title)
    *preparation, call = command.splitlines()
    shell = "\n".join([*preparation, 'printf "%s %s" "$VERIFIER" "$CHALLENGE"'])
    made = subprocess.run(["sh", "-c", shell], capture_output=True, cwd=tmp_path, check=True).stdout.decode()
    verifier, challenge = made.split(" ")
    expected = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert challenge == expected
    details = shlex.split(call)[shlex.split(call).index("--data-urlencode") + 1]
    assert orjson.loads(details.partition("=")[2]) == [{"type": "cdi_consent", "consentId": "$CONSENT"}]


def test_the_receipt_is_cut_out_of_the_answer(tmp_path: Path) -> None:
    command = dict(walk_through(Path("sandbox"), DESCRIPTION, now=0))[
        "keep the receipt, and the proof that the outcome is on record"
    ]
    cut = next(part for part in command.split("|") if "sed" in part)
    answer = b'{"status":"DataRequestDataShared","receipt":"e30.e30.c2ln","createTime":{"t":1}}'
    subprocess.run(["sh", "-c", cut.partition("\n")[0]], input=answer, cwd=tmp_path, check=True)
    assert (tmp_path / "receipt.jws").read_bytes().strip() == b"e30.e30.c2ln"


def test_each_client_has_a_script(tmp_path: Path) -> None:
    write_client_scripts(tmp_path, DESCRIPTION)
    script = tmp_path / "clients/bank-a/curl.sh"
    assert stat.S_IMODE(script.stat().st_mode) == 0o755
    assert subprocess.run(["sh", "-n", script], capture_output=True, check=False).stderr == b""
