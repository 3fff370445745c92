"""The whole demo, as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", "demo", *arguments], capture_output=True, text=True, check=False
    )


def test_every_step_comes_out_as_it_must(tmp_path: Path) -> None:
    done = run("--keep", str(tmp_path / "kept"), "--json")
    assert done.stderr == ""
    story = orjson.loads(done.stdout)
    failed = [check["text"] for step in story["steps"] for check in step["checks"] if not check["ok"]]
    assert failed == []
    assert done.returncode == 0
    assert len(story["steps"]) == 9
    assert (tmp_path / "kept/sandbox.json").is_file()


def test_a_folder_that_cannot_be_used_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("--keep", str(tmp_path / "file"))
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("cdi-gateway: ")
