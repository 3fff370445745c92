"""Both files and the environment, and every mistake of them at once, each with its path and without its value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.settings import Codes, Participants, Settings, SettingsError, config_hash, load, load_participants

EXAMPLES = Path(__file__).parents[3] / "config"


class Folder:
    """A configuration of its own, changed before it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.gateway: dict[str, Any] = yaml.safe_load((EXAMPLES / "gateway.yaml").read_text("utf-8"))
        self.registry: dict[str, Any] = yaml.safe_load((EXAMPLES / "participants.yaml").read_text("utf-8"))

    def write(self) -> Path:
        (self.path / "participants.yaml").write_text(yaml.safe_dump(self.registry, sort_keys=False))
        (self.path / "gateway.yaml").write_text(yaml.safe_dump(self.gateway, sort_keys=False))
        return self.path / "gateway.yaml"

    def load(
        self, *, environment: Mapping[str, str] | None = None, check_files: bool = False, codes: Codes | None = None
    ) -> tuple[Settings, Participants]:
        return load(self.write(), environment=environment or {}, check_files=check_files, codes=codes)

    def mistakes(
        self, *, environment: Mapping[str, str] | None = None, check_files: bool = False, codes: Codes | None = None
    ) -> dict[str, str]:
        with pytest.raises(SettingsError) as refused:
            self.load(environment=environment, check_files=check_files, codes=codes)
        return dict(refused.value.problems)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_example_is_valid(folder: Folder) -> None:
    settings, participants = folder.load()
    assert settings.platforms[0].id == "SZHKDVP01"
    assert len(participants.participants) == 5


def test_mistakes_of_both_files_and_the_environment_come_at_once(folder: Folder) -> None:
    folder.gateway["bank"]["port"] = "8443"
    folder.gateway["bnak"] = {}
    del folder.gateway["oauth"]["resource"]
    folder.registry["participants"][0]["role"] = "auditor"
    folder.registry["participants"][2]["jwks"] = "x"
    mistakes = folder.mistakes(
        environment={"CDI_GATEWAY__LOG__LEVEL": "loud", "CDI_GATEWAY__LIMITS__WAIT": "1", "CDI_GATEWAY__NO__SUCH": "1"}
    )
    assert set(mistakes) == {
        "bank.port",
        "bnak",
        "oauth.resource",
        "participants_file: participants.0.role",
        "participants_file: participants.2.jwks",
        "CDI_GATEWAY__LOG__LEVEL",
        "CDI_GATEWAY__LIMITS__WAIT",
        "CDI_GATEWAY__NO__SUCH",
    }


def test_values_of_the_file_are_in_no_message(folder: Folder) -> None:
    folder.gateway["bank"]["port"] = "canary"
    folder.gateway["canary-key"] = "canary-value"
    folder.gateway["log"] = {"level": "canary"}
    folder.gateway["oauth"]["resource"] = "canary"
    assert not any("canary" in message for message in folder.mistakes().values())


def test_environment_is_stronger_than_the_file(folder: Folder) -> None:
    settings, _ = folder.load(
        environment={
            "CDI_GATEWAY__BANK__PORT": "9443",
            "CDI_GATEWAY__LIMITS__WAIT_SECONDS_MAX": "20",
            "CDI_GATEWAY__BANK__TLS_MINIMUM": "1.2",
            "CDI_GATEWAY__PLATFORMS__0__URL": "https://other.example",
            "CDI_GATEWAY__OAUTH__ISSUERS__0__ALGORITHMS": "[ES256]",
            "CDI_GATEWAY__STORE__URL": "postgresql+psycopg://gateway@db.example/gateway",
        }
    )
    assert settings.bank.port == 9443
    assert settings.limits.wait_seconds_max == 20
    assert settings.bank.tls_minimum == "1.2"
    assert settings.platforms[0].url == "https://other.example"
    assert settings.oauth.issuers[0].algorithms == ("ES256",)
    assert settings.store.url == "postgresql+psycopg://gateway@db.example/gateway"


def test_variable_behind_the_end_of_a_list_is_refused(folder: Folder) -> None:
    variable = "CDI_GATEWAY__PLATFORMS__1__URL"
    assert folder.mistakes(environment={variable: "https://other.example"}) == {variable: "names no key"}


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("bank", "port", "8443"),
        ("bank", "port", True),
        ("bank", "port", 65_536),
        ("bank", "connections_max", 0),
        ("bank", "handshake_timeout_seconds", "10"),
        ("bank", "tls_minimum", 1.1),
        ("bank", "key_file", 5),
        ("bank", "client_crl_files", "crl.pem"),
        ("deployment", "public_url", "http://gateway.example"),
        ("deployment", "public_url", "https://gateway.example/path"),
        ("deployment", "participant_id", "HKGATEWAY01\n"),
        ("reports", "key_id", "two words"),
        ("oauth", "clock_skew_seconds", 61),
        ("oauth", "issuers", "https://tokens.example"),
    ],
)
def test_value_of_the_wrong_type_or_range_is_refused(folder: Folder, section: str, key: str, value: object) -> None:
    folder.gateway[section][key] = value
    assert list(folder.mistakes()) == [f"{section}.{key}"]


