"""A publication that has published what it is told, with true checkpoints and proofs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit import note
from gateway.audit.note import Checkpoint, NoteSigner, VerifierKey
from gateway.audit.proof import InclusionProof
from gateway.core import merkle

LOG_ORIGIN = "gateway.example/log"


class FakePublication:
    """`ports.Publication`."""

    def __init__(self, origin: str = LOG_ORIGIN) -> None:
        self._signer = NoteSigner(origin, Ed25519PrivateKey.generate())
        self._origin = origin
        self._leaves: list[bytes] = []
        self._grown = asyncio.Event()
        self.waited: list[float] = []  # of each wait, its timeout in seconds

    @property
    def key(self) -> VerifierKey:
        return self._signer.verifier

    def publish(self, leaf_hashes: Sequence[bytes]) -> None:
        """A checkpoint over exactly these leaves; a shorter or another tree, as after a recovery, too."""
        self._leaves = list(leaf_hashes)
        self._grown.set()
        self._grown = asyncio.Event()

    def covered(self) -> int:
        return len(self._leaves)

    async def wait_covered(self, index: int, *, timeout_seconds: float) -> bool:
        self.waited.append(timeout_seconds)
        try:
            async with asyncio.timeout(timeout_seconds):
                while index >= len(self._leaves):
                    await self._grown.wait()
        except TimeoutError:
            return False
        return True

    async def proof(self, index: int) -> str | None:
        if index >= len(self._leaves):
            return None
        return str(
            InclusionProof(index=index, path=merkle.inclusion_path(index, self._leaves), checkpoint=self.checkpoint)
        )

    @property
    def checkpoint(self) -> str:
        head = Checkpoint(origin=self._origin, size=len(self._leaves), root=merkle.root(self._leaves))
        return note.signed(head.text, [self._signer.line(head.text)])
