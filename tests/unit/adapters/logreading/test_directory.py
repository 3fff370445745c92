"""A log in a folder: its files, and nothing of the writer's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapters.logreading.directory import DirectorySource
from tests import published_log
from tests.published_log import entries_of, published

FILES = published(entries_of(300))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return published_log.write(FILES, tmp_path / "log")


def test_files_are_read(folder: Path) -> None:
    source = DirectorySource(folder)
    assert {path: source.read(path, bytes_max=1_000_000) for path in FILES} == FILES
    assert list(source.stream(FILES, bytes_max=1_000_000)) == list(FILES.values())


def test_long_file_is_read_one_byte_beyond_the_limit(folder: Path) -> None:
    assert DirectorySource(folder).read("tile/0/000", bytes_max=10) == FILES["tile/0/000"][:11]


@pytest.mark.parametrize("path", ["tile/0/007", "tile/0", "checkpoint/x", "tile/0/000/x"])
def test_what_is_no_file_is_none(folder: Path, path: str) -> None:
    assert DirectorySource(folder).read(path, bytes_max=10) is None


def test_pipe_is_no_file(folder: Path) -> None:
    os.mkfifo(folder / "tile/0/007")
    assert DirectorySource(folder).read("tile/0/007", bytes_max=10) is None


def test_names_are_those_of_the_log(folder: Path) -> None:
    (folder / ".lock").touch()
    (folder / "tile/0/.001.tmp").touch()
    (folder / "timestamps").mkdir()
    (folder / "timestamps/5.tsr").touch()
    source = DirectorySource(folder)
    assert sorted(source.names("tile")) == sorted(path for path in FILES if path != "checkpoint")
    assert list(source.names("timestamps")) == ["timestamps/5.tsr"]
    assert list(source.names("nothing")) == []
    assert sorted(source.names("")) == sorted([*FILES, "timestamps/5.tsr"])


def test_folder_that_cannot_be_listed_is_an_error(folder: Path) -> None:
    with pytest.raises(NotADirectoryError):
        list(DirectorySource(folder).names("checkpoint"))
