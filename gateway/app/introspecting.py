"""Opaque tokens of external issuers: from the settings to the adapter that looks them up."""

from __future__ import annotations
