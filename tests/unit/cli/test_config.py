"""A configuration is checked with every mistake at once, for people and for programs."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import orjson
import pytest
import yaml

from gateway.cli.commands import run

EXAMPLES = Path(__file__).parents[3] / "config"
EXAMPLE = str(EXAMPLES / "gateway.yaml")


def test_example_is_valid_without_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "--without-files", EXAMPLE]) == 0
    text = capsys.readouterr().out
    assert "SZCREDIT01DP" in text
    assert "partner 0.0.0.0:8445" in text
    assert "valid, keys and certificates not looked at; configuration hash " in text


def test_option_names_the_file_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "--without-files", "--json", "--config", EXAMPLE]) == 0
    result = orjson.loads(capsys.readouterr().out)
    assert result == {"file": EXAMPLE, "valid": True, "problems": [], "configHash": result["configHash"]}


@pytest.mark.parametrize("arguments", [[], [EXAMPLE, "--config", EXAMPLE]])
def test_exactly_one_file_is_named(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", *arguments]) == 2
    assert capsys.readouterr().err == "cdi-gateway: name one configuration file: cdi-gateway config check FILE\n"


def test_every_mistake_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", EXAMPLE]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert f"cdi-gateway: {EXAMPLE}: bank.key_file: no such file, or not readable" in lines
    assert len(lines) > 10


def test_mistakes_are_facts_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    registry = yaml.safe_load((EXAMPLES / "participants.yaml").read_text("utf-8"))
    registry["participants"][0]["purposes"] = ["CURIOSITY"]
    (tmp_path / "participants.yaml").write_text(yaml.safe_dump(registry))
    file = tmp_path / "gateway.yaml"
    file.write_bytes((EXAMPLES / "gateway.yaml").read_bytes())
    assert run(["config", "check", "--without-files", "--json", str(file)]) == 2
    assert orjson.loads(capsys.readouterr().out) == {
        "file": str(file),
        "valid": False,
        "problems": [
            {"path": "participants_file: participants.0.purposes.0", "message": "is not in the code list"},
        ],
    }


@pytest.mark.parametrize(("arguments", "example"), [([], "gateway.yaml"), (["--participants"], "participants.yaml")])
def test_schema_is_json_schema_and_accepts_the_example(
    arguments: list[str], example: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["config", "schema", *arguments]) == 0
    schema = orjson.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    given = {key: value for key, value in yaml.safe_load((EXAMPLES / example).read_text("utf-8")).items() if value}
    if "platforms" in given:
        del given["platforms"][0]["breaker"]  # a key without a value counts as not given
    assert not list(jsonschema.Draft202012Validator(schema).iter_errors(given))
    assert list(jsonschema.Draft202012Validator(schema).iter_errors({**given, "unknown": 1}))
