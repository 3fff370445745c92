"""The proof of a record from the entries and the published files, by index, by record and by data request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from adapters.clock import SystemClock
from adapters.keys.file import AesGcmSealer
from adapters.keys.log_key import log_signers
from adapters.sql.audit import open_audit_log
from gateway.audit import proof
from gateway.audit.note import NoteSigner
from gateway.audit.record import Record
from gateway.cli.commands import run
from gateway.exchange.identifiers import new_id
from gateway.ports import StoredEntry
from gateway.settings import Settings
from tests import samples
from tests.fakes_app import Place, make_place
from tests.published_log import published, write

REQUEST = "0192f0c0-3333-7222-8333-444444444444"
NOBODYS = "0192f0c0-3333-7222-8333-000000000000"
COUNT = 300


def records() -> list[Record]:
    """The request's outcome was recorded twice, as after a crash."""
    now = SystemClock().now()
    made = [
        samples.record(record_id=new_id(now), request=new_id(now), type="verification.decided") for _ in range(COUNT)
    ]
    for index, kind in ((40, "verification.intended"), (41, "verification.decided"), (47, "verification.decided")):
        made[index] = samples.record(record_id=new_id(now), request=REQUEST, type=kind)
    return made


class Deployment:
    """A log with entries, and its published folder, which may cover fewer."""

    def __init__(self, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
        self.place = place
        self.capsys = capsys
        self.settings: Settings = place.loaded()[0]
        self.records = records()
        self.entries = asyncio.run(self._append())

    async def _append(self) -> Sequence[StoredEntry]:
        async with open_audit_log(
            self.settings.audit.url,
            name=self.settings.audit.origin,
            origin=samples.ORIGIN,
            sealer=AesGcmSealer(self.settings.secrets.storage_key_file),
            queue_max=1_000,
            batch_max=64,
        ) as log:
            await log.append(self.records)
            return await log.entries(0, COUNT)

    @property
    def signer(self) -> NoteSigner:
        return log_signers(self.settings.audit.origin, [self.settings.audit.signing_key_file])[0]

    def publish(self, size: int = COUNT) -> None:
        entries = [stored.entry or b"" for stored in self.entries[:size]]
        write(published(entries, signers=[self.signer]), self.settings.audit.publish.dir)

    def prove(self, *arguments: str) -> tuple[int, str, str]:
        code = run(["audit", "prove", "--config", str(self.place.config), *arguments])
        said = self.capsys.readouterr()
        return code, said.out, said.err

    def index_of(self, text: str) -> int:
        """Of the entry that this proves."""
        found = proof.parse(text)
        leaf = self.entries[found.index].leaf_hash
        proof.verify(found, leaf, origin=self.settings.audit.origin, keys=[self.signer.verifier])
        return found.index


@pytest.fixture
def deployment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Deployment:
    return Deployment(make_place(tmp_path), capsys)


def test_a_record_is_proved_by_its_index(deployment: Deployment) -> None:
    deployment.publish()
    code, text, _ = deployment.prove("--index", "299")
    assert (code, deployment.index_of(text)) == (0, 299)


def test_a_record_is_proved_by_its_id(deployment: Deployment) -> None:
    deployment.publish()
    code, text, _ = deployment.prove("--record", deployment.records[7].record_id)
    assert (code, deployment.index_of(text)) == (0, 7)


def test_the_last_outcome_of_a_data_request_is_proved(deployment: Deployment) -> None:
    deployment.publish()
    code, text, _ = deployment.prove("--request", REQUEST)
    assert (code, deployment.index_of(text)) == (0, 47)


def test_a_proof_is_written_where_it_is_wanted(deployment: Deployment, tmp_path: Path) -> None:
    deployment.publish()
    code, said, _ = deployment.prove("--index", "3", "--out", str(tmp_path / "proof.txt"))
    assert (code, "proof.txt" in said) == (0, True)
    assert deployment.index_of((tmp_path / "proof.txt").read_text()) == 3


def test_one_json_document_has_proof_and_place(deployment: Deployment) -> None:
    deployment.publish()
    code, said, _ = deployment.prove("--index", "3", "--json")
    facts = orjson.loads(said)
    assert (code, facts["index"], facts["origin"]) == (0, 3, deployment.settings.audit.origin)
    assert facts["leafHash"] == deployment.entries[3].leaf_hash.hex()
    assert deployment.index_of(facts["proof"]) == 3


def test_making_a_proof_leaves_the_log_as_it_is(deployment: Deployment) -> None:
    deployment.publish()
    assert deployment.prove("--request", REQUEST)[0] == 0
    assert f"the log has {COUNT} entries" in deployment.prove("--index", str(COUNT))[2]


@pytest.mark.parametrize("sought", [("--record", NOBODYS), ("--request", NOBODYS), ("--record", "no id")])
def test_what_the_log_does_not_have_is_not_proved(deployment: Deployment, sought: tuple[str, str]) -> None:
    deployment.publish()
    code, said, why = deployment.prove(*sought)
    assert (code, said) == (1, "")
    assert "no such record" in why


def test_an_entry_that_no_checkpoint_covers_is_named(deployment: Deployment) -> None:
    assert "covers entry 1 yet" in deployment.prove("--index", "1")[2]
    deployment.publish(256)
    assert deployment.prove("--index", "255")[0] == 0
    code, _, why = deployment.prove("--index", "256")
    assert (code, "covers entry 256 yet" in why) == (1, True)


def test_the_folder_of_another_log_proves_nothing(deployment: Deployment) -> None:
    entries = [b'{"another":%d}' % number for number in range(COUNT)]
    write(published(entries, signers=[deployment.signer]), deployment.settings.audit.publish.dir)
    code, said, why = deployment.prove("--index", "5")
    assert (code, said) == (1, "")
    assert "is not the log of these entries" in why


def test_more_than_one_record_at_once_is_wrong_usage(deployment: Deployment) -> None:
    code, _, why = deployment.prove("--index", "1", "--request", REQUEST)
    assert (code, "one of" in why) == (2, True)
