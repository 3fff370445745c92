"""participants.yaml of the sandbox: its institutions, their certificates and their OAuth clients."""

from __future__ import annotations

from typing import Any

from adapters.sandbox.cast import CLIENTS, PLATFORM_ID, PRIVATE_KEY_JWT, PURPOSES, SOURCES, Client
from adapters.sandbox.credentials import Credentials

Json = dict[str, Any]


def participants(credentials: Credentials) -> Json:
    """The content of participants.yaml."""
    institutions: dict[str, Json] = {}
    for client in CLIENTS:
        certificate = credentials.clients[client.label].certificate
        subject = certificate.subject.rfc4514_string()
        entry = institutions.setdefault(client.participant_id, _institution(client))
        entry["certificates"].append({"issuer": certificate.issuer.rfc4514_string(), "subject": subject})
        entry["clients"].append(_oauth_client(client, subject))
    sources = [
        {
            "id": source.participant_id,
            "name": source.name,
            "role": "source",
            "document_types": list(source.document_types),
            **_source_fields(source.label, "SOUTHBOUND"),
        }
        for source in SOURCES
    ]
    platform = {
        "id": PLATFORM_ID,
        "name": "DVP platform (sandbox)",
        "role": "platform",
        "directions": ["SOUTHBOUND", "NORTHBOUND"],
        "certificates": [{"sha256": credentials.platform_client.sha256}],
    }
    return {"participants": [*institutions.values(), *sources, platform]}


def _institution(client: Client) -> Json:
    """The participant behind an OAuth client, without certificates and clients yet."""
    entry: Json = {
        "id": client.participant_id,
        "name": client.name,
        "role": client.role,
        "document_types": list(client.document_types),
        "certificates": [],
        "clients": [],
    }
    if client.role == "bank":
        return entry | {"directions": ["SOUTHBOUND"], "purposes": list(PURPOSES)}
    return entry | _source_fields(client.label, "NORTHBOUND")


def _oauth_client(client: Client, subject: str) -> Json:
    entry: Json = {"id": client.client_id, "authentication": client.authentication, "scopes": list(client.scopes)}
    if client.authentication == PRIVATE_KEY_JWT:
        entry["jwks_file"] = f"clients/{client.label}/jwks.json"
    else:
        entry["subject"] = subject
    if client.redirect_uri is not None:
        entry["redirect_uris"] = [client.redirect_uri]
    if client.dpop:
        entry["dpop"] = True
    return entry


def _source_fields(label: str, direction: str) -> Json:
    return {"directions": [direction], "platform": PLATFORM_ID, "jwks_file": f"sources/{label}/jwks.json"}
