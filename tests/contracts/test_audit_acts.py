"""The contracts of `ports.SubjectKeys`, `Pruning`, `Recovery`, `Cursors` and `Approvals`, on every database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import event, func, select, text

from adapters.sql import engine as engines
from adapters.sql import log_acts, migrations, tables
from adapters.sql.audit import AuditLogDamaged, SqlAuditLog, open_audit_log
from gateway.audit.privacy import Ciphertext, opened
from gateway.audit.record import Record
from gateway.core import merkle
from gateway.errors import AuditUnavailable, StateConflict
from gateway.ports import Hold
from tests import samples
from tests.fakes import FakeSealer
from tests.postgresql import PostgreSQL

SUBJECT, OTHER = "a" * 64, "b" * 64

Opener = Callable[..., AbstractAsyncContextManager[SqlAuditLog]]


class OtherKey(FakeSealer):
    """Another storage key: it opens nothing of the first one's."""

    def open(self, sealed: bytes, *, context: str) -> str:
        raise ValueError("sealed under another key")


@pytest.fixture
def opener(database: str) -> Opener:
    def open_(**changes: Any) -> AbstractAsyncContextManager[SqlAuditLog]:
        values: dict[str, Any] = {"name": "test/audit", "origin": samples.ORIGIN, "sealer": FakeSealer()}
        return open_audit_log(database, **({"queue_max": 10_000, "batch_max": 64} | values | changes))

    return open_


@pytest.fixture
async def log(opener: Opener) -> AsyncIterator[SqlAuditLog]:
    async with opener() as opened_log:
        yield opened_log


def about(subject: str, **changes: Any) -> Record:
    return samples.record(consent=samples.consent(subject=subject), **changes)


def event_of(record_type: str, **facts: str | int) -> Record:
    return Record(record_id=samples.unique("record"), time=float(samples.NOW), type=record_type, facts=facts or None)


def hold(hold_id: str = "hold-1", **changes: Any) -> Hold:
    values: dict[str, Any] = {"subject": SUBJECT, "from_index": 0, "reason": "HCA 12/2027", "since": float(samples.NOW)}
    return Hold(**({"hold_id": hold_id} | values | changes))


async def types(log: SqlAuditLog) -> list[str]:
    return [orjson.loads(one.entry)["type"] async for one in log.read() if one.entry is not None]


async def people_read(log: SqlAuditLog) -> list[dict[str, Any]]:
    """The entries with what is sealed in them, as far as it can be opened."""
    open_ = await log.open_for([SUBJECT, OTHER])
    return [opened(one.entry, open_) async for one in log.read() if one.entry is not None]


async def subject_keys(log: SqlAuditLog) -> list[str]:
    stored = [orjson.loads(one.entry) async for one in log.read() if one.entry is not None]
    return [entry["sealed"]["key"] for entry in stored if "sealed" in entry]


# --- sealing ---------------------------------------------------------------------------------------------------


async def test_what_is_a_persons_own_is_sealed_and_opens_with_the_key(log: SqlAuditLog) -> None:
    await log.append([about(SUBJECT)])
    [stored] = await log.entries(0, 1)
    assert stored.entry is not None
    assert b"d" * 64 not in stored.entry
    assert b"evidence-1" not in stored.entry
    [entry] = await people_read(log)
    assert (entry["document"]["digest"], entry["evidence"]) == ("d" * 64, "evidence-1")


async def test_each_subject_has_one_key_in_every_process(log: SqlAuditLog, opener: Opener) -> None:
    await log.append([about(SUBJECT), about(SUBJECT), about(OTHER)])
    async with opener() as other:
        await other.append([about(OTHER), about(SUBJECT)])
        keys = await subject_keys(log)
    assert [keys.index(key) for key in keys] == [0, 0, 2, 2, 0]


async def test_an_entry_that_holds_nothing_private_needs_no_key(log: SqlAuditLog, database: str) -> None:
    await log.append([about(SUBJECT, document=None, evidence=None)])
    with engines.create(database).connect() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.subject_keys)) == 0


