"""Each format is put together; an extra that is not installed is said, with what to install."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.app.exports import FORMATS, TABLES, open_file
from gateway.compliance.exporting import ExportRefused

NOBODY: Any = SimpleNamespace()


@pytest.mark.parametrize("file_format", TABLES)
def test_tables_need_nothing_but_the_file(file_format: str, tmp_path: Path) -> None:
    with open_file(NOBODY, tmp_path / "out", file_format=file_format) as (file, draft):
        assert file.name == file_format
        assert draft.finish()[1] >= 0
    assert list(tmp_path.iterdir()) == []
    assert file_format in FORMATS


def test_a_missing_extra_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adapters.casefile.parquet", None)
    with (
        pytest.raises(ExportRefused, match=r"cdi-dvp-gateway\[parquet\]"),
        open_file(NOBODY, tmp_path / "out", file_format="parquet"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
