"""A real PostgreSQL server as a child process. It refuses to run as root, so root starts it as `postgres`."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType

import psycopg
import stamina
from psycopg import sql

_OPTIONS = ("--listen_addresses=", "--max_connections=50")
_DEBIAN = Path("/usr/lib/postgresql")


def find_binary(name: str) -> Path | None:
    """On PATH, else where Debian keeps each version's."""
    if (on_path := shutil.which(name)) is not None:
        return Path(on_path)
    return max(_DEBIAN.glob(f"*/bin/{name}"), default=None, key=lambda path: float(path.parts[-3]))


class PostgreSQL:
    """Use as a context manager; then `new_database()` gives the URL of an empty one."""

    def __init__(self, server: Path, initdb: Path, folder: Path, *, durable: bool = False) -> None:
        """`durable`: syncs its commits, for what measures them; test data has to survive no power cut."""
        self._server, self._initdb, self._folder = server, initdb, folder
        self._options = _OPTIONS if durable else (*_OPTIONS, "--fsync=off")
        self._as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)

    def __enter__(self) -> PostgreSQL:
        if self._as_user:
            shutil.chown(self._folder, "postgres")
        data = self._folder / "data"
        subprocess.run(
            [*self._as_user, self._initdb, "-D", data, "-U", "postgres", "--auth=trust", "--no-sync"],
            check=True,
            capture_output=True,
            cwd="/",
        )
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [*self._as_user, self._server, "-D", self._folder / "data", "-k", self._folder, *self._options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        for attempt in stamina.retry_context(on=psycopg.OperationalError, attempts=None, timeout=30, wait_initial=0.05):
            with attempt:
                self._connect().close()

    def stop(self) -> None:
        """At once, as when the machine went away."""
        if self._process is not None:
            pid = int((self._folder / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
            os.kill(pid, 3)  # SIGQUIT: immediate shutdown
            self._process.wait()
            self._process = None

    def start(self) -> None:
        if self._process is None:
            self._start()

    def new_database(self) -> str:
        name = f"test_{next(self._numbers)}"
        with self._connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"postgresql+psycopg://postgres@/{name}?host={self._folder}"

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(host=str(self._folder), user="postgres", dbname="postgres", autocommit=True)
