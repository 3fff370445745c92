"""YAML and environment become plain data, or a list of what is doubtful; never a value in a message."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings.source import FILE_BYTES_MAX, overrides, put, read


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "gateway.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_mapping_is_read_without_its_empty_keys(tmp_path: Path) -> None:
    file = written(tmp_path, "bank: {port: 8443, host:}\nlimits:\nlist: [{a:}]\n")
    assert read(file) == ({"bank": {"port": 8443}, "list": [{}]}, [])


def test_date_stays_the_text_that_was_written(tmp_path: Path) -> None:
    assert read(written(tmp_path, "key: 2026-01-31\n")) == ({"key": "2026-01-31"}, [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("bank: {port: 1, port: 2}\n", ("line 1", "the key is given twice in this mapping")),
        ("bank:\n  port: 1\nbank:\n  port: 2\n", ("line 3", "the key is given twice in this mapping")),
        ("8443: bank\n", ("", "has a key that is not text: put it into double quotes")),
        ("bank: {on: 1}\n", ("bank", "has a key that is not text: put it into double quotes")),
        ("bank: {port: .inf}\n", ("bank.port", "must be a finite number")),
        ("bank: {port: 9223372036854775808}\n", ("bank.port", "is too large a number")),
        ("bank: !!set {canary}\n", ("bank", "must be text, a number, true, false, a list or a mapping")),
        ("bank: !!python/object:os.system canary\n", ("line 1", "is not YAML here")),
        ("bank: [\n", ("line 2", "is not YAML here")),
        ("a: 1\n---\nb: 2\n", ("line 2", "is not YAML here")),
        ("bank: {[1, 2]: canary}\n", ("line 1", "is not YAML here")),
        (b"bank: \xff\xfe\n", ("", "is not UTF-8 text")),
        ("- canary\n", ("", "must be a mapping of sections")),
        ("", ("", "must be a mapping of sections")),
        ("[" * 5_000, ("", "is not YAML")),
    ],
)
def test_doubtful_yaml_is_refused(tmp_path: Path, text: str | bytes, problem: tuple[str, str]) -> None:
    assert read(written(tmp_path, text)) == ({}, [problem])


def test_every_duplicate_is_reported(tmp_path: Path) -> None:
    _, problems = read(written(tmp_path, "a: 1\na: 2\nb: {c: 1, c: 2}\n"))
    assert [where for where, _ in problems] == ["line 2", "line 3"]


def test_missing_file_and_folder_are_named_unreadable(tmp_path: Path) -> None:
    assert read(tmp_path / "absent.yaml") == ({}, [("", "cannot be read: No such file or directory")])
    assert read(tmp_path) == ({}, [("", "cannot be read: Is a directory")])


def test_file_above_the_limit_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, b"#" * (FILE_BYTES_MAX + 1))
    assert read(file) == ({}, [("", f"is larger than {FILE_BYTES_MAX} bytes")])


def test_variables_of_the_prefix_are_yaml_values() -> None:
    found, problems = overrides(
        {"GW__BANK__PORT": "9443", "GW__LOG__LEVEL": "debug", "GW__RATES__ROUTES": "{}", "HOME": "/root", "GW_X": "1"},
        "GW__",
    )
    assert problems == []
    assert found == {
        ("bank", "port"): ("GW__BANK__PORT", 9443),
        ("log", "level"): ("GW__LOG__LEVEL", "debug"),
        ("rates", "routes"): ("GW__RATES__ROUTES", {}),
    }


def test_variable_that_is_no_yaml_or_names_nothing_is_reported_by_name() -> None:
    found, problems = overrides({"GW__A": "[canary", "GW__": "1", "GW__A__": "1"}, "GW__")
    assert found == {}
    assert [variable for variable, _ in problems] == ["GW__", "GW__A", "GW__A__"]
    assert "canary" not in str(problems)


def test_value_is_put_into_sections_and_list_items() -> None:
    data = {"platforms": [{"url": "a"}, {"url": "b"}]}
    assert put(data, ("platforms", "1", "url"), "c")
    assert put(data, ("platforms", "0"), {})
    assert put(data, ("bank", "port"), 1)
    assert data == {"platforms": [{}, {"url": "c"}], "bank": {"port": 1}}


@pytest.mark.parametrize("path", [("list", "2"), ("list", "x", "y"), ("list", "-1"), ("text", "a"), ("text", "a", "b")])
def test_path_that_leads_nowhere_is_refused(path: tuple[str, ...]) -> None:
    data = {"list": [1, 2], "text": "t"}
    assert not put(data, path, 3)
    assert data == {"list": [1, 2], "text": "t"}
