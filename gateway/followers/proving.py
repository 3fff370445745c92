"""Proofs from the published files, under the newest checkpoint as it stands there, cosignatures included.

Reads nothing but what every outsider can read; needs no log and no key.
"""

from __future__ import annotations

from functools import lru_cache

from gateway.audit.note import NoteInvalid, checkpoint, parse
from gateway.audit.proof import InclusionProof
from gateway.audit.tiles import CHECKPOINT, WIDTH, Tile, TileHashes
from gateway.audit.tree import HASH_BYTES, inclusion_path
from gateway.core.merkle import root_from_path
from gateway.errors import AuditUnavailable
from gateway.ports import TileStore

_TILES_REMEMBERED_MAX = 256  # 2 MiB; the upper levels are in every proof


class Prover:
    """Blocking: called in threads."""

    def __init__(self, store: TileStore) -> None:
        self._store = store
        self._full = lru_cache(maxsize=_TILES_REMEMBERED_MAX)(self._read_full)

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
                self._full.cache_clear()  # the files may be repaired meanwhile
                raise AuditUnavailable(private="the published tiles are not those of the published checkpoint")
        except (NoteInvalid, ValueError) as error:
            raise AuditUnavailable(private=f"published files: {error}") from error
        return str(InclusionProof(index=index, path=path, checkpoint=data.decode()))

    def tile(self, tile: Tile) -> bytes:
        """A hash tile. The full one may have taken the place of a partial one. Raises ValueError for none."""
        if tile.width == WIDTH:
            return self._full(tile)
        data = self._store.read(tile.path)
        return data if data is not None else self._full(tile.full)[: tile.width * HASH_BYTES]

    def _read_full(self, tile: Tile) -> bytes:
        data = self._store.read(tile.path)
        if data is None:
            raise ValueError(f"{tile.path} is missing")
        return data