async def test_a_ciphertext_opens_in_its_own_entry_only(log: SqlAuditLog) -> None:
    await log.append([about(SUBJECT)])
    [stored] = await log.entries(0, 1)
    assert stored.entry is not None
    entry = orjson.loads(stored.entry)
    open_ = await log.open_for([SUBJECT])
    ciphertext = Ciphertext(**entry["sealed"])
    assert open_(SUBJECT, entry["id"], ciphertext) is not None
    with pytest.raises(ValueError, match="entry"):
        open_(SUBJECT, "another entry", ciphertext)
    assert open_(OTHER, entry["id"], ciphertext) is None


async def test_no_key_lies_in_the_database_in_clear(log: SqlAuditLog, database: str) -> None:
    await log.append([about(SUBJECT)])
    with engines.create(database).connect() as connection:
        row = connection.execute(select(tables.subject_keys)).one()
    assert bytes(row.wrapped) == FakeSealer().seal(
        FakeSealer().open(bytes(row.wrapped), context=f"audit-subject:{row.key_id}"),
        context=f"audit-subject:{row.key_id}",
    )


async def test_a_log_under_another_storage_key_is_not_opened(opener: Opener) -> None:
    async with opener() as log:
        await log.append([about(SUBJECT)])
    with pytest.raises(AuditLogDamaged, match="storage key"):
        async with opener(sealer=OtherKey()):
            pass


async def test_a_damaged_key_costs_its_own_entries_and_not_the_log(opener: Opener, database: str) -> None:
    async with opener() as first:
        await first.append([about(SUBJECT), about(OTHER)])
    broken = text("UPDATE subject_keys SET wrapped = :wrapped WHERE subject = :subject")
    with engines.create(database).connect() as connection, connection.begin():
        connection.execute(broken, {"wrapped": b"\xff broken", "subject": SUBJECT})
    told: list[str] = []
    for _ in range(2):
        async with opener(damaged=told.append) as log:
            await log.append([about(SUBJECT), about(OTHER)])
            open_ = await log.open_for([SUBJECT, OTHER])
            entries = [one.entry or b"" async for one in log.read()]
    assert told == [orjson.loads(entries[0])["sealed"]["key"]]  # once, when its successor was made
    with pytest.raises(ValueError, match="damaged"):
        opened(entries[0], open_)
    read = [opened(entry, open_) for entry in entries[1:]]
    assert all("digest" in entry["document"] for entry in read)  # the subject's next entry has a key that opens


async def test_a_key_that_was_undone_with_its_transaction_seals_nothing(postgresql: PostgreSQL) -> None:
    url = postgresql.new_database()
    migrations.upgrade(url, "audit")
    writing, reading = engines.create(url, timeout_seconds=0.05), engines.create(url, reads_only=True)
    values: dict[str, Any] = {"origin": samples.ORIGIN, "sealer": FakeSealer(), "queue_max": 99, "batch_max": 9}
    log = SqlAuditLog(writing, reading, name="test/audit", **values)
    await log.start()
    with engines.create(url).connect() as holder, holder.begin():
        holder.execute(text("LOCK TABLE entries IN SHARE MODE"))  # as an index that is made anew
        with pytest.raises(AuditUnavailable):
            await log.append([about(SUBJECT)])
    await log.append([about(SUBJECT)])
    [entry] = await people_read(log)
    assert entry["document"]["digest"] == "d" * 64
    await log.close()


async def test_a_pseudonym_above_its_limit_refuses_its_record_alone(log: SqlAuditLog) -> None:
    found = await asyncio.gather(log.append([about("x" * 257)]), log.append([about(SUBJECT)]), return_exceptions=True)
    assert [type(one) for one in found] == [ValueError, list]
    assert log.healthy()


# --- erasing ---------------------------------------------------------------------------------------------------


