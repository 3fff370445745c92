"""Real processes: readiness, failure with their last words, and no orphans."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.sandbox.children import Child, ChildFailed
from adapters.sandbox.clock import WallClock

FOREVER = "import time\nwhile True: time.sleep(60)"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\n" + FOREVER


def child(folder: Path, code: str) -> Child:
    return Child("child", ["-c", code], log_file=folder / "child.log", clock=WallClock())


async def never() -> bool:
    return False


async def test_a_child_that_ends_early_is_reported_with_its_last_words(tmp_path: Path) -> None:
    failing = child(tmp_path, "import sys; sys.exit('the port is taken')")
    failing.start()
    with pytest.raises(ChildFailed, match="the port is taken"):
        await failing.wait_until(never, deadline_seconds=30)


async def test_only_this_runs_words_are_reported(tmp_path: Path) -> None:
    (tmp_path / "child.log").write_text("of an earlier run\n")
    failing = child(tmp_path, "import sys; sys.exit('now')")
    with pytest.raises(ChildFailed) as failed:
        await failing.run_to_end(deadline_seconds=30)
    assert "earlier" not in str(failed.value)


async def test_a_child_that_is_not_ready_in_time_is_given_up(tmp_path: Path) -> None:
    slow = child(tmp_path, FOREVER)
    slow.start()
    with pytest.raises(ChildFailed, match="not ready"):
        await slow.wait_until(never, deadline_seconds=0.05)
    await slow.stop(grace_seconds=5)
    assert not slow.running


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    stubborn = child(tmp_path, STUBBORN)
    stubborn.start()

    async def up() -> bool:
        return "up" in stubborn.tail()

    await stubborn.wait_until(up, deadline_seconds=30)
    await stubborn.stop(grace_seconds=0.05)
    assert not stubborn.running


async def test_a_child_runs_once_at_a_time_and_again_after_its_end(tmp_path: Path) -> None:
    one = child(tmp_path, FOREVER)
    one.start()
    with pytest.raises(RuntimeError):
        one.start()
    await one.kill()
    one.start()
    assert one.running
    await one.stop(grace_seconds=5)


def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    log = str(tmp_path / "child.log")
    code = (
        "import pathlib, sys, time\n"
        "from adapters.sandbox.children import Child\n"
        "from adapters.sandbox.clock import WallClock\n"
        f"one = Child('child', ['-c', {FOREVER!r}], log_file=pathlib.Path({log!r}), clock=WallClock())\n"
        "one.start()\nprint(one.pid, flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=Path.cwd())
    assert parent.stdout is not None
    ended = os.pidfd_open(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    readable, _, _ = select.select([ended], [], [], 30)
    os.close(ended)
    parent.stdout.close()
    assert readable == [ended]


async def test_how_a_child_ended_is_known(tmp_path: Path) -> None:
    stopped = child(tmp_path, FOREVER)
    stopped.start()
    assert stopped.exit_code is None
    await stopped.kill()
    assert stopped.exit_code == -9
    done = child(tmp_path, "")
    await done.run_to_end(deadline_seconds=30)
    assert done.exit_code == 0