def test_files_that_are_missing_or_folders_are_each_named(folder: Folder) -> None:
    (folder.path / "pki").mkdir()
    folder.gateway["bank"]["key_file"] = "pki"
    mistakes = folder.mistakes(check_files=True)
    assert {"bank.key_file", "platforms.0.ca_file", "participants_file: participants.2.jwks_file"} <= set(mistakes)
    assert "platforms" not in mistakes
    assert set(mistakes.values()) == {"no such file, or not readable"}


def test_files_that_are_there_are_accepted_with_their_place(folder: Folder) -> None:
    expected, registry = folder.load()
    files = [
        *(expected.bank.certificate_file, expected.bank.key_file, expected.bank.client_ca_file),
        *(expected.partner.certificate_file, expected.partner.key_file, expected.partner.client_ca_file),
        *(expected.secrets.pseudonym_key_file, expected.secrets.storage_key_file, expected.reports.signing_key_file),
        expected.audit.signing_key_file,
        *(value for value in dict(expected.platforms[0]).values() if isinstance(value, Path)),
        *_oauth_files(expected),
        *(participant.jwks_file for participant in registry.participants if participant.jwks_file),
    ]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.touch()
    assert folder.load(check_files=True) == (expected, registry)
    assert expected.bank.key_file == folder.path / "pki" / "bank-server.key"
    assert expected.audit.url == f"sqlite:///{folder.path / 'data' / 'audit.db'}"


def _oauth_files(settings: Settings) -> list[Path]:
    consent, server, login = settings.consent, settings.oauth.server, settings.oauth.login
    introspection = settings.oauth.issuers[0].introspection
    assert consent is not None
    assert server is not None
    assert login is not None
    assert introspection is not None
    files = [consent.certificate_file, consent.key_file, server.signing_keys[0].file]
    return [*files, *filter(None, (login.oidc.key_file, introspection.secret_file))]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda config: config.pop("consent"), "consent"),
        (lambda config: config["oauth"].pop("login"), "oauth"),
        (lambda config: config["oauth"].update(server=None, login=None), "oauth.server"),
        (lambda config: config["oauth"].update(server=None, login=None, issuers=[]), "oauth"),
        (
            lambda config: config["oauth"]["server"]["signing_keys"].append({"file": "b.pem", "id": "tokens-2026"}),
            "oauth.server.signing_keys",
        ),
        (
            lambda config: config["oauth"]["server"].update(issuer="https://consent.bank.example/"),
            "oauth.server.issuer",
        ),
        (
            lambda config: config["oauth"]["server"].update(issuer="https://bank.example/consent"),
            "oauth.server.issuer",
        ),
        (lambda config: config["oauth"]["server"].update(code_seconds=61), "oauth.server.code_seconds"),
        (lambda config: config["oauth"]["server"].update(request_seconds=600), "oauth.server.request_seconds"),
        (lambda config: config["oauth"]["login"]["oidc"].update(secret_file="s"), "oauth.login.oidc"),
        (lambda config: config["oauth"]["login"]["oidc"].update(algorithms=["HS256"]), "oauth.login.oidc.algorithms.0"),
        (
            lambda config: config["oauth"]["login"]["oidc"].update(issuer="https://consent.bank.example"),
            "oauth.login.oidc.issuer",
        ),
        (
            lambda config: config["oauth"]["login"]["oidc"].update(issuer="https://consent.bank.example/"),
            "oauth.login.oidc.issuer",
        ),
        (lambda config: config["oauth"].update(lifetime_seconds_max=299), "oauth.lifetime_seconds_max"),
        (
            lambda config: config["oauth"]["issuers"][0].update(issuer="https://consent.bank.example"),
            "oauth.issuers.0.issuer",
        ),
        (
            lambda config: config["oauth"]["issuers"][0]["introspection"].pop("secret_file"),
            "oauth.issuers.0.introspection",
        ),
        (lambda config: config["consent"].update(port=8443), "consent.port"),
    ],
)
def test_authorization_server_that_could_not_serve_is_refused(
    folder: Folder, change: Callable[[dict[str, Any]], object], place: str
) -> None:
    change(folder.gateway)
    assert list(folder.mistakes()) == [place]


def test_tokens_may_live_just_as_long_as_the_own_server_gives_them(folder: Folder) -> None:
    folder.gateway["oauth"]["lifetime_seconds_max"] = 300
    assert folder.load()[0].oauth.lifetime_seconds_max == 300


def test_lease_must_outlive_the_longest_question(folder: Folder) -> None:
    folder.gateway["exchange"] = {"lease_seconds": 10}
    assert folder.mistakes() == {"exchange.lease_seconds": "must be more than every platform's deadline_seconds"}