async def test_what_an_erased_subject_sealed_is_unreadable_and_every_proof_holds(log: SqlAuditLog) -> None:
    await log.append([about(SUBJECT), about(OTHER)])
    before = await log.head()
    assert await log.erase(SUBJECT, event_of("audit.erased", subject=SUBJECT))
    erased, kept, act = await people_read(log)
    assert erased["sealed"] == "erased"
    assert "digest" not in erased["document"]
    assert kept["document"]["digest"] == "d" * 64
    assert act["type"] == "audit.erased"
    leaves = [one.leaf_hash async for one in log.read()]
    assert merkle.root(leaves[: before.size]) == before.root
    assert merkle.root(leaves) == (await log.head()).root


async def test_a_subject_that_comes_back_gets_a_new_key_in_every_process(log: SqlAuditLog, opener: Opener) -> None:
    async with opener() as other:
        await other.append([about(SUBJECT)])
        await log.append([about(SUBJECT)])
        await log.erase(SUBJECT, event_of("audit.erased"))
        await other.append([about(SUBJECT)])  # whose process remembered the old key
        await log.append([about(SUBJECT)])
        old, old_too, new, new_too = await subject_keys(log)
        assert old == old_too != new == new_too
        assert [entry.get("sealed") for entry in await people_read(log)] == ["erased", "erased", None, None, None]


async def test_erasing_between_appends_of_one_batch_takes_effect_in_its_place(log: SqlAuditLog) -> None:
    await log.append([about(SUBJECT)])
    await asyncio.gather(
        log.append([about(SUBJECT)]), log.erase(SUBJECT, event_of("audit.erased")), log.append([about(SUBJECT)])
    )
    assert [entry.get("sealed") for entry in await people_read(log)] == ["erased", "erased", None, None]


async def test_nothing_is_written_for_a_subject_without_a_key(log: SqlAuditLog) -> None:
    assert not await log.erase(SUBJECT, event_of("audit.erased"))
    assert (await log.head()).size == 0


@pytest.mark.parametrize("subject", [SUBJECT, None], ids=["on the subject", "on everybody"])
async def test_a_hold_blocks_erasure_until_it_is_released(log: SqlAuditLog, subject: str | None) -> None:
    await log.append([about(SUBJECT)])
    await log.hold(hold(subject=subject), event_of("audit.held"))
    with pytest.raises(StateConflict):
        await log.erase(SUBJECT, event_of("audit.erased"))
    assert await log.release("hold-1", event_of("audit.released"))
    assert await log.erase(SUBJECT, event_of("audit.erased"))
    assert await types(log) == ["verification.intended", "audit.held", "audit.released", "audit.erased"]


async def test_a_hold_on_one_subject_leaves_the_others_alone(log: SqlAuditLog) -> None:
    await log.append([about(OTHER)])
    await log.hold(hold(), event_of("audit.held"))
    assert await log.erase(OTHER, event_of("audit.erased"))


async def test_sqlites_files_keep_no_copy_of_an_erased_key(tmp_path: Path) -> None:
    file = tmp_path / "audit.db"
    url = f"sqlite:///{file}"
    migrations.upgrade(url, "audit")
    values: dict[str, Any] = {"origin": samples.ORIGIN, "sealer": FakeSealer(), "queue_max": 99, "batch_max": 9}
    async with open_audit_log(url, name="test/audit", **values) as log:
        await log.append([about(SUBJECT), about(OTHER)])
        with engines.create(url, reads_only=True).connect() as connection:
            keys = dict(connection.execute(select(tables.subject_keys.c.subject, tables.subject_keys.c.wrapped)).all())
        assert all(key in _files(file) for key in keys.values())
        await log.erase(SUBJECT, event_of("audit.erased"))
        with engines.create(url, reads_only=True).connect():  # keeps the write-ahead log from being deleted
            await log.close()
    assert keys[SUBJECT] not in _files(file)
    assert keys[OTHER] in _files(file)


