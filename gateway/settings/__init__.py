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
from gateway.settings.participants import CertificateSettings, Participants, ParticipantSettings
from gateway.settings.sections import (
    Breaker,
    Deployment,
    ExchangeSettings,
    Issuer,
    Limits,
    Log,
    OAuth,
    PlatformSettings,
    Rates,
    RateSetting,
    Reports,
    Secrets,
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
    "Codes",
    "Deployment",
    "ExchangeSettings",
    "Forward",
    "Issuer",
    "Limits",
    "Listener",
    "Log",
    "OAuth",
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
    "Settings",
    "SettingsError",
    "Store",
    "Timestamps",
    "TlsListener",
    "Witness",
    "Witnesses",
    "config_hash",
    "load",
    "load_participants",
]
