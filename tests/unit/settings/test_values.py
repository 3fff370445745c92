"""Kinds of values: a path has its place, a URL no password."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.settings.values import DatabaseUrl, File, Place, TlsVersion


def test_file_is_looked_for_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "key.pem").touch()
    files = TypeAdapter(File)
    place = Place(folder=tmp_path, check_files=True)
    assert files.validate_python("key.pem", context=place) == tmp_path / "key.pem"
    with pytest.raises(ValidationError, match="no such file"):
        files.validate_python("other.pem", context=place)
    assert files.validate_python("other.pem", context=Place(folder=tmp_path, check_files=False)).parent == tmp_path


def test_file_of_a_section_built_in_code_is_taken_as_it_is() -> None:
    assert TypeAdapter(File).validate_python("key.pem") == Path("key.pem")


@pytest.mark.parametrize("url", ["postgresql+psycopg://user:secret@host/db", "mysql://host/db", "sqlite://"])
def test_database_url_with_a_password_or_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(DatabaseUrl).validate_python(url)


def test_tls_version_may_be_written_as_a_number() -> None:
    assert TypeAdapter(TlsVersion).validate_python(1.2) == "1.2"
