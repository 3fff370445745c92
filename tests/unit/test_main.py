"""`python -m gateway` ends with the command's exit code."""

from __future__ import annotations

import subprocess
import sys


def test_exit_code_of_the_command_is_the_process_s() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "config", "check"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
