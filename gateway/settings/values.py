"""The kinds of value that settings are made of, with their bounds, and the base of every section."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where relative paths start, and whether the files must be there."""

    folder: Path
    check_files: bool


def _in_place(path: Path, info: ValidationInfo) -> Path:
    place: Place | None = info.context
    if place is None:  # a section built in code: the path is taken as it is
        return path
    path = place.folder / path
    if place.check_files and not (path.is_file() and os.access(path, os.R_OK)):
        raise ValueError("no such file, or not readable")
    return path


def _without_password(url: str) -> str:
    if url.startswith("postgresql") and ":" in url.partition("://")[2].rpartition("@")[0]:
        raise ValueError("must not hold a password: use PGPASSWORD, or ?passfile=/path/to/pgpass")
    return url


Seconds = Annotated[float, Field(gt=0, le=86_400)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
Bytes = Annotated[int, Field(ge=1, le=1 << 40)]
Port = Annotated[int, Field(ge=0, le=65_535)]
File = Annotated[Path, AfterValidator(_in_place)]
Patience = Annotated[float, Field(ge=0, le=604_800)]
KeyId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Code = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
ParticipantId = Annotated[str, Field(pattern=r"^[A-Z0-9]{4,32}$")]
HttpsUrl = Annotated[str, Field(pattern=r"^https://[^\s/]\S*$", max_length=2_048)]
DatabaseUrl = Annotated[
    str, Field(pattern=r"^(sqlite:///|postgresql\+psycopg://)\S+$", max_length=2_048), AfterValidator(_without_password)
]
# Unquoted in YAML it is a number, which is what everybody writes.
TlsVersion = Annotated[
    Literal["1.2", "1.3"], BeforeValidator(lambda given: str(given) if isinstance(given, float) else given)
]
Route = Annotated[str, Field(pattern=r"^(GET|POST|PUT|DELETE) /\S{1,200}$")]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Listener(Section):
    host: str = "0.0.0.0"  # noqa: S104
    """Address to listen on."""
    port: Port
    """Port to listen on; 0 takes a free one."""
