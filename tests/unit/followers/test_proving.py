"""Proofs from the files alone hold for every index, and none is handed out that does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.tiles.directory import TileDirectory
from gateway.audit import proof
from gateway.audit.tiles import Tile
from gateway.errors import AuditUnavailable
from gateway.followers.proving import Prover
from tests.fakes_trail import LOG, MemoryLog, publisher, signer


async def published(folder: Path, size: int) -> tuple[MemoryLog, TileDirectory]:
    log, store = MemoryLog(size), TileDirectory(folder)
    one, watcher = publisher(log, store)
    await one.start()
    store.unlock()
    assert not watcher.errors
    return log, store


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 700])
async def test_every_entry_is_proven(tmp_path: Path, size: int) -> None:
    log, store = await published(tmp_path, size)
    prover = Prover(store)
    for stored in log.rows[:: max(size // 50, 1)]:
        text = prover.proof(stored.index)
        assert text is not None
        head = proof.verify(proof.parse(text), stored.leaf_hash, origin=LOG, keys=[signer().verifier])
        assert head.size == size


async def test_there_is_no_proof_of_what_is_not_covered(tmp_path: Path) -> None:
    assert Prover(TileDirectory(tmp_path)).proof(0) is None
    _, store = await published(tmp_path, 3)
    assert Prover(store).proof(3) is None
    assert Prover(store).proof(-1) is None


async def test_a_full_tile_takes_the_place_of_a_partial_one(tmp_path: Path) -> None:
    log, store = await published(tmp_path, 200)
    full = MemoryLog(256)
    store.write([(Tile(level=0, number=0).path, b"".join(stored.leaf_hash for stored in full.rows))])
    store.remove_partial(Tile(level=0, number=0))
    text = Prover(store).proof(7)
    assert text is not None
    assert proof.verify(proof.parse(text), log.rows[7].leaf_hash, origin=LOG, keys=[signer().verifier]).size == 200


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("tile/0/000", None),
        ("tile/0/000", b"short"),
        ("tile/0/000", bytes(8_192)),
        ("tile/1/000.p/1", bytes(32)),
        ("checkpoint", b"nothing"),
    ],
)
async def test_files_that_do_not_hold_together_give_none(tmp_path: Path, path: str, data: bytes | None) -> None:
    _, store = await published(tmp_path, 300)
    if data is None:
        store.remove([path])
    else:
        store.write([(path, data)])
    with pytest.raises(AuditUnavailable):
        Prover(store).proof(280 if path == "tile/1/000.p/1" else 5)


async def test_a_file_that_was_repaired_is_read_again(tmp_path: Path) -> None:
    _, store = await published(tmp_path, 300)
    prover, path = Prover(store), Tile(level=0, number=0).path
    whole = store.read(path)
    assert whole is not None
    store.write([(path, bytes(len(whole)))])
    with pytest.raises(AuditUnavailable):
        prover.proof(5)
    store.write([(path, whole)])
    assert prover.proof(5) is not None
