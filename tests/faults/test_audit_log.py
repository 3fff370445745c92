"""Disks that fail, fill and lie, processes that are killed between two system calls, clocks that go back.

After each: every acknowledged record is in the log exactly once and at its index, indices have no gap, the log can be
written again, and its new checkpoint is consistent with every earlier one. Faults are injected by the kernel's tracer
into the very system calls, so the database and the publisher run as they are.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest

from adapters.sql import migrations
from adapters.sql.audit import open_audit_log
from gateway.audit import note
from tests import audit_parts, samples
from tests.fakes import FakeSealer
from tests.faults.audit_child import ORIGIN, REFUSED

ROOT = Path(__file__).parents[2]
SEED = 20_261_124
ENOUGH = 2_000  # acknowledgements after which a child that nothing befell is killed
RUNS_EACH = 3

# Where the process may die: each system call that changes what is on disk, at one of so many turns of it.
KILLED_AT = {"pwrite64": 60, "fdatasync": 60, "write": 9, "rename": 9, "fsync": 6, "mkdir": 3, "unlinkat": 2}
FAILURES = (
    ("fdatasync", "EIO"),
    ("fdatasync", "ENOSPC"),
    ("pwrite64", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("write", "EIO"),
    ("write", "ENOSPC"),
    ("rename", "EIO"),
    ("fsync", "EIO"),
)


@dataclass(slots=True)
class Scene:
    """One log that lives through many processes, and what each of them acknowledged."""

    folder: Path
    acknowledged: dict[str, int] = field(default_factory=dict)
    checkpoints: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'audit.db'}"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def run(self, wrapper: Sequence[str] = (), *arguments: str) -> int:
        """One process, until the fault ends it or it has acknowledged enough; its exit code."""
        child = subprocess.Popen(
            [*wrapper, sys.executable, "-m", "tests.faults.audit_child", self.url, str(self.log), *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert child.stdout is not None
        for said, line in enumerate(child.stdout, start=1):
            if not line.endswith(b"\n"):
                break  # a line without its end was not said
            _, record_id, index = line.split()
            self.acknowledged[record_id.decode()] = int(index)
            if said == ENOUGH:
                os.killpg(child.pid, signal.SIGKILL)
        child.stdout.close()
        return child.wait(timeout=60)

    async def check(self) -> None:
        """What the promises are, on a healthy disk: recover, publish, and compare everything."""
        async with (
            open_audit_log(
                self.url, name=ORIGIN, origin=samples.ORIGIN, sealer=FakeSealer(), queue_max=99, batch_max=9
            ) as log,
            audit_parts.publishing(log, self.log, origin=ORIGIN, interval_seconds=0.05) as publisher,
        ):
            [position] = await log.append([samples.record()])  # it can be written again
            assert await publisher.wait_covered(position.index, timeout_seconds=30)
            stored = [(one.index, orjson.loads(one.entry or b"{}")["id"]) async for one in log.read()]
        assert [index for index, _ in stored] == list(range(len(stored)))
        places: dict[str, list[int]] = {}
        for index, record_id in stored:
            places.setdefault(record_id, []).append(index)
        assert {record_id: places.get(record_id) for record_id in self.acknowledged} == {
            record_id: [index] for record_id, index in self.acknowledged.items()
        }
        checkpoint = (self.log / "checkpoint").read_text()
        self.checkpoints.append(checkpoint)
        report = audit_parts.verified(self.log, origin=ORIGIN, earlier=self.checkpoints)
        assert report.ok, report.faults

    def note_checkpoint(self) -> None:
        """What outsiders may have fetched the moment the process died."""
        file = self.log / "checkpoint"
        if file.exists():
            self.checkpoints.append(file.read_text())


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A file system of its own that is full soon."""

    folder: Path

    def make_room(self) -> None:
        subprocess.run(["mount", "-o", "remount,size=64m", str(self.folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path, require_tool: Callable[..., Path]) -> Iterator[SmallDisk]:
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        require_tool("the right to mount a tmpfs")
    yield SmallDisk(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return _scene(tmp_path)


def _scene(folder: Path) -> Scene:
    made = Scene(folder=folder)
    migrations.upgrade(made.url, "audit")
    return made


@pytest.fixture
def inject(require_tool: Callable[..., Path]) -> Callable[[str, str], list[str]]:
    """`inject(syscall, what)`: the words before a command that make its system calls fail so."""
    strace = require_tool("strace")

    def words(syscall: str, what: str) -> list[str]:
        expression = f"inject={syscall}:{what}"
        only = ["-e", f"trace={syscall}", "-e", expression]
        return [str(strace), "-f", "-qq", "-o", "/dev/null", *only]

    return words


@pytest.mark.timeout(300)
@pytest.mark.parametrize("syscall", KILLED_AT)
async def test_death_at_a_system_call_loses_nothing(
    scene: Scene, inject: Callable[[str, str], list[str]], syscall: str
) -> None:
    chance = random.Random(f"{SEED} {syscall}")
    for _ in range(RUNS_EACH):
        before = len(scene.acknowledged)
        scene.run(inject(syscall, f"signal=KILL:when={chance.randint(1, KILLED_AT[syscall])}"))
        assert len(scene.acknowledged) - before < ENOUGH  # it died of the fault, and not of having said enough
        scene.note_checkpoint()
        await scene.check()
    assert scene.acknowledged


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("syscall", "error"), FAILURES)
async def test_a_failing_disk_loses_nothing(
    scene: Scene, inject: Callable[[str, str], list[str]], syscall: str, error: str
) -> None:
    chance = random.Random(f"{SEED} {syscall} {error}")
    for number in range(RUNS_EACH):
        turn = chance.randint(20, 80)
        when = f"{turn}" if number == 0 else f"{turn}+"  # once, and from then on
        code = scene.run(inject(syscall, f"error={error}:when={when}"))
        # The database's calls refuse for good; the publisher's are an alarm, and the log goes on without it.
        if syscall in {"fdatasync", "pwrite64"} and number:
            assert code == REFUSED
        scene.note_checkpoint()
        await scene.check()
    assert scene.acknowledged


@pytest.mark.timeout(300)
async def test_a_full_disk_refuses_and_loses_nothing(small_disk: SmallDisk) -> None:
    scene = _scene(small_disk.folder)
    assert scene.run() == REFUSED
    assert scene.acknowledged
    scene.note_checkpoint()
    small_disk.make_room()
    await scene.check()


@pytest.mark.timeout(300)
async def test_writes_that_are_cut_short_refuse_and_lose_nothing(scene: Scene) -> None:
    """At its limit a file takes the first part of a write only, and nothing of the next."""
    for kibibytes in (700, 1_201, 1_703):
        assert scene.run(["prlimit", f"--fsize={kibibytes * 1024 + 13}"]) == REFUSED
        scene.note_checkpoint()
        await scene.check()
    assert scene.acknowledged


async def test_a_clock_that_goes_back_changes_no_order(scene: Scene) -> None:
    assert scene.run((), "--clock-jumps") != REFUSED
    scene.note_checkpoint()
    await scene.check()
    async with open_audit_log(
        scene.url, name=ORIGIN, origin=samples.ORIGIN, sealer=FakeSealer(), queue_max=9, batch_max=9
    ) as log:
        times = [orjson.loads(one.entry or b"{}")["time"] async for one in log.read()]
    assert times != sorted(times)  # it did go back


async def test_a_kill_between_every_two_lines_keeps_checkpoints_consistent(scene: Scene) -> None:
    chance = random.Random(SEED)
    for _ in range(8):
        child = asyncio.to_thread(scene.run)
        await child
        scene.note_checkpoint()
        if chance.random() < 0.5:
            await scene.check()
    await scene.check()
    sizes = [note.checkpoint(note.parse(one).text).size for one in scene.checkpoints]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 3
