"""How fast a published log is verified: `python tests/bench/audit_verify.py [--entries 1000000]`.

Writes a log of that many entries of about 800 bytes into a temporary folder, then verifies it in a process of its own
and reports its CPU time and its memory. The aim: a million entries in 20 s of CPU.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from gateway.audit.note import Checkpoint, signed  # noqa: E402
from gateway.audit.tiles import WIDTH, Tile, bundle, tile_root  # noqa: E402
from gateway.audit.tree import Frontier  # noqa: E402
from gateway.core.merkle import leaf_hash  # noqa: E402
from tests.published_log import entry, log_signer  # noqa: E402


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--entries", type=int, default=1_000_000)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-log-") as folder:
        entry_bytes = write_log(Path(folder), chosen.entries)
        row = measured(Path(folder))
    row = {"case": f"verify {chosen.entries} entries of {entry_bytes} bytes", **row}
    sys.stdout.write(f"{json.dumps(row)}\n")
    target = ROOT / "build/bench/audit_verify.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"name": "audit_verify", "rounds": 1, "rows": [row], "ratios": {}}, indent=2)
    target.write_text(text, "utf-8")
    return 0


def measured(folder: Path) -> dict[str, float]:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "gateway", "audit", "verify", str(folder), "--key", str(log_signer().verifier)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    after, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_s": round(cpu, 2), "wall_s": round(seconds, 2), "memory_mib": round(after.ru_maxrss / 1024, 1)}


def write_log(folder: Path, size: int) -> int:
    """The length of one entry."""
    for level in range(4):
        (folder / f"tile/{level}").mkdir(parents=True)
    frontier, above = Frontier(), []
    length = 0
    for number, entries in enumerate(_blocks(size)):
        length = len(entries[0])
        leaves = [leaf_hash(data) for data in entries]
        frontier.extend(leaves)
        _write(folder, Tile(level=-1, number=number, width=len(entries)), bundle(entries))
        _write(folder, Tile(level=0, number=number, width=len(entries)), b"".join(leaves))
        if len(entries) == WIDTH:
            above.append(tile_root(b"".join(leaves)))
    level = 1
    while above:
        tops = []
        for start in range(0, len(above), WIDTH):
            part = above[start : start + WIDTH]
            _write(folder, Tile(level=level, number=start // WIDTH, width=len(part)), b"".join(part))
            if len(part) == WIDTH:
                tops.append(tile_root(b"".join(part)))
        above, level = tops, level + 1
    signer = log_signer()
    text = Checkpoint(origin=signer.verifier.name, size=size, root=frontier.root()).text
    (folder / "checkpoint").write_text(signed(text, [signer.line(text)]), "utf-8")
    return length


def _blocks(size: int) -> Iterator[list[bytes]]:
    more = {
        "actor": {"certificate": "a" * 64, "client": "bank-a", "participant": "BANKA01DC", "role": "bank"},
        "consent": {"expireTime": 1_798_732_800, "id": "c" * 36, "purpose": "SME_LOAN", "status": "ConsentValid"},
        "config": "f" * 64,
        "document": {"issuer": "SZCREDIT01DP", "type": "CORPORATE_CREDIT_REPORT"},
        "latencyMs": 12,
        "sealed": {"data": "s" * 200, "key": "k" * 36},
        "subject": "b" * 64,
        "time": "2027-01-15T08:00:00.123456Z",
    }
    for start in range(0, size, WIDTH):
        yield [entry(index, **more) for index in range(start, min(size, start + WIDTH))]


def _write(folder: Path, tile: Tile, data: bytes) -> None:
    file = folder / tile.path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


if __name__ == "__main__":
    sys.exit(main())
