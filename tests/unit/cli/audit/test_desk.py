"""What cannot be opened is one line that says what to do, with exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.desk import Desk
from gateway.cli.audit.desk import at_desk
from gateway.cli.terminal import Refused
from tests.unit.cli.audit.conftest import settings_of


async def work(desk: Desk) -> int:
    return len(desk.operator.name)


def test_the_exit_code_is_that_of_the_work(config: Path) -> None:
    assert at_desk(config, work) > 0


def test_a_missing_secret_is_named(config: Path) -> None:
    settings_of(config).secrets.storage_key_file.unlink()
    with pytest.raises(Refused, match="cannot be read"):
        at_desk(config, work)


def test_a_database_without_schema_says_what_to_run(config: Path) -> None:
    Path(settings_of(config).audit.url.removeprefix("sqlite:///")).unlink()
    with pytest.raises(Refused, match="cdi-gateway db upgrade"):
        at_desk(config, work)


def test_a_file_that_is_no_database_is_refused(config: Path) -> None:
    Path(settings_of(config).audit.url.removeprefix("sqlite:///")).write_bytes(b"a letter" * 1_000)
    with pytest.raises(Refused, match="audit database"):
        at_desk(config, work)


def test_a_log_of_another_name_is_refused(config: Path) -> None:
    assert at_desk(config, work) > 0
    config.write_text(config.read_text().replace("origin: ", "origin: other-"))
    with pytest.raises(Refused, match="log"):
        at_desk(config, work)
