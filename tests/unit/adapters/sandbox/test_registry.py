"""participants.yaml: one entry per institution, with all of its clients."""

from __future__ import annotations

from pathlib import Path

from adapters.sandbox.credentials import Credentials
from adapters.sandbox.registry import participants

NOW = 1_790_000_000


def test_an_institution_has_all_its_clients_and_their_certificates(tmp_path: Path) -> None:
    entries = {one["id"]: one for one in participants(Credentials(tmp_path, now=NOW))["participants"]}
    bank = entries["BANKA01DC"]
    assert [client["id"] for client in bank["clients"]] == ["bank-a-loans", "bank-a-mobile", "bank-a-web"]
    assert [client.get("dpop", False) for client in bank["clients"]] == [False, False, True]
    assert len({rule["subject"] for rule in bank["certificates"]}) == 3
    assert bank["clients"][0]["subject"] == bank["certificates"][0]["subject"]
    assert (tmp_path / bank["clients"][1]["jwks_file"]).is_file()


def test_who_has_no_browser_has_no_redirect_uri(tmp_path: Path) -> None:
    entries = {one["id"]: one for one in participants(Credentials(tmp_path, now=NOW))["participants"]}
    assert "redirect_uris" not in entries["HKSOURCE1DP"]["clients"][0]
    assert entries["BANKB01DC"]["clients"][0]["redirect_uris"] == ["https://bank-b.sandbox.example/callback"]
