"""A published log for tests: entries cut into tiles and signed, as files in a folder or a mapping of paths to bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.note import COSIGNATURE_V1, Checkpoint, NoteSigner, signed
from gateway.audit.tiles import CHECKPOINT, WIDTH, Tile, bundle, tile_root, tiles_of
from gateway.audit.tree import Frontier
from gateway.core.canonical import canonical
from gateway.core.merkle import leaf_hash

ORIGIN = "log.example.com/gateway"
WITNESS = "witness.example.com/w1"
COSIGNED_AT = 1_800_000_000


def log_signer(number: int = 1, *, name: str = ORIGIN) -> NoteSigner:
    """The same key each time: test failures can be repeated."""
    return NoteSigner(name, Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


def witness_signer(number: int = 101, *, name: str = WITNESS) -> NoteSigner:
    return NoteSigner(name, Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32), type=COSIGNATURE_V1)


def entry(index: int, *, type: str = "verification.decided", **more: object) -> bytes:
    """Small, canonical, and of its own for each index."""
    return canonical({"v": 1, "id": f"01890000-0000-7000-8000-{index:012x}", "type": type, **more})


def entries_of(size: int) -> list[bytes]:
    return [entry(index) for index in range(size)]


def checkpoint(
    entries: Sequence[bytes], *, signers: Sequence[NoteSigner] = (), witnesses: Sequence[NoteSigner] = ()
) -> str:
    """The signed note over these entries; by `log_signer()` when nobody is named."""
    frontier = Frontier()
    frontier.extend(leaf_hash(data) for data in entries)
    names = signers or [log_signer()]
    text = Checkpoint(origin=names[0].verifier.name, size=len(entries), root=frontier.root()).text
    lines = [signer.line(text) for signer in names]
    return signed(text, lines + [witness.line(text, time=COSIGNED_AT) for witness in witnesses])


def tile_files(entries: Sequence[bytes], *, since: int = 0) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of every tile and bundle."""
    levels = [[leaf_hash(data) for data in entries]]
    while len(levels[-1]) >= WIDTH:
        below = levels[-1]
        full = range(0, len(below) // WIDTH * WIDTH, WIDTH)
        levels.append([tile_root(b"".join(below[start : start + WIDTH])) for start in full])
    for tile in tiles_of(len(entries), since=since):
        part = slice(tile.number * WIDTH, tile.number * WIDTH + tile.width)
        yield tile.path, bundle(entries[part]) if tile.level < 0 else b"".join(levels[tile.level][part])


def published(
    entries: Sequence[bytes], *, signers: Sequence[NoteSigner] = (), witnesses: Sequence[NoteSigner] = ()
) -> dict[str, bytes]:
    """The whole log as files."""
    files = dict(tile_files(entries))
    files[CHECKPOINT] = checkpoint(entries, signers=signers, witnesses=witnesses).encode()
    return files


def write(files: Mapping[str, bytes], folder: Path) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


@dataclass
class MemorySource:
    """See `verifying.Source`."""

    files: dict[str, bytes] = field(default_factory=dict)
    listed: bool = True

    def read(self, path: str, *, bytes_max: int) -> bytes | None:
        data = self.files.get(path)
        return None if data is None else data[: bytes_max + 1]

    def stream(self, paths: Iterable[str], *, bytes_max: int) -> Iterator[bytes | None]:
        return (self.read(path, bytes_max=bytes_max) for path in paths)

    def names(self, folder: str) -> list[str] | None:
        if not self.listed:
            return None
        return sorted(path for path in self.files if not folder or path.startswith(f"{folder}/"))


def bundle_path(index: int, size: int) -> str:
    number = index // WIDTH
    return Tile(level=-1, number=number, width=min(WIDTH, size - number * WIDTH)).path


def tile_path(level: int, index: int, size: int) -> str:
    """Of the tile of this level that stands for the entry."""
    number = index // WIDTH ** (level + 1)
    return Tile(level=level, number=number, width=min(WIDTH, size // WIDTH**level - number * WIDTH)).path
