"""The embedded authorization server's own keys, as a source like any other issuer's."""

from __future__ import annotations


class LocalKeys:
    """A JWKS that is at hand, for as long as the process runs. Other keys come with a restart."""

    def __init__(self, document: bytes) -> None:
        self._document = document

    async def fetch(self) -> bytes:
        """The document's bytes."""
        return self._document

    async def aclose(self) -> None:
        """Holds nothing open."""
