"""The demo's last step: the bank's receipt and the published audit log, checked as an outsider would, and forged.

It has the published folder, the verifier key and the bank's own files, and nothing of the gateway's.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from adapters.logreading.directory import DirectorySource
from gateway.audit.note import VerifierKey, verifier_key
from gateway.audit.verifying import Report, Trust, verify_log
from gateway.cli.audit.receipt import DoesNotHold, examine
from gateway.cli.story import Story
from gateway.profiles.dvp_v1.signature import KeySet

_WIDTH = 256  # entries in a bundle (C2SP tlog-tiles)


def check_receipt(story: Story, proof: bytes, receipt: str, *, vkey: str, keys: KeySet) -> int:
    """That the record of the receipt's outcome is in the log; its index, or -1."""
    try:
        held = examine(proof, receipt.encode(), [verifier_key(vkey)], keys)
    except DoesNotHold as error:
        story.check(f"the receipt does not hold: {error}", False)
        return -1
    log, outcome = held.claims["log"], held.claims["outcome"]
    story.check(
        f"receipt {outcome}, signed by {held.claims['iss']}: entry {log['index']} of {log['origin']}, under a signed "
        f"checkpoint of {held.head.size} entries",
        outcome == "MATCH",
    )
    return int(log["index"])


def check_log(story: Story, folder: Path, *, vkey: str, index: int) -> None:
    """The whole log as it is published, and a copy of it in which one bit of the entry was flipped."""
    key = verifier_key(vkey)
    report = _verified(folder, key)
    story.check(f"{report.entries} entries recomputed from their bytes: {_said(report)}", report.ok)
    with tempfile.TemporaryDirectory(prefix="cdi-gateway-forged-") as place:
        copy = Path(shutil.copytree(folder, Path(place) / "log"))
        file = _flip(copy, index)
        story.tell(f"one bit of entry {index} is flipped in a copy of {file}")
        forged = _verified(copy, key)
        story.check(_said(forged), not forged.ok and forged.first_wrong == (index, index))


def forgery_place(bundle: bytes, place: int) -> int:
    """Where the middle of the entry at this place of a bundle is: entries follow their length, a big-endian uint16."""
    start = 0
    for _ in range(place):
        start += 2 + int.from_bytes(bundle[start : start + 2], "big")
    return start + 2 + int.from_bytes(bundle[start : start + 2], "big") // 2


def _flip(folder: Path, index: int) -> str:
    number, place = divmod(index, _WIDTH)
    partial = folder / f"tile/entries/{number:03}.p"
    # The widest has the entry; narrower ones, of earlier checkpoints, may stand beside it.
    files = [folder / f"tile/entries/{number:03}"] if not partial.is_dir() else list(partial.iterdir())
    file = max(files, key=lambda one: int(one.name) if one.parent == partial else _WIDTH)
    data = bytearray(file.read_bytes())
    data[forgery_place(bytes(data), place)] ^= 0x01
    file.write_bytes(data)
    return file.relative_to(folder).as_posix()


def _verified(folder: Path, key: VerifierKey) -> Report:
    return verify_log(DirectorySource(folder), Trust(keys=(key,)))


def _said(report: Report) -> str:
    if report.ok:
        return f"the log of {report.size} entries verifies" + _witnessed(report.witnesses)
    where = report.first_wrong
    return f"refused: entry {where[0]} is not what was signed" if where else "refused"


def _witnessed(witnesses: tuple[tuple[str, int], ...]) -> str:
    return f", cosigned by {', '.join(name for name, _ in witnesses)}" if witnesses else ""