async def test_what_an_eraser_could_not_cut_off_is_cut_off_by_another_process(tmp_path: Path) -> None:
    file = tmp_path / "audit.db"
    url = f"sqlite:///{file}"
    migrations.upgrade(url, "audit")
    values: dict[str, Any] = {"origin": samples.ORIGIN, "sealer": FakeSealer(), "queue_max": 99, "batch_max": 9}
    # What keeps the write-ahead log from being deleted, and what keeps it from being cut off.
    stays, reads = (engines.create(url, reads_only=True).connect() for _ in range(2))
    stays.execute(select(tables.head))
    stays.rollback()
    async with open_audit_log(url, name="test/audit", **values) as log:
        await log.append([about(SUBJECT)])
        key = reads.execute(select(tables.subject_keys.c.wrapped)).scalar_one()
        async with open_audit_log(url, name="test/audit", **values) as other:
            await other.erase(SUBJECT, event_of("audit.erased"))
        assert key in _files(file)
        reads.close()
        await log.append([about(OTHER)])
    assert key not in _files(file)
    stays.close()


def _files(database: Path) -> bytes:
    return b"".join(part.read_bytes() for part in sorted(database.parent.glob(f"{database.name}*")))


# --- holds -----------------------------------------------------------------------------------------------------


async def test_holds_are_listed_oldest_first(log: SqlAuditLog) -> None:
    newer, older = hold("newer", since=20.0), hold("older", since=10.0, subject=None, from_index=7)
    for one in (newer, older):
        await log.hold(one, event_of("audit.held"))
    assert list(await log.holds()) == [older, newer]


async def test_the_id_of_a_hold_is_taken_once(log: SqlAuditLog) -> None:
    await log.hold(hold(), event_of("audit.held"))
    with pytest.raises(StateConflict):
        await log.hold(hold(subject=OTHER), event_of("audit.held"))
    assert list(await log.holds()) == [hold()]
    assert (await log.head()).size == 1


@pytest.mark.parametrize("unfit", [{"hold_id": "x" * 129}, {"reason": "x" * 257}, {"from_index": -1}], ids=str)
async def test_a_hold_above_a_limit_is_refused_and_the_log_goes_on(log: SqlAuditLog, unfit: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"characters|index"):
        await log.hold(hold(**unfit), event_of("audit.held"))
    assert (list(await log.holds()), (await log.head()).size) == ([], 0)
    assert log.healthy()


async def test_releasing_what_is_not_held_writes_nothing(log: SqlAuditLog) -> None:
    assert not await log.release("hold-1", event_of("audit.released"))
    assert (await log.head()).size == 0


# --- pruning ---------------------------------------------------------------------------------------------------


async def filled(log: SqlAuditLog, count: int) -> None:
    for start in range(0, count, 64):
        await log.append([about(SUBJECT, document=None) for _ in range(min(64, count - start))])


async def test_pruned_entries_lose_their_bytes_and_keep_their_leaves(log: SqlAuditLog, opener: Opener) -> None:
    await filled(log, 600)
    before = [one.leaf_hash async for one in log.read()]
    assert await log.prune(512, event_of("audit.pruned", below=512)) == 512
    after = [one async for one in log.read()]
    assert [one.leaf_hash for one in after][:600] == before
    assert [one.index for one in after if one.entry is not None] == list(range(512, 601))
    assert (await types(log))[-1] == "audit.pruned"
    assert (await log.head()).pruned == 512
    async with opener() as again:  # which checks itself
        assert (await again.append([about(SUBJECT)]))[0].index == 601


async def test_pruning_goes_on_from_where_it_ended(log: SqlAuditLog) -> None:
    await filled(log, 600)
    await log.prune(256, event_of("audit.pruned"))
    assert await log.prune(256, event_of("audit.pruned")) == 0
    assert await log.prune(512, event_of("audit.pruned")) == 256
    assert (await log.head()).size == 602


@pytest.mark.parametrize("below", [-256, 100, 512])
async def test_pruning_ends_at_a_full_bundle_of_the_log(log: SqlAuditLog, below: int) -> None:
    await filled(log, 300)
    with pytest.raises(ValueError, match="256"):
        await log.prune(below, event_of("audit.pruned"))
    assert ((await log.head()).pruned, (await log.head()).size) == (0, 300)


