"""The rule finds what it is for, all at once."""

from __future__ import annotations

from pathlib import Path

from tests.lint.mirror import problems


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        file = root / name.replace("__", "/").replace("_py", ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


CODE = "def rule() -> int:\n    return 1\n"
TEST = "def test_rule() -> None:\n    assert 1\n"


def test_mirrored_source_is_accepted(tmp_path: Path) -> None:
    write(tmp_path, gateway__core__x_py=CODE, adapters__sql__y_py=CODE)
    write(tmp_path, tests__unit__core__test_x_py=TEST, tests__unit__adapters__sql__test_y_speed_py=TEST)
    assert list(problems(tmp_path, {})) == []


def test_every_broken_rule_is_reported(tmp_path: Path) -> None:
    write(tmp_path, gateway__core__x_py=CODE, adapters__sql__y_py=CODE)
    write(tmp_path, tests__unit__core__test_z_py=TEST, tests__end_to_end__test_all_py="def test_all() -> None: ...\n")
    assert list(problems(tmp_path, {})) == [
        "adapters/sql/y.py: no test file tests/unit/adapters/sql/test_y.py",
        "gateway/core/x.py: no test file tests/unit/core/test_x.py",
        "tests/end_to_end/test_all.py: asserts nothing",
        "tests/unit/core/test_z.py: mirrors no source file",
    ]


def test_file_without_code_needs_no_test(tmp_path: Path) -> None:
    write(tmp_path, gateway__names_py='"""Only names."""\n\nPORT = 8443\n')
    assert list(problems(tmp_path, {})) == []


def test_code_of_a_package_is_tested_under_its_name(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "__init__.py").write_text(CODE)
    assert list(problems(tmp_path, {})) == ["schemas/__init__.py: no test file tests/unit/test_schemas.py"]


def test_covered_source_must_be_there_with_its_test_and_reason(tmp_path: Path) -> None:
    write(tmp_path, adapters__sql__y_py=CODE, tests__contracts__test_store_py=TEST)
    test = "tests/contracts/test_store.py"
    assert list(problems(tmp_path, {"adapters/sql/y.py": (test, "tested whole")})) == []
    assert len(list(problems(tmp_path, {"adapters/sql/y.py": (test, ""), "adapters/sql/z.py": (test, "gone")}))) == 2
