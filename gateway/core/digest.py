"""SHA-256 and SM3 of a document in one pass, as the API wants them. The bytes are hashed and forgotten."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives import hashes

from gateway.core.model import Digest, HashAlgorithm


class Hasher:
    """`update` with chunks of any size, then `digests` once. SM3 (GB/T 32905) is not in every build of hashlib."""

    def __init__(self) -> None:
        self.size = 0  # bytes so far
        self._sha256 = hashlib.sha256()
        self._sm3 = hashes.Hash(hashes.SM3())

    def update(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self._sha256.update(chunk)
        self._sm3.update(chunk)

    def digests(self) -> tuple[Digest, ...]:
        """One digest per algorithm. Raises cryptography's AlreadyFinalized the second time."""
        return (
            Digest(algorithm=HashAlgorithm.SHA256, value=self._sha256.hexdigest()),
            Digest(algorithm=HashAlgorithm.SM3, value=self._sm3.finalize().hex()),
        )


def digests_of(data: bytes) -> tuple[Digest, ...]:
    """The digests of bytes that are in memory anyway."""
    hasher = Hasher()
    hasher.update(data)
    return hasher.digests()
