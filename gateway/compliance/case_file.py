"""Exports as a case bundle: records with their proofs under one checkpoint, and all that checks them without us.

What the manifest says is in `audit.case`; how the bundle is checked, in the `verify.py` that it carries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from gateway.audit import case, published
from gateway.audit.case import Contents, Made
from gateway.audit.note import Checkpoint, NoteInvalid, NoteSigner, checkpoint, open_checkpoint, parse
from gateway.audit.proof import InclusionProof
from gateway.audit.tiles import CHECKPOINT, PublishedTiles, TileHashes
from gateway.audit.tree import consistency_path, consistent, inclusion_path
from gateway.compliance.exporting import ExportRefused, Found, Span, Tally
from gateway.core.merkle import root_from_path
from gateway.ports import Archive, Clock, LogReader, SpooledTable, TileStore

COVERED_SECONDS = 15.0
_POLL_SECONDS = 0.1
_PAGE = 1_000
_FOR_READING = "For reading. The log covers the record in records/, with what is private sealed; not this file."


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Who signs and what is enclosed. `log_signers` under the log's name, `case_signers` under `case.case_name`, by the
    same keys; `witnesses`: vkeys; `enclosed`: content by name of what every bundle carries."""

    log_signers: Sequence[NoteSigner]
    case_signers: Sequence[NoteSigner]
    witnesses: Sequence[str]
    enclosed: Mapping[str, bytes]
    operator: str
    participant: str
    software: str

    @property
    def origin(self) -> str:
        return self.log_signers[0].verifier.name