def test_two_listeners_on_one_port_are_refused(folder: Folder) -> None:
    folder.gateway["partner"]["port"] = 8443
    folder.gateway["ops"]["port"] = 0
    assert folder.mistakes() == {"partner.port": "is the same as bank.port"}


def test_one_sqlite_file_for_store_and_audit_log_is_refused(folder: Folder) -> None:
    folder.gateway["store"] = {"url": "sqlite:///data/audit.db"}
    assert folder.mistakes() == {"audit.url": "must not be the store's file"}


@pytest.mark.parametrize("taken", ["gateway.db", "audit.db"])
def test_search_index_needs_a_sqlite_file_of_its_own(folder: Folder, taken: str) -> None:
    folder.gateway["audit"]["index_url"] = f"sqlite:///data/{taken}"
    assert folder.mistakes() == {"audit.index_url": "must not be the file of the store or the audit log"}


def test_targets_of_copies_are_named_once(folder: Folder) -> None:
    target = {"name": "siem", "url": "syslog+tls://siem.example:6514"}
    folder.gateway["audit"]["forward"] = [target, target]
    assert folder.mistakes() == {"audit.forward.1.name": "is given twice"}


def test_audit_files_start_at_the_folder_of_the_configuration(folder: Folder) -> None:
    settings, _ = folder.load()
    assert settings.audit.publish.dir == folder.path / "data" / "log"
    assert settings.audit.index_url == f"sqlite:///{folder.path / 'data' / 'audit-index.db'}"


def test_platforms_and_issuers_are_named_once(folder: Folder) -> None:
    folder.gateway["platforms"] *= 2
    folder.gateway["oauth"]["issuers"] *= 2
    folder.gateway["deployment"]["participant_id"] = "SZHKDVP01"
    assert set(folder.mistakes()) == {"platforms.0.id", "platforms.1.id", "oauth.issuers.1.issuer"}


def test_times_that_contradict_each_other_are_refused(folder: Folder) -> None:
    folder.gateway["platforms"][0].update(deadline_seconds=2, attempt_seconds=4)
    folder.gateway["exchange"] = {"retry_first_seconds": 9, "retry_max_seconds": 8}
    folder.gateway["oauth"]["issuers"][0].update(refresh_seconds=300, stale_seconds_max=200)
    assert folder.mistakes() == {
        "platforms.0": "attempt_seconds must not be more than deadline_seconds",
        "exchange": "retry_first_seconds must not be more than retry_max_seconds",
        "oauth.issuers.0": "stale_seconds_max must not be less than refresh_seconds",
    }


def test_participant_of_an_unknown_platform_is_refused(folder: Folder) -> None:
    folder.registry["participants"][2]["platform"] = "OTHERDVP"
    folder.registry["participants"][4]["id"] = "ANOTHERDVP"
    assert set(folder.mistakes()) == {
        "participants_file: participants.2.platform",
        "participants_file: participants.4.id",
    }


def test_codes_outside_the_published_lists_are_refused(folder: Folder) -> None:
    codes = Codes(
        document_types=frozenset({"CORPORATE_CREDIT_REPORT", "PERSONAL_CREDIT_REPORT", "BANK_STATEMENT"}),
        purposes=frozenset({"SME_LOAN_UNDERWRITING"}),
    )
    assert folder.mistakes(codes=codes) == {
        f"participants_file: participants.{path}": "is not in the code list"
        for path in (
            *("0.document_types.2", "0.document_types.3", "0.purposes.1"),
            *("3.document_types.1", "3.document_types.2"),
        )
    }


def test_registry_alone_is_read_again_with_the_same_checks(folder: Folder) -> None:
    folder.registry["participants"][0]["extra"] = 1
    folder.write()
    with pytest.raises(SettingsError) as refused:
        load_participants(folder.path / "participants.yaml", check_files=False)
    assert [path for path, _ in refused.value.problems] == ["participants.0.extra"]


def test_absent_files_are_one_mistake_each(folder: Folder) -> None:
    with pytest.raises(SettingsError) as refused:
        load(folder.path / "absent.yaml", environment={})
    assert refused.value.problems == [("", "cannot be read: No such file or directory")]
    folder.gateway["participants_file"] = "absent.yaml"
    assert "participants_file" in folder.mistakes(check_files=True)
    assert folder.mistakes() == {"participants_file": "cannot be read: No such file or directory"}


def test_hash_is_of_what_is_in_force(folder: Folder) -> None:
    before = config_hash(*folder.load())
    folder.gateway["log"] = {"level": "info"}
    folder.gateway["exchange"] = {"deadline_seconds": 600.0}
    assert config_hash(*folder.load()) == before, "the defaults, written out"
    folder.registry["participants"][0]["status"] = "suspended"
    assert config_hash(*folder.load()) != before
    assert len(before) == 64
