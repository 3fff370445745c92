"""Files are whole or not there, secrets are private, and a torn last line is no line."""

from __future__ import annotations

import stat
from pathlib import Path

from adapters.sandbox.files import append_line, read_json_lines, read_lines, write_public, write_secret


def test_secrets_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    write_secret(tmp_path / "a" / "key", b"k")
    write_public(tmp_path / "a" / "cert", b"c")
    assert stat.S_IMODE((tmp_path / "a" / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "a" / "cert").stat().st_mode) == 0o644


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write_public(tmp_path / "x", b"old")
    write_public(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"new"
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_lines_are_read_back_in_order(tmp_path: Path) -> None:
    for line in (b'{"n":1}', b'{"n":2}'):
        append_line(tmp_path / "log", line)
    assert read_json_lines(tmp_path / "log") == [{"n": 1}, {"n": 2}]
    assert read_lines(tmp_path / "nothing") == []


def test_a_torn_last_line_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b'{"n":1}\n{"n":')
    assert read_lines(file) == [b'{"n":1}']
    append_line(file, b'{"n":2}')
    assert read_json_lines(file) == [{"n": 1}, {"n": 2}]