class CaseFile:
    """See `exporting.Format`. `whole`: with every entry of the range, so that the search can be repeated."""

    def __init__(
        self,
        archive: Archive,
        overview: SpooledTable,
        *,
        store: TileStore,
        log: LogReader,
        clock: Clock,
        keeper: Keeper,
        whole: bool,
        covered_seconds: float = COVERED_SECONDS,
        poll_seconds: float = _POLL_SECONDS,
    ) -> None:
        self.name = "case-complete" if whole else "case"
        self._archive = archive
        self._overview = overview
        self._store = store
        self._log = log
        self._clock = clock
        self._keeper = keeper
        self._whole = whole
        self._covered_seconds = covered_seconds
        self._poll_seconds = poll_seconds
        self._note = b""
        self._head = Checkpoint(origin="", size=0, root=b"")
        self._records: list[int] = []
        self._tile = PublishedTiles(store.read)

    async def prepare(self, span: Span) -> None:
        """Wait for a published checkpoint over the whole range: nothing newer would be proven by it."""
        deadline = self._clock.monotonic() + self._covered_seconds
        while True:
            self._note, self._head = await asyncio.to_thread(self._published, span.end)
            if self._note and self._head.size >= span.end:
                break
            if self._clock.monotonic() >= deadline:
                raise ExportRefused(
                    f"the published checkpoint covers {self._head.size} of {span.end} entries: a running gateway "
                    "publishes the rest within seconds; or end the query with "
                    f"index:..{max(self._head.size - 1, 0)}"
                )
            await asyncio.sleep(self._poll_seconds)
        await asyncio.to_thread(self._enclose)

    async def add(self, found: Sequence[Found]) -> None:
        if len(self._records) + len(found) > case.RECORDS_MAX:
            raise ExportRefused(
                f"more than {case.RECORDS_MAX} records match: narrow the query, or export them as a table"
            )
        await asyncio.to_thread(self._add, found)

    async def close(self, span: Span, tally: Tally) -> None:
        if self._whole:
            await self._add_range(span)
        await asyncio.to_thread(self._finish, span, tally)

    # --- in threads -----------------------------------------------------------------------------------------------

    def _published(self, end: int) -> tuple[bytes, Checkpoint]:
        """The newest checkpoint with its quorum of witnesses, where that covers the range; else the newest."""
        keys = [signer.verifier for signer in self._keeper.log_signers]
        newest = b"", Checkpoint(origin=self._keeper.origin, size=0, root=b"")
        for path in (published.WITNESSED, CHECKPOINT):
            data = self._store.read(path)
            if data is None:
                continue
            try:
                newest = data, open_checkpoint(data, origin=self._keeper.origin, keys=keys)
            except NoteInvalid as error:
                raise ExportRefused(f"the published {path} cannot be used: {error}") from error
            if newest[1].size >= end:
                break
        return newest

    def _enclose(self) -> None:
        for name, data in self._keeper.enclosed.items():
            self._put(name, data)
        self._put("checkpoint", self._note)
        logs = [str(signer.verifier) for signer in self._keeper.log_signers]
        self._put(case.VKEYS, case.vkeys(logs, self._keeper.witnesses))

    def _add(self, found: Sequence[Found]) -> None:
        node = TileHashes(self._head.size, self._tile)
        for one in found:
            index, entry = one.stored.index, one.stored.entry
            try:
                path = inclusion_path(index, self._head.size, node)
                root = root_from_path(one.stored.leaf_hash, index, self._head.size, path)
            except ValueError as error:
                raise ExportRefused(f"the published log cannot be used: {error}") from error
            if root != self._head.root or entry is None:
                raise ExportRefused(f"entry {index} is not the published one: run `cdi-gateway audit verify`")
            self._put(f"records/{index}.json", entry)
            shown = {
                "note": _FOR_READING,
                "index": index,
                "leafHash": one.stored.leaf_hash.hex(),
                "condition": one.opened.condition.value,
                "entry": one.opened.body,
            }
            self._put(f"opened/{index}.json", orjson.dumps(shown, option=orjson.OPT_INDENT_2))
            proof = InclusionProof(index=index, path=path, checkpoint=self._note.decode())
            self._put(f"proofs/{index}.tlog-proof", str(proof).encode())
            self._records.append(index)
        self._overview.add([one.row for one in found])

    async def _add_range(self, span: Span) -> None:
        self._archive.start(case.RANGE)
        place = span.first
        while place < span.end:
            page = await self._log.entries(place, min(_PAGE, span.end - place))
            expected = range(place, place + len(page))
            if not page or any(stored.index != index for stored, index in zip(page, expected, strict=True)):
                raise ExportRefused(f"entries from {place} on are missing: run `cdi-gateway audit verify`")
            data = b"".join(case.ranged(stored.entry, stored.leaf_hash) for stored in page)
            await asyncio.to_thread(self._archive.write, data)
            place += len(page)

    def _finish(self, span: Span, tally: Tally) -> None:
        self._overview.close()
        self._archive.start("records.csv")
        for chunk in self._overview.chunks():
            self._archive.write(chunk)
        node = TileHashes(self._head.size, self._tile)
        stamps = case.stamps(self._store.stamped(), head=self._head.size, records=self._records)
        for size in stamps:
            self._add_timestamp(size)
        contents = Contents(
            head=self._head,
            query=span.query,
            first=span.first,
            end=span.end,
            records=self._records,
            erased=tally.erased,
            unreadable=tally.unreadable,
            whole=self._whole,
            timestamps=stamps,
            files=self._archive.digests(),
        )
        keeper = self._keeper
        made = Made(
            time=self._clock.now(),
            operator=keeper.operator,
            participant=keeper.participant,
            software=keeper.software,
        )
        manifest = case.manifest(contents, made, node)
        self._put(case.MANIFEST, manifest)
        self._put(case.MANIFEST_NOTE, case.manifest_note(manifest, keeper.case_signers, keeper.origin))
        self._archive.close()

    def _add_timestamp(self, size: int) -> None:
        """The stamped checkpoint, the token over it, and that the bundle's own tree begins with that checkpoint's."""
        data, token = self._store.read(published.stamped(size)), self._store.read(published.token(size))
        try:
            stamped = checkpoint(parse(data or b"").text)
            path = consistency_path(size, self._head.size, TileHashes(self._head.size, self._tile))
            holds = consistent(size, stamped.root, self._head.size, self._head.root, path)
        except ValueError as error:
            raise ExportRefused(f"the time-stamp of size {size} cannot be used: {error}") from error
        if not holds or token is None:
            raise ExportRefused(f"the time-stamp of size {size} is not of this log: run `cdi-gateway audit verify`")
        self._put(published.stamped(size), data or b"")
        self._put(published.token(size), token)
        self._put(f"timestamps/{size}.consistency", case.consistency(path))

    def _put(self, path: str, data: bytes) -> None:
        self._archive.start(path)
        self._archive.write(data)
