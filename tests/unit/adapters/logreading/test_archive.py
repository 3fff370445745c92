"""A log in a zip archive, which may be anybody's: damaged, inflated, or no archive at all."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from adapters.logreading.archive import ArchiveSource, ArchiveUnreadable
from tests.published_log import entries_of, published

FILES = published(entries_of(300))


def archived(file: Path, *, prefix: str = "", files: dict[str, bytes] = FILES) -> Path:
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(prefix + path, data)
    return file


@pytest.mark.parametrize("prefix", ["", "log/", "a folder/"])
def test_files_are_read_also_from_one_folder_at_the_top(tmp_path: Path, prefix: str) -> None:
    with ArchiveSource(archived(tmp_path / "log.zip", prefix=prefix)) as source:
        assert {path: source.read(path, bytes_max=1_000_000) for path in FILES} == FILES
        assert list(source.stream(FILES, bytes_max=1_000_000)) == list(FILES.values())
        assert list(source.names("tile")) == sorted(path for path in FILES if path != "checkpoint")
        assert source.read("tile/0/007", bytes_max=10) is None


def test_folder_of_tiles_alone_is_no_folder_at_the_top(tmp_path: Path) -> None:
    files = {path: data for path, data in FILES.items() if path != "checkpoint"}
    with ArchiveSource(archived(tmp_path / "log.zip", files=files)) as source:
        assert source.read("tile/0/000", bytes_max=1_000_000) == FILES["tile/0/000"]


def test_inflated_file_is_read_one_byte_beyond_the_limit(tmp_path: Path) -> None:
    with ArchiveSource(archived(tmp_path / "bomb.zip", files={"checkpoint": bytes(50_000_000)})) as source:
        assert source.read("checkpoint", bytes_max=100) == bytes(101)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    file = archived(tmp_path / "log.zip")
    with ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("checkpoint", b"another")
    with pytest.raises(ArchiveUnreadable, match="two files of one name"):
        ArchiveSource(file)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.zip").write_bytes(b"no archive")
    with pytest.raises(ArchiveUnreadable, match="no zip archive"):
        ArchiveSource(tmp_path / "log.zip")


def test_damaged_member_is_refused(tmp_path: Path) -> None:
    file = archived(tmp_path / "log.zip")
    data = bytearray(file.read_bytes())
    at = data.index(b"tile/entries/000") + 40
    data[at : at + 20] = bytes(20)
    file.write_bytes(data)
    with ArchiveSource(file) as source, pytest.raises(ArchiveUnreadable, match="cannot be unpacked"):
        source.read("tile/entries/000", bytes_max=1_000_000)
