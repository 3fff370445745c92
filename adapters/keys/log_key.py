"""The audit log's own keys: Ed25519 from PEM files, as signers of its checkpoints. Read once, at start."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from adapters.keys.file import KeyFileRefused, read_key_file
from gateway.audit.note import NoteSigner


def log_signers(origin: str, files: Sequence[Path]) -> tuple[NoteSigner, ...]:
    """One signer for each file, under the log's name. Raises KeyFileRefused."""
    signers = tuple(NoteSigner(origin, _ed25519(file)) for file in files)
    if len({signer.verifier.public for signer in signers}) < len(signers):
        raise KeyFileRefused(f"{files[-1]}: a key that signs checkpoints is listed twice")
    return signers


def _ed25519(path: Path) -> Ed25519PrivateKey:
    data = read_key_file(path)
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError) as error:
        raise KeyFileRefused(f"{path}: is not an unencrypted PEM private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileRefused(f"{path}: is not an Ed25519 key; make one by `openssl genpkey -algorithm ed25519`")
    return key
