"""`audit approve`: what is signed was shown, is another person's wish, and is nobody's who asked for it."""

from __future__ import annotations

import io
from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from adapters.clock import SystemClock
from gateway.cli.commands import run
from gateway.compliance import approval
from gateway.compliance.approval import Approver, Request

KEY = Ed25519PrivateKey.from_private_bytes(b"\x09" * 32)
WHAT: dict[str, str | int] = {"log": "log.example/1", "query": "outcome:MATCH\x1b[2J", "format": "case"}


@pytest.fixture
def asked(tmp_path: Path) -> Request:
    """The request, in `request.json`; the approver's key, in `key.pem`."""
    found = approval.request("export", WHAT, "sam", SystemClock().now())
    (tmp_path / "request.json").write_bytes(orjson.dumps(found.document()))
    (tmp_path / "key.pem").write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "key.pem").chmod(0o600)
    return found


def approve(folder: Path, *arguments: str, name: str = "mei") -> int:
    request, key, out = (str(folder / file) for file in ("request.json", "key.pem", "approval.jws"))
    return run(["audit", "approve", request, "--key", key, "--name", name, "--out", out, *arguments])


def test_the_approval_is_good_for_what_was_asked(
    asked: Request, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert approve(tmp_path, "--yes") == 0
    said = capsys.readouterr().out
    assert "sam asks to export" in said
    assert "query: outcome:MATCH" in said
    assert "\x1b" not in said
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    found = approval.checked(
        (tmp_path / "approval.jws").read_text(),
        asked,
        [Approver(name="mei", public_key=public)],
        SystemClock().now(),
        lifetime_seconds=60,
    )
    assert (found.approver, found.approval_id) == ("mei", asked.nonce)


def test_json_says_what_was_approved(asked: Request, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert approve(tmp_path, "--yes", "--json") == 0
    said = orjson.loads(capsys.readouterr().out)
    assert (said["approver"], said["approval"], said["what"]) == ("mei", asked.nonce, WHAT)


@pytest.mark.usefixtures("asked")
def test_nothing_is_signed_without_a_yes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert approve(tmp_path) == 1
    assert "interrupted" in capsys.readouterr().err
    assert not (tmp_path / "approval.jws").exists()


@pytest.mark.usefixtures("asked")
def test_who_asked_cannot_approve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert approve(tmp_path, "--yes", name="Sam") == 1
    assert "second person" in capsys.readouterr().err


def test_a_changed_request_is_refused(asked: Request, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = asked.document()
    document["what"]["query"] = "type:*"
    (tmp_path / "request.json").write_bytes(orjson.dumps(document))
    assert approve(tmp_path, "--yes") == 2
    assert "the request was changed" in capsys.readouterr().err


@pytest.mark.usefixtures("asked")
def test_files_that_cannot_be_used_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert approve(tmp_path, "--yes", "--out", str(tmp_path / "nowhere" / "approval.jws")) == 2
    assert "cannot be written" in capsys.readouterr().err
    (tmp_path / "request.json").unlink()
    assert approve(tmp_path, "--yes") == 2
    said = capsys.readouterr().err
    assert "request.json: cannot be read" in said
    assert len(said.splitlines()) == 1


@pytest.mark.usefixtures("asked")
def test_keys_and_files_are_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "approval.jws").write_text("there")
    assert approve(tmp_path, "--yes") == 2
    assert "is there already" in capsys.readouterr().err
    (tmp_path / "key.pem").chmod(0o644)
    assert approve(tmp_path, "--yes") == 2
    assert "chmod 600" in capsys.readouterr().err
