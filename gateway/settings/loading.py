"""From the two files and the environment to checked settings, or to every mistake at once (`SettingsError`).

Strongest first: environment (`CDI_GATEWAY__SECTION__KEY`), then `gateway.yaml`. Relative paths start at the folder
of the file that names them. Rules that span sections or both files stand here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from gateway.core.canonical import canonical_sha256
from gateway.core.model import Role
from gateway.settings import source
from gateway.settings.participants import Participants
from gateway.settings.sections import Settings
from gateway.settings.source import Problem
from gateway.settings.values import Listener, Place

ENV_PREFIX = "CDI_GATEWAY__"
_SQLITE = "sqlite:///"

_Model = TypeVar("_Model", bound=BaseModel)


class SettingsError(Exception):
    """The configuration is wrong: `problems` holds one (path, message) each, and never a value."""

    def __init__(self, file: Path, problems: list[Problem]) -> None:
        super().__init__(f"{file}: {len(problems)} mistake(s)")
        self.file = file
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """The published code lists, which the registry must keep to."""

    document_types: frozenset[str]
    purposes: frozenset[str]


def load(
    file: Path,
    *,
    codes: Codes | None = None,
    environment: Mapping[str, str] = os.environ,
    check_files: bool = True,
) -> tuple[Settings, Participants]:
    """Read and check both files. Raises SettingsError with every mistake of both.

    `codes` None leaves document types and purposes unchecked; `check_files` False accepts keys and certificates that
    are not at hand, as in a review of the configuration alone.
    """
    data, problems = source.read(file)
    readable = not problems
    variables, mistakes = source.overrides(environment, ENV_PREFIX)
    problems += mistakes
    for path, (variable, value) in variables.items():
        if not source.put(data, path, value):
            problems.append((variable, "names no key"))
    place = Place(folder=file.parent.absolute(), check_files=check_files)
    settings: Settings | None = None
    if readable:
        named = {path: variable for path, (variable, _) in variables.items()}
        settings, mistakes = _validated(Settings, data, place, named)
        problems += mistakes
    participants: Participants | None = None
    registry = data.get("participants_file")
    if isinstance(registry, str):
        try:
            participants = load_participants(file.parent / registry, codes=codes, check_files=check_files)
        except SettingsError as error:
            problems += [(": ".join(filter(None, ("participants_file", path))), text) for path, text in error.problems]
    if settings is not None:
        settings = _in_folder(settings, place.folder)
        problems += _relations(settings)
    if settings is not None and participants is not None:
        problems += _unknown_platforms(settings, participants)
    if problems or settings is None or participants is None:
        raise SettingsError(file, problems)
    return settings, participants


def load_participants(file: Path, *, codes: Codes | None = None, check_files: bool = True) -> Participants:
    """Read and check the registry alone, as a reload does. Raises SettingsError."""
    data, problems = source.read(file)
    if problems:
        raise SettingsError(file, problems)
    place = Place(folder=file.parent.absolute(), check_files=check_files)
    participants, problems = _validated(Participants, data, place, {})
    if participants is not None:
        problems += participants.ambiguities()
        if codes is not None:
            problems += _unknown_codes(participants, codes)
    if problems or participants is None:
        raise SettingsError(file, problems)
    return participants


def config_hash(settings: Settings, participants: Participants) -> str:
    """Hex SHA-256 of what is in force, defaults included: `config` of every audit entry. Files count by their path."""
    return canonical_sha256(
        {
            "settings": _hashable(settings.model_dump(mode="json")),
            "participants": _hashable(participants.model_dump(mode="json")),
        }
    )


def _validated(
    model: type[_Model], data: dict[str, Any], place: Place, variables: Mapping[tuple[str, ...], str]
) -> tuple[_Model | None, list[Problem]]:
    try:
        # JSON mode because strict: "8443" is no port and `yes` no number, yet a text may be a path or a code.
        return model.model_validate_json(orjson.dumps(data), strict=True, context=place), []
    except ValidationError as error:
        # The input is left out: a value could be a pasted secret.
        items = error.errors(include_input=False, include_url=False)
    # A list whose items are wrong counts as empty for pydantic: only the items are the mistake.
    wrong = {item["loc"][:length] for item in items for length in range(len(item["loc"]))}
    items = [item for item in items if item["type"] != "too_short" or item["loc"] not in wrong]
    return None, [
        (_where(tuple(str(part) for part in item["loc"]), variables), item["msg"].removeprefix("Value error, "))
        for item in items
    ]


def _where(path: tuple[str, ...], variables: Mapping[tuple[str, ...], str]) -> str:
    """The dotted path, or the environment variable that set this value, the one around it or one within."""
    for length in range(len(path), 0, -1):
        if path[:length] in variables:
            return ".".join((variables[path[:length]], *path[length:]))
    within = (variable for full, variable in variables.items() if full[: len(path)] == path)
    return next(within, ".".join(path))


def _in_folder(settings: Settings, folder: Path) -> Settings:
    return settings.model_copy(
        update={
            "store": settings.store.model_copy(update={"url": _sqlite_in(folder, settings.store.url)}),
            "audit": settings.audit.model_copy(
                update={
                    "url": _sqlite_in(folder, settings.audit.url),
                    "index_url": _sqlite_in(folder, settings.audit.index_url),
                    "publish": settings.audit.publish.model_copy(update={"dir": folder / settings.audit.publish.dir}),
                }
            ),
        }
    )


def _sqlite_in(folder: Path, url: str) -> str:
    if not url.startswith(_SQLITE):
        return url
    return f"{_SQLITE}{folder / url.removeprefix(_SQLITE)}"


def _relations(settings: Settings) -> Iterator[Problem]:
    listeners: tuple[tuple[str, Listener], ...] = (
        ("bank", settings.bank),
        *((("consent", settings.consent),) if settings.consent is not None else ()),
        ("partner", settings.partner),
        ("ops", settings.ops),
    )
    for (one, first), (other, second) in combinations(listeners, 2):
        if first.port and (first.host, first.port) == (second.host, second.port):
            yield f"{other}.port", f"is the same as {one}.port"
    # A lease that ended during the question would let a second process ask it at the same time.
    if settings.exchange.lease_seconds <= max(platform.deadline_seconds for platform in settings.platforms):
        yield "exchange.lease_seconds", "must be more than every platform's deadline_seconds"
    if settings.store.url == settings.audit.url and settings.store.url.startswith(_SQLITE):
        yield "audit.url", "must not be the store's file"
    if settings.audit.index_url in {settings.store.url, settings.audit.url} and settings.store.url.startswith(_SQLITE):
        yield "audit.index_url", "must not be the file of the store or the audit log"
    targets: set[str] = set()
    for index, target in enumerate(settings.audit.forward):
        if target.name in targets:
            yield f"audit.forward.{index}.name", "is given twice"
        targets.add(target.name)
    seen: set[str] = {settings.deployment.participant_id}
    for index, platform in enumerate(settings.platforms):
        if platform.id in seen:
            yield f"platforms.{index}.id", "is the id of another platform, or of the gateway itself"
        seen.add(platform.id)
    yield from _oauth_relations(settings)


def _oauth_relations(settings: Settings) -> Iterator[Problem]:
    server, login = settings.oauth.server, settings.oauth.login
    if server is not None and settings.consent is None:
        yield "consent", "is needed by oauth.server"
    if server is None and settings.consent is not None:
        yield "oauth.server", "is needed by the listener consent"
    issuers: set[str] = set() if server is None else {server.issuer}
    if server is not None and len({key.id for key in server.signing_keys}) < len(server.signing_keys):
        yield "oauth.server.signing_keys", "has two keys of one id"
    if server is not None and login is not None and login.oidc.issuer.rstrip("/") == server.issuer:
        yield "oauth.login.oidc.issuer", "is the gateway's own issuer: data owners sign in elsewhere"
    if server is not None and settings.oauth.lifetime_seconds_max < server.access_token_seconds:
        yield "oauth.lifetime_seconds_max", "must not be less than oauth.server.access_token_seconds"
    for index, issuer in enumerate(settings.oauth.issuers):
        if issuer.issuer in issuers:
            yield f"oauth.issuers.{index}.issuer", "is given twice"
        issuers.add(issuer.issuer)


def _unknown_codes(participants: Participants, codes: Codes) -> Iterator[Problem]:
    for index, participant in enumerate(participants.participants):
        for name, given, known in (
            ("document_types", participant.document_types, codes.document_types),
            ("purposes", participant.purposes, codes.purposes),
        ):
            for number, code in enumerate(given):
                if code not in known:
                    yield f"participants.{index}.{name}.{number}", "is not in the code list"


def _unknown_platforms(settings: Settings, participants: Participants) -> Iterator[Problem]:
    known = {platform.id for platform in settings.platforms}
    for index, participant in enumerate(participants.participants):
        where = f"participants_file: participants.{index}"
        if participant.platform is not None and participant.platform not in known:
            yield f"{where}.platform", "no platform of this id in gateway.yaml"
        if participant.role is Role.PLATFORM and participant.id not in known:
            yield f"{where}.id", "no platform of this id in gateway.yaml"


def _hashable(value: Any) -> Any:
    """Numbers in one form, so that `10` and `10.0` are the same configuration (RFC 8785 §3.2.2.3)."""
    if isinstance(value, dict):
        return {key: _hashable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_hashable(item) for item in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() else repr(value)
    return value
