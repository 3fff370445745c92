"""Proofs from the published files, under the newest checkpoint as it stands there, cosignatures included.

Reads nothing but what every outsider can read; needs no log and no key.
"""

from __future__ import annotations

from gateway.audit.note import NoteInvalid, checkpoint, parse
from gateway.audit.proof import InclusionProof
from gateway.audit.tiles import CHECKPOINT, PublishedTiles, TileHashes
from gateway.audit.tree import inclusion_path
from gateway.core.merkle import root_from_path
from gateway.errors import AuditUnavailable
from gateway.ports import TileStore


class Prover:
    """Blocking: called in threads."""

    def __init__(self, store: TileStore) -> None:
        self._store = store
        self.tile = PublishedTiles(store.read)

    def proof(self, index: int) -> str | None:
        """See `ports.Publication.proof`. It is checked before it is handed out."""
        data = self._store.read(CHECKPOINT)
        if data is None:
            return None
        try:
            head = checkpoint(parse(data).text)
            if not 0 <= index < head.size:
                return None
            node = TileHashes(head.size, self.tile)
            path = inclusion_path(index, head.size, node)
            if root_from_path(node(0, index), index, head.size, path) != head.root:
                self.tile.forget()
                raise AuditUnavailable(private="the published tiles are not those of the published checkpoint")
        except (NoteInvalid, ValueError) as error:
            raise AuditUnavailable(private=f"published files: {error}") from error
        return str(InclusionProof(index=index, path=path, checkpoint=data.decode()))
