"""What all tests share: real servers as child processes, and how loudly a missing one is reported."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.postgresql import PostgreSQL, find_binary

_missing = pytest.StashKey[set[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-all", action="store_true", help="a missing tool fails its tests instead of skipping")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_missing] = set()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    missing = config.stash[_missing]
    if missing:
        terminalreporter.section("NOT EVERYTHING WAS TESTED", sep="!", red=True, bold=True)
        for name in sorted(missing):
            terminalreporter.write_line(f"{name} is not on this machine: its tests were skipped", red=True, bold=True)
        terminalreporter.write_line("--require-all makes this a failure")


@pytest.fixture(scope="session")
def require_tool(pytestconfig: pytest.Config) -> Callable[..., Path]:
    """`require_tool(name)`: the tool's path; without it the test is skipped, or fails under --require-all."""

    def require(name: str, found: Path | None = None) -> Path:
        path = found or (Path(which) if (which := shutil.which(name)) else None)
        if path is not None:
            return path
        if pytestconfig.getoption("--require-all"):
            pytest.fail(f"{name} is required by --require-all and is not on this machine", pytrace=False)
        pytestconfig.stash[_missing].add(name)
        pytest.skip(f"{name} is not on this machine")

    return require


@pytest.fixture(scope="session")
def postgresql(require_tool: Callable[..., Path]) -> Iterator[PostgreSQL]:
    """A real server of its own, on a Unix socket, for this run."""
    server, initdb = (require_tool(name, find_binary(name)) for name in ("postgres", "initdb"))
    # Not pytest's folder: the server runs as another user there, and a socket's path may have 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="pg-") as folder, PostgreSQL(server, initdb, Path(folder)) as running:
        yield running
