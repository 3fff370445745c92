"""Equal files give an equal zip, whenever and by whomever it is made."""

from __future__ import annotations

import hashlib
import io
import zipfile

import pytest

from adapters.casefile.archive import ZipArchive

FILES = {"README.txt": b"text" * 1_000, "records/1.json": b"{}", "empty": b""}


def made() -> bytes:
    data = io.BytesIO()
    archive = ZipArchive(data)
    for path, content in FILES.items():
        archive.start(path)
        for start in range(0, len(content), 700):
            archive.write(content[start : start + 700])
    assert archive.digests() == {path: hashlib.sha256(content).hexdigest() for path, content in FILES.items()}
    archive.close()
    return data.getvalue()


def test_equal_files_give_equal_bytes() -> None:
    assert made() == made()


def test_the_files_are_in_it_in_their_order_and_readable() -> None:
    with zipfile.ZipFile(io.BytesIO(made())) as bundle:
        assert {info.filename: bundle.read(info) for info in bundle.infolist()} == FILES
        assert [info.filename for info in bundle.infolist()] == list(FILES)
        assert {info.external_attr >> 16 for info in bundle.infolist()} == {0o100644}
        assert bundle.testzip() is None


def test_one_name_is_one_file() -> None:
    archive = ZipArchive(io.BytesIO())
    archive.start("a")
    with pytest.raises(ValueError, match="already"):
        archive.start("a")


def test_nothing_is_written_outside_a_file() -> None:
    with pytest.raises(ValueError, match="no file"):
        ZipArchive(io.BytesIO()).write(b"a")
