"""A published schema is never edited: others generated code from it."""

from __future__ import annotations

from schemas import publish


def test_no_published_schema_was_edited() -> None:
    assert publish.edited(publish.recorded(), publish.current()) == []


def test_every_schema_is_published() -> None:
    # When this fails on a new file: python -m schemas.publish
    assert publish.recorded() == publish.current()


def test_edited_and_missing_files_are_named() -> None:
    before: publish.Published = {"cdi/v1/a": "00", "cdi/v1/b": "11", "cdi/v1/c": "22"}
    assert publish.edited(before, {"cdi/v1/a": "00", "cdi/v1/b": "99"}) == ["cdi/v1/b", "cdi/v1/c"]


def test_code_list_may_grow_and_not_shrink() -> None:
    before: publish.Published = {"codelists/a": ["X", "Y"]}
    assert publish.edited(before, {"codelists/a": ["Y", "X", "Z"]}) == []
    assert publish.edited(before, {"codelists/a": ["X"]}) == ["codelists/a"]
