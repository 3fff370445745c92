"""A file has its name when it is whole, not before; no other file is replaced; what a crash leaves, the next clears."""

from __future__ import annotations

import errno
import hashlib
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.casefile.draft import Draft

CRASH = """
import os, signal, sys
from pathlib import Path
from adapters.casefile.draft import Draft
with Draft(Path(sys.argv[1])) as draft:
    draft.file.write(b"half of it")
    draft.file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def abandon(path: Path) -> None:
    with Draft(path) as draft:
        draft.file.write(b"secret")
        raise RuntimeError


def test_the_file_appears_whole_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "case.zip"
    with Draft(path) as draft:
        draft.file.write(b"content" * 500_000)
        assert not path.exists()
        digest, size = draft.finish()
        assert not path.exists()
        draft.publish()
    assert (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size) == (digest, size)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names(tmp_path) == ["case.zip"]


def test_what_was_not_published_is_gone(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        abandon(tmp_path / "case.zip")
    assert names(tmp_path) == []


def test_no_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "case.zip"
    with Draft(path) as draft:
        draft.finish()
        path.write_bytes(b"another's")
        with pytest.raises(FileExistsError):
            draft.publish()
    assert path.read_bytes() == b"another's"
    with pytest.raises(FileExistsError):
        Draft(path)
    (tmp_path / "link.zip").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        Draft(tmp_path / "link.zip")


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on FAT, or some network shares."""

    def link(*_names: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", link)


@pytest.mark.usefixtures("no_links")
def test_without_links_a_file_appears_whole_too(tmp_path: Path) -> None:
    path = tmp_path / "case.zip"
    with Draft(path) as draft:
        draft.file.write(b"whole")
        draft.finish()
        draft.publish()
    assert path.read_bytes() == b"whole"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names(tmp_path) == ["case.zip"]


@pytest.mark.usefixtures("no_links")
def test_without_links_no_file_is_replaced_either(tmp_path: Path) -> None:
    path = tmp_path / "case.zip"
    with Draft(path) as draft:
        draft.finish()
        path.write_bytes(b"another's")
        with pytest.raises(FileExistsError):
            draft.publish()
    assert path.read_bytes() == b"another's"
    assert names(tmp_path) == ["case.zip"]


@pytest.mark.usefixtures("no_links")
def test_without_links_a_name_that_was_taken_in_vain_is_given_back(tmp_path: Path) -> None:
    with Draft(tmp_path / "case.zip") as draft:
        draft.finish()
        (tmp_path / ".case.zip.part").unlink()
        with pytest.raises(FileNotFoundError):
            draft.publish()
    assert names(tmp_path) == []


def test_two_exports_do_not_write_one_file(tmp_path: Path) -> None:
    with Draft(tmp_path / "case.zip") as draft:
        draft.file.write(b"first")
        with pytest.raises(BlockingIOError):
            Draft(tmp_path / "case.zip")
        assert draft.finish()[1] == 5


def test_a_crash_leaves_what_the_next_export_clears(tmp_path: Path) -> None:
    path = tmp_path / "case.zip"
    root = Path(__file__).parents[4]
    done = subprocess.run([sys.executable, "-c", CRASH, str(path)], cwd=root, check=False)
    assert done.returncode == -signal.SIGKILL
    assert (path.exists(), names(tmp_path)) == (False, [".case.zip.part"])
    with Draft(path) as draft:
        draft.file.write(b"whole")
        draft.finish()
        draft.publish()
    assert path.read_bytes() == b"whole"
    assert names(tmp_path) == ["case.zip"]
