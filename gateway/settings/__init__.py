"""The typed configuration: `gateway.yaml`, `participants.yaml`, and what the environment overrides.

`load` gives both files or every mistake of both at once. Nothing else reads a configuration.
"""

from gateway.settings.audit import (
    Approver,
    Audit,
    Forward,
    Publish,
    PublishHttp,
    Retention,
    SecondPerson,
    Timestamps,
    Witness,
    Witnesses,
)
from gateway.settings.loading import ENV_PREFIX, Codes, SettingsError, config_hash, load, load_participants
from gateway.settings.oauth import Introspection, Issuer, Login, OAuth, Oidc, Server, SigningKey, StepUp
from gateway.settings.participants import CertificateSettings, ClientSettings, Participants, ParticipantSettings
from gateway.settings.sections import (
    Breaker,
    Deployment,
    ExchangeSettings,
    Limits,
    Log,
    PlatformSettings,
    Rates,
    RateSetting,
    Reports,
    Secrets,
    ServerTlsListener,
    Settings,
    Store,
    TlsListener,
)
from gateway.settings.values import Listener, Section

__all__ = [
    "ENV_PREFIX",
    "Approver",
    "Audit",
    "Breaker",
    "CertificateSettings",
    "ClientSettings",
    "Codes",
    "Deployment",
    "ExchangeSettings",
    "Forward",
    "Introspection",
    "Issuer",
    "Limits",
    "Listener",
    "Log",
    "Login",
    "OAuth",
    "Oidc",
    "ParticipantSettings",
    "Participants",
    "PlatformSettings",
    "Publish",
    "PublishHttp",
    "RateSetting",
    "Rates",
    "Reports",
    "Retention",
    "SecondPerson",
    "Secrets",
    "Section",
    "Server",
    "ServerTlsListener",
    "Settings",
    "SettingsError",
    "SigningKey",
    "StepUp",
    "Store",
    "Timestamps",
    "TlsListener",
    "Witness",
    "Witnesses",
    "config_hash",
    "load",
    "load_participants",
]
