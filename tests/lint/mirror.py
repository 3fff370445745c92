"""House rules about the tests, run by `make check`: each source file has its test file, and each test asserts.

`gateway/core/x.py` is tested in `tests/unit/core/test_x.py` (or `test_x_<aspect>.py`), `adapters/a/b.py` in
`tests/unit/adapters/a/test_b.py`. What a contract suite tests instead is named in `COVERED`, with the reason.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

SOURCES = ("gateway", "adapters", "schemas")

_SEARCH = ("tests/contracts/test_search_index.py", "one part of the index, tested whole by the port's contract")
_STORE = ("tests/contracts/test_store.py", "one part of the SQL store, tested whole by the port's contract")
_AUTHORIZATION = (
    "tests/contracts/test_authorization_store.py",
    "one part of the authorization server's state, tested whole by the port's contract",
)
_LOG = ("tests/contracts/test_audit_log.py", "one part of the SQL log, tested whole by the port's contract")

COVERED: dict[str, tuple[str, str]] = {
    "adapters/sql/audit.py": _LOG,
    "adapters/sql/authorization.py": _AUTHORIZATION,
    "adapters/sql/authorization_changes.py": _AUTHORIZATION,
    "adapters/sql/authorization_queries.py": _AUTHORIZATION,
    "adapters/sql/authorization_rows.py": _AUTHORIZATION,
    "adapters/sql/changes.py": _STORE,
    "adapters/sql/entry_rows.py": _LOG,
    "adapters/sql/log_acts.py": (
        "tests/contracts/test_audit_acts.py",
        "tested by the ports' contract, on every database",
    ),
    "adapters/sql/log_check.py": _LOG,
    "adapters/sql/log_turn.py": _LOG,
    "adapters/sql/outbox_rows.py": _STORE,
    "adapters/sql/queries.py": _STORE,
    "adapters/sql/rows.py": _STORE,
    "adapters/sql/search_index.py": _SEARCH,
    "adapters/sql/search_query.py": _SEARCH,
    "adapters/sql/search_tables.py": _SEARCH,
    "adapters/sql/store.py": _STORE,
    "adapters/sql/subject_keys.py": ("tests/contracts/test_audit_acts.py", "keys live in the log's database"),
    "gateway/cli/audit/second_person.py": (
        "tests/unit/cli/audit/test_erase.py",
        "tested by the commands that two people run",
    ),
    "gateway/http/bank.py": ("tests/end_to_end/test_errors.py", "routes are tested through the real listener"),
    "gateway/http/partner.py": ("tests/end_to_end/test_partner.py", "routes are tested through the real listener"),
}
"""Source file: (test file, why it is tested there)."""


def problems(root: Path, covered: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """Every broken rule, one line each. `covered`: see COVERED."""
    expected: set[tuple[Path, str]] = set()
    for source in sorted(file for name in SOURCES for file in (root / name).rglob("*.py")):
        path = source.relative_to(root)
        folder, name = _place(path)
        expected.add((folder, name))
        if path.as_posix() in covered or not _needs_test(source, path):
            continue
        if not any(_mirrors(test, name) for test in (root / folder).glob("test_*.py")):
            yield f"{path}: no test file {folder / f'test_{name}.py'}"
    for name, (elsewhere, reason) in covered.items():
        if not (root / name).is_file() or not (root / elsewhere).is_file() or not reason:
            yield f"{name}: named in COVERED, but it, its test file or the reason is missing"
    for test in sorted((root / "tests").rglob("test_*.py")):
        path = test.relative_to(root)
        if path.parts[1] == "unit" and not any(
            folder == path.parent and _mirrors(test, name) for folder, name in expected
        ):
            yield f"{path}: mirrors no source file"
        if not _asserts(test):
            yield f"{path}: asserts nothing"


def _place(path: Path) -> tuple[Path, str]:
    """Folder and name of the test; a package's own code is tested like a module of the package's name."""
    parts = path.parts[1:] if path.parts[0] == "gateway" else path.parts
    if path.name == "__init__.py":
        parts = parts[:-1] or ("gateway.py",)
    return Path("tests", "unit", *parts[:-1]), parts[-1].removesuffix(".py").strip("_")


def _mirrors(test: Path, name: str) -> bool:
    return test.stem == f"test_{name}" or test.stem.startswith(f"test_{name}_")


def _needs_test(source: Path, path: Path) -> bool:
    # A migration is exercised by every test that opens a database, and never edited.
    if "migrations" in path.parts and path.name != "__init__.py":
        return False
    # Names, values and Protocols have nothing to test: no function with more than its docstring.
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)) for line in node.body)
        for node in ast.walk(ast.parse(source.read_text("utf-8")))
    )


def _asserts(test: Path) -> bool:
    for node in ast.walk(ast.parse(test.read_text("utf-8"))):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"pytest.raises", "pytest.fail"}:
            return True
    # The tests of a contract suite are inherited, assertions included.
    return "Contract)" in test.read_text("utf-8")


def main() -> int:
    found = list(problems(Path(__file__).parents[2], COVERED))
    sys.stderr.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
