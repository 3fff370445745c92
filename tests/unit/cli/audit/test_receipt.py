"""A bank's own check: it holds for its receipt and proof, and for nothing that was changed, mixed up or made up."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.audit.proof import InclusionProof
from gateway.cli.commands import run
from gateway.core.canonical import canonical
from gateway.core.merkle import inclusion_path, leaf_hash
from gateway.exchange.statements import RECEIPT_TYPE
from tests.fakes_profiles import KeySigner, jwks, vectors
from tests.published_log import ORIGIN, checkpoint, entries_of, log_signer

ENTRIES = entries_of(300)
INDEX = 41
CLAIMS: dict[str, Any] = next(
    vector["message"] for name, vector in vectors("schemas/cdi/v1/receipt") if name.endswith("/match")
)
PLACE = {"origin": ORIGIN, "index": INDEX, "leafHash": leaf_hash(ENTRIES[INDEX]).hex()}
REPORTS = KeySigner("reports-1")
VKEY = str(log_signer().verifier)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a bank has in its files."""

    folder: Path

    def receipt(
        self, data: bytes | None = None, *, signer: KeySigner = REPORTS, typ: str = RECEIPT_TYPE, **log: Any
    ) -> None:
        claims = CLAIMS | {"log": PLACE | log}
        self._write("receipt.jws", data or signer.sign_jws({"typ": typ}, canonical(claims)).encode())

    def proof(self, index: int = INDEX, text: str | None = None) -> None:
        path = inclusion_path(index, [leaf_hash(entry) for entry in ENTRIES])
        made = InclusionProof(index=index, path=path, checkpoint=checkpoint(ENTRIES))
        self._write("proof.txt", (text if text is not None else str(made)).encode())

    def check(self, *more: str, key: str = VKEY, keys: bool = True) -> int:
        arguments = ["audit", "prove", "--check", self._name("proof.txt"), "--receipt", self._name("receipt.jws")]
        return run([*arguments, "--key", key, *(["--jwks", self._name("jwks.json")] if keys else []), *more])

    def _name(self, name: str) -> str:
        return str(self.folder / name)

    def _write(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)


@pytest.fixture
def held(tmp_path: Path) -> Held:
    held = Held(folder=tmp_path)
    held.receipt()
    held.proof()
    (tmp_path / "jwks.json").write_bytes(jwks(REPORTS))
    return held


def reason(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err


def test_a_receipt_and_its_proof_hold(held: Held, capsys: pytest.CaptureFixture[str]) -> None:
    assert held.check() == 0
    said = capsys.readouterr().out
    assert "MATCH" in said
    assert f"signed by {CLAIMS['iss']}" in said
    assert f"entry {INDEX} of {ORIGIN}, under its signed checkpoint of 300 entries" in said


def test_one_json_document_has_the_claims(held: Held, capsys: pytest.CaptureFixture[str]) -> None:
    assert held.check("--json") == 0
    said = orjson.loads(capsys.readouterr().out)
    assert (said["holds"], said["signature"], said["checkpoint"]) == (True, "verified", {"size": 300})
    assert said["claims"]["outcome"] == "MATCH"


def test_without_the_gateways_keys_it_says_that_the_signature_is_unchecked(
    held: Held, capsys: pytest.CaptureFixture[str]
) -> None:
    assert held.check(keys=False) == 0
    assert "signature not checked" in capsys.readouterr().out
    assert held.check("--json", keys=False) == 0
    assert orjson.loads(capsys.readouterr().out)["signature"] == "not checked"


def test_a_receipt_that_the_gateway_did_not_sign_is_refused(held: Held, capsys: pytest.CaptureFixture[str]) -> None:
    held.receipt(signer=KeySigner("reports-1"))
    assert held.check() == 1
    assert "not signed by one of the gateway's keys" in reason(capsys)


def test_another_signed_paper_of_the_gateway_is_no_receipt(held: Held) -> None:
    held.receipt(typ="cdi-report+jws")
    assert held.check() == 1


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"a.b",
        b"a.!.c",
        b"e30.e30.c2ln",
        b"\xff.\xff.\xff",
        b"..",
        b"e30." + base64.urlsafe_b64encode(b"[]") + b".c2ln",
    ],
)
@pytest.mark.parametrize("keys", [True, False])
def test_what_is_no_receipt_is_refused(held: Held, data: bytes, *, keys: bool) -> None:
    held.receipt(data)
    assert held.check(keys=keys) == 1


@pytest.mark.parametrize(
    ("log", "why"),
    [
        ({"leafHash": "00" * 32}, "the entry is not at this index"),
        ({"origin": "another.example/log"}, "another log"),
        ({"index": INDEX + 1}, f"the proof is of entry {INDEX}"),
    ],
)
def test_a_proof_of_something_else_is_refused(
    held: Held, capsys: pytest.CaptureFixture[str], log: dict[str, Any], why: str
) -> None:
    held.receipt(**log)
    assert held.check() == 1
    assert why in reason(capsys)


def test_the_proof_of_another_record_is_refused(held: Held) -> None:
    held.proof(INDEX + 1)
    assert held.check() == 1


def test_a_checkpoint_under_a_key_that_is_not_the_logs_is_refused(
    held: Held, capsys: pytest.CaptureFixture[str]
) -> None:
    assert held.check(key=str(log_signer(2).verifier)) == 1
    assert "no signature by a known key" in reason(capsys)


def test_one_of_several_keys_is_enough(held: Held) -> None:
    assert held.check("--key", str(log_signer(2).verifier)) == 0


def test_a_refusal_in_json_says_why(held: Held, capsys: pytest.CaptureFixture[str]) -> None:
    held.proof(text="nothing of a proof\n")
    assert held.check("--json") == 1
    assert orjson.loads(capsys.readouterr().out) == {
        "holds": False,
        "reason": "the proof does not hold: not a tlog-proof",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["--check", "proof.txt"],
        ["--check", "proof.txt", "--receipt", "receipt.jws"],
        ["--receipt", "receipt.jws", "--key", VKEY],
        ["--check", "proof.txt", "--receipt", "receipt.jws", "--key", "no+vkey"],
        [],
        ["--config", "gateway.yaml"],
        ["--index", "3"],
    ],
)
def test_wrong_usage_says_what_to_give(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "prove", *arguments]) == 2
    assert "--" in capsys.readouterr().err


def test_a_file_that_is_not_there_or_too_large_is_named(held: Held, capsys: pytest.CaptureFixture[str]) -> None:
    held.receipt(b"x" * 300_000)
    assert held.check() == 2
    assert "receipt.jws" in capsys.readouterr().err
    (held.folder / "receipt.jws").unlink()
    assert held.check() == 1
    assert "receipt.jws" in capsys.readouterr().err
