"""Time-stamps beside a log: tokens of a real authority (OpenSSL's `ts`), whole, exchanged, damaged and missing."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.x509 import Certificate, load_pem_x509_certificates

from adapters.timestamps.client import HttpTimestampAuthority, read_roots
from gateway.audit.verifying import Report, Trust, verify_log
from tests.fakes_sandbox import CLOCK, Site
from tests.published_log import MemorySource, checkpoint, entries_of, log_signer, published

LOG = entries_of(600)
KEPT = {size: checkpoint(LOG[:size]).encode() for size in (300, 512)}


@dataclass(frozen=True)
class Stamped:
    files: dict[str, bytes]
    roots: tuple[Certificate, ...]

    def report(self, changes: dict[str, bytes | None] | None = None, *, roots: bool = True) -> Report:
        files = {path: data for path, data in {**self.files, **(changes or {})}.items() if data is not None}
        trust = Trust(keys=(log_signer().verifier,), timestamp_roots=self.roots if roots else ())
        return verify_log(MemorySource(files), trust)


@pytest.fixture
async def stamped(tmp_path: Path, require_tool: Callable[..., Path]) -> AsyncIterator[Stamped]:
    require_tool("openssl")
    site = Site(tmp_path / "site")
    roots = (site.folder / "pki/timestamps-ca.pem").read_bytes()
    files = published(LOG)
    async with site.timestamps() as url:
        authority = HttpTimestampAuthority(
            url,
            roots=read_roots(roots),
            ssl_context=ssl.create_default_context(),
            timeout_seconds=10,
            clock=CLOCK,
        )
        for size, data in KEPT.items():
            files[f"timestamps/{size}.checkpoint"] = data
            files[f"timestamps/{size}.tsr"] = (await authority.stamp(data)).response
        yield Stamped(files, tuple(load_pem_x509_certificates(roots)))


def faults(report: Report) -> list[str | None]:
    return [finding.path for finding in report.findings]


async def test_time_stamps_are_reported(stamped: Stamped) -> None:
    report = stamped.report()
    assert report.findings == []
    assert [(stamp.size, stamp.by_authority) for stamp in report.stamps] == [(300, True), (512, True)]
    assert report.consistent_with == [300, 512]


async def test_without_roots_the_authority_is_not_vouched_for(stamped: Stamped) -> None:
    report = stamped.report(roots=False)
    assert report.ok
    assert [stamp.by_authority for stamp in report.stamps] == [None, None]


async def test_time_stamp_of_something_else_is_refused(stamped: Stamped) -> None:
    other = stamped.files["timestamps/512.tsr"]
    assert faults(stamped.report({"timestamps/300.tsr": other}, roots=False)) == ["timestamps/300.tsr"]


async def test_every_changed_byte_of_a_token_is_found_under_its_roots(stamped: Stamped) -> None:
    """But for the certificates and attributes around it: what they say is checked, not how it is spelled."""
    token = stamped.files["timestamps/300.tsr"]
    for at in (0, 5, len(token) // 2, token.index(b"\x04\x20") + 5, len(token) - 10):
        damaged = bytearray(token)
        damaged[at] ^= 1
        assert not stamped.report({"timestamps/300.tsr": bytes(damaged)}).ok, at


async def test_token_of_another_authority_is_refused(stamped: Stamped, tmp_path: Path) -> None:
    foreign = Site(tmp_path / "foreign").folder / "pki/timestamps-ca.pem"
    other = Stamped(stamped.files, tuple(load_pem_x509_certificates(foreign.read_bytes())))
    assert faults(other.report()) == ["timestamps/300.tsr", "timestamps/512.tsr"]


async def test_checkpoint_that_the_log_did_not_pass_through_is_refused(stamped: Stamped) -> None:
    path = "timestamps/300.checkpoint"
    others = checkpoint([*LOG[:299], b"{}"]).encode()
    report = stamped.report({path: others, "timestamps/300.tsr": None})
    assert faults(report) == [path]
    assert report.first_wrong == (0, 299)


async def test_time_stamped_checkpoint_of_a_longer_log_shows_a_rollback(stamped: Stamped) -> None:
    report = stamped.report({"timestamps/700.checkpoint": checkpoint(entries_of(700)).encode()})
    assert faults(report) == ["timestamps/700.checkpoint"]
    assert report.first_wrong == (600, 600)


async def test_token_without_its_checkpoint_is_a_fault_and_the_reverse_a_remark(stamped: Stamped) -> None:
    assert faults(stamped.report({"timestamps/300.checkpoint": None})) == ["timestamps/300.checkpoint"]
    report = stamped.report({"timestamps/300.tsr": None})
    assert report.ok
    assert report.remarks == ["timestamps/300.checkpoint has no time-stamp yet"]


async def test_checkpoint_by_an_older_key_is_remarked(stamped: Stamped) -> None:
    older = checkpoint(LOG[:300], signers=[log_signer(2)]).encode()
    report = stamped.report({"timestamps/300.checkpoint": older, "timestamps/300.tsr": None})
    assert report.ok
    assert "signed by a key that was not given" in report.remarks[0]


@pytest.mark.parametrize("data", [b"", b"no note", KEPT[512]])
async def test_what_is_no_checkpoint_of_that_size_is_refused(stamped: Stamped, data: bytes) -> None:
    assert faults(stamped.report({"timestamps/300.checkpoint": data})) == ["timestamps/300.checkpoint"]


@pytest.mark.parametrize("data", [b"", b"no token", bytes(1000), b"0" * 300_000])
async def test_what_is_no_token_is_refused(stamped: Stamped, data: bytes) -> None:
    assert faults(stamped.report({"timestamps/300.tsr": data})) == ["timestamps/300.tsr"]


def test_stamp_that_comes_while_the_log_is_read_is_no_rollback() -> None:
    class Growing(MemorySource):
        """Has grown, and been stamped, by the time that its checkpoint is read."""

        def read(self, path: str, *, bytes_max: int) -> bytes | None:
            data = super().read(path, bytes_max=bytes_max)
            if path == "checkpoint":
                self.files |= published(LOG) | {"timestamps/600.checkpoint": checkpoint(LOG).encode()}
            return data

    assert verify_log(Growing(published(LOG[:500])), Trust(keys=(log_signer().verifier,))).findings == []


def test_source_that_cannot_list_says_that_it_did_not_look() -> None:
    report = verify_log(MemorySource(published(LOG[:5]), listed=False), Trust(keys=(log_signer().verifier,)))
    assert report.ok
    assert report.remarks == ["time-stamps were not looked for: this source cannot be listed"]
