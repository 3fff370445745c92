"""Acts for two people, in tests of commands: a configuration that asks for it, and the second one's approval."""

from __future__ import annotations

from pathlib import Path

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gateway.compliance import approval

APPROVER = "officer-2"
_KEY = Ed25519PrivateKey.from_private_bytes(b"\x09" * 32)


def for_two_people(config: Path, action: str) -> None:
    """From now on the configuration wants `officer-2` to approve the action."""
    public = _KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (config.parent / "officer-2.pub.pem").write_bytes(public)
    document = yaml.safe_load(config.read_bytes())
    document["audit"]["second_person"] = {
        "actions": [action],
        "approvers": [{"name": APPROVER, "public_key_file": "officer-2.pub.pem"}],
    }
    config.write_text(yaml.safe_dump(document))


def approved(request: Path) -> Path:
    """The approval of what is in this file, in another file beside it."""
    private = _KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    asked = approval.parse_request(request.read_bytes())
    file = request.with_suffix(".jws")
    file.write_text(approval.approve(asked, APPROVER, private, asked.time, lifetime_seconds=3_600) + "\n")
    return file
