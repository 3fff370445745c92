"""The annotated example `config/gateway.yaml` is the sections' documentation: complete, and true about defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from gateway.settings import Settings, Store, load

EXAMPLE = Path(__file__).parents[3] / "config" / "gateway.yaml"
SETTINGS, PARTICIPANTS = load(EXAMPLE, environment={}, check_files=False)


# One of several ways must be given, and the example shows one.
ONE_OF = {"oauth.login.oidc.key_file", "oauth.login.oidc.key_id", "oauth.issuers.introspection.secret_file"}


def documented(text: str) -> Any:
    """The example with every default uncommented."""
    return yaml.safe_load(re.sub(r"^( *)#((?:- )?[a-z_]+:)", r"\1\2", text, flags=re.MULTILINE))


def sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from sections(argument)


def fields(model: type[BaseModel], given: Any, path: str = "") -> Iterator[tuple[str, FieldInfo, Any]]:
    """(path, field, what the example has there) of every key, down to the leaves."""
    assert set(given) == set(model.model_fields), f"keys of {path or 'the file'}"
    for name, field in model.model_fields.items():
        where, value = f"{path}{name}", given[name]
        inner = next(sections(field.annotation), None)
        if inner is not None and isinstance(value, dict) and value and name != "routes":
            yield from fields(inner, value, f"{where}.")
        elif inner is not None and isinstance(value, list):
            for index, item in enumerate(value):
                yield from fields(inner, item, f"{where}.{index}.")
        else:
            yield where, field, value


def test_example_names_every_key_with_its_default() -> None:
    for path, field, value in fields(Settings, documented(EXAMPLE.read_text("utf-8"))):
        exempt = ONE_OF | {"rates.participant", "rates.browser"}
        if not field.is_required() and path.replace(".0.", ".") not in exempt:
            default = field.get_default()
            expected = list(default) if isinstance(default, tuple) else default
            assert str(value) == str(expected), path


def test_example_has_nothing_uncommented_but_what_must_be_given() -> None:
    given = yaml.safe_load(EXAMPLE.read_text("utf-8"))

    def leaves(model: type[BaseModel], value: Any, path: str) -> None:
        for name, item in (value or {}).items():
            field = model.model_fields[name]
            inner = next(sections(field.annotation), None)
            if inner is None:
                assert field.is_required() or f"{path}{name}" in ONE_OF, (
                    f"{path}{name} is optional and should be commented"
                )
            for part in item if isinstance(item, list) else [item]:
                if inner is not None:
                    leaves(inner, part, f"{path}{name}.")

    leaves(Settings, given, "")


def test_example_explains_every_section_in_the_words_of_the_code() -> None:
    text = re.sub(r"\W+", " ", EXAMPLE.read_text("utf-8"))
    for path, field, _ in fields(Settings, documented(EXAMPLE.read_text("utf-8"))):
        if not path.startswith(("partner.", "rates.", "store.url", "audit.")):
            assert re.sub(r"\W+", " ", field.description or "missing").strip() in text, path


def test_example_defaults_stand_for_absent_sections() -> None:
    assert SETTINGS.limits.body_bytes_max == 65_536
    assert SETTINGS.rates.participant.rate().burst == 100
    assert SETTINGS.bank.tls_minimum == "1.3"


def test_relative_paths_start_at_the_folder_of_the_file() -> None:
    assert SETTINGS.bank.key_file == EXAMPLE.parent / "pki" / "bank-server.key"
    assert SETTINGS.store.url == f"sqlite:///{EXAMPLE.parent / 'data' / 'gateway.db'}"


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://gateway:canary@db.example/gateway", "postgresql+psycopg://:canary@db.example/gateway"]
)
def test_password_in_a_database_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Store(url=url)
    assert "canary" not in str(refused.value.errors(include_input=False))


@pytest.mark.parametrize(
    "url",
    ["sqlite:////var/lib/gateway.db", "postgresql+psycopg://gateway@db.example:5432/gateway?passfile=/run/pgpass"],
)
def test_database_urls_of_both_engines_are_accepted(url: str) -> None:
    assert Store(url=url).url == url


def test_settings_cannot_be_changed_after_construction() -> None:
    with pytest.raises(ValidationError):
        SETTINGS.log.level = "debug"  # type: ignore[misc]  # frozen is what is tested