@pytest.mark.parametrize("subject", [SUBJECT, None])
async def test_a_hold_protects_the_entries_from_its_first_on(log: SqlAuditLog, subject: str | None) -> None:
    await filled(log, 600)
    await log.hold(hold(subject=subject, from_index=300), event_of("audit.held"))
    with pytest.raises(StateConflict):
        await log.prune(512, event_of("audit.pruned"))
    assert await log.prune(256, event_of("audit.pruned")) == 256


async def test_what_a_crash_left_of_a_pruning_is_done_when_the_log_is_opened_next(
    opener: Opener, database: str
) -> None:
    async with opener() as log:
        for _ in range(3):
            await log.append([about(SUBJECT, document=None, evidence=None) for _ in range(1_000)])
    writing, reading = engines.create(database), engines.create(database, reads_only=True)
    event.listen(writing, "commit", _Allowed(2))  # the decision, and one turn that empties
    values: dict[str, Any] = {"origin": samples.ORIGIN, "sealer": FakeSealer(), "queue_max": 999, "batch_max": 100}
    crashing = SqlAuditLog(writing, reading, name="test/audit", **values)
    await crashing.start()
    with pytest.raises(AuditUnavailable):
        await crashing.prune(2_816, event_of("audit.pruned"))
    assert sum([one.entry is None async for one in crashing.read()]) == log_acts.EMPTIED_AT_ONCE
    await crashing.close()
    async with opener() as log:
        assert [one.index async for one in log.read() if one.entry is not None] == list(range(2_816, 3_001))


class _Allowed:
    """So many commits succeed, and no more: the process was killed before the next."""

    def __init__(self, commits: int) -> None:
        self._left: Iterator[int] = iter(range(commits))

    def __call__(self, _connection: Any) -> None:
        if next(self._left, None) is None:
            raise OSError(5, "Input/output error")


# --- recovery and cursors --------------------------------------------------------------------------------------


async def test_a_recovered_log_has_a_new_name_and_one_who_had_it_open_is_out(log: SqlAuditLog, opener: Opener) -> None:
    await log.append([about(SUBJECT)])
    async with opener() as other:
        await other.recover("test/audit-2", event_of("audit.recovered", origin="test/audit"))
        assert ((await other.head()).origin, (await other.head()).size) == ("test/audit-2", 2)
        assert (await other.append([about(SUBJECT)]))[0].index == 2
        with pytest.raises(AuditUnavailable):
            await log.append([about(SUBJECT)])
        assert not log.healthy()
    with pytest.raises(AuditLogDamaged, match="test/audit-2"):
        async with opener():
            pass
    async with opener(name="test/audit-2") as again:
        assert (await again.head()).size == 3


async def test_a_log_is_not_recovered_to_the_name_it_has(log: SqlAuditLog) -> None:
    with pytest.raises(ValueError, match="name"):
        await log.recover("test/audit", event_of("audit.recovered"))
    assert (await log.head()).size == 0


async def test_a_follower_finds_its_place_again(log: SqlAuditLog, opener: Opener) -> None:
    assert await log.cursor("siem") == 0
    await log.set_cursor("siem", 7)
    await log.set_cursor("siem", 9)
    await log.set_cursor("other", 1)
    async with opener() as again:
        assert (await again.cursor("siem"), await again.cursor("other")) == (9, 1)
    assert (await log.head()).size == 0


async def test_an_approval_is_used_once_whichever_process_is_first(log: SqlAuditLog, opener: Opener) -> None:
    async with opener() as other:
        used = await asyncio.gather(*(process.spend("1" * 32, now=1.5) for process in (log, other, log, other)))
        assert sorted(used) == [False, False, False, True]
        assert await other.spend("2" * 32, now=1.5)
    async with opener() as again:
        assert not await again.spend("2" * 32, now=2.5)
    assert (await log.head()).size == 0
