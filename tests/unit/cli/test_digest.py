"""Files are hashed as the API wants it; one that cannot be read does not hide the others."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from gateway.cli.commands import run
from gateway.cli.digest import CHUNK_BYTES
from gateway.core.digest import digests_of

SHA256_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
SM3_ABC = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"


@pytest.fixture
def abc(tmp_path: Path) -> str:
    (tmp_path / "abc.pdf").write_bytes(b"abc")
    return str(tmp_path / "abc.pdf")


def test_digests_are_lines_for_people(abc: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["digest", abc]) == 0
    assert capsys.readouterr().out == f"SHA256  {SHA256_ABC}  {abc}\nSM3     {SM3_ABC}  {abc}\n"


def test_json_is_ready_for_a_request(abc: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["digest", "--json", abc]) == 0
    assert orjson.loads(capsys.readouterr().out) == [
        {
            "file": abc,
            "size": 3,
            "digests": [{"algorithm": "SHA256", "value": SHA256_ABC}, {"algorithm": "SM3", "value": SM3_ABC}],
        }
    ]


def test_file_larger_than_a_chunk_is_hashed_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = b"0123456789abcdef" * (CHUNK_BYTES // 16) + b"end"
    (tmp_path / "large").write_bytes(data)
    assert run(["digest", "--json", str(tmp_path / "large")]) == 0
    result = orjson.loads(capsys.readouterr().out)[0]
    assert result["size"] == len(data)
    assert [item["value"] for item in result["digests"]] == [digest.value for digest in digests_of(data)]


def test_unreadable_file_is_reported_and_the_others_are_hashed(
    abc: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["digest", str(tmp_path / "absent"), str(tmp_path), abc]) == 1
    said = capsys.readouterr()
    assert said.out.count(abc) == 2
    assert said.err == (
        f"cdi-gateway: {tmp_path / 'absent'}: No such file or directory\ncdi-gateway: {tmp_path}: Is a directory\n"
    )
