"""The stand-alone verifier: a whole bundle holds, one that anybody changed does not, the keeper of the log included."""

from __future__ import annotations

import ast
import asyncio
import base64
import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from adapters.casefile import verify as verifier
from adapters.clock import SystemClock
from adapters.sandbox.pki import Authority
from adapters.sandbox.timestamp_authority import TimestampAuthority
from gateway.audit import case, tree
from gateway.core import merkle
from tests.case_bundles import VERIFIER, VKEY, WITNESS_VKEY, timestamp_response, verify, zipped
from tests.published_log import ORIGIN, checkpoint, log_signer
from tests.unit.adapters.casefile.conftest import ENTRIES, ERASED_INDEX, FIRST, LAST, STAMPED, Bundles

Files = dict[str, bytes]

# RFC 8032 §7.1, TEST 1 to 3: public key, message, signature
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checked") / "case.zip"


def checked(files: Files, place: Path) -> list[str]:
    """What is wrong with these files, by the verifier in this process."""
    place.write_bytes(zipped(files))
    try:
        bundle = verifier.Bundle(place)
        found = verifier.Case(bundle, [verifier.Key.parse(VKEY)], [verifier.Key.parse(WITNESS_VKEY)])
    except verifier.Wrong as error:
        return [str(error)]
    found.run()
    return found.problems


def resigned(files: Files, changes: Files, edit: Callable[[dict[str, Any]], object] = lambda _manifest: None) -> Files:
    """As the keeper of the log could make it: files changed, manifest edited, all signed anew with the log's key."""
    found = {**files, **changes}
    manifest = orjson.loads(files["manifest.json"])
    edit(manifest)
    names = set(found) - {"manifest.json", "manifest.note"}
    manifest["files"] = {name: hashlib.sha256(found[name]).hexdigest() for name in sorted(names)}
    found["manifest.json"] = orjson.dumps(manifest)
    found["manifest.note"] = case.manifest_note(
        found["manifest.json"], [log_signer(name=case.case_name(ORIGIN))], ORIGIN
    )
    return found


def without(files: Files, *names: str) -> Files:
    return {name: data for name, data in files.items() if name not in names}


# --- as an outsider runs it ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["stated", "whole", "private"])
def test_a_whole_bundle_holds(kind: str, bundles: Bundles, tmp_path: Path) -> None:
    (tmp_path / "case.zip").write_bytes(zipped(getattr(bundles, kind)))
    code, said = verify(tmp_path / "case.zip", "--key", VKEY, "--witness", WITNESS_VKEY)
    assert (code, "WARNING" in said, "WRONG" in said) == (0, False, False)
    assert "Everything that was checked holds" in said
    assert "are entries of the log, unchanged" in said
    assert "Witness witness.example.com/w1 cosigned this checkpoint" in said


def test_it_runs_where_it_was_unzipped_with_nothing_around_it(bundles: Bundles, tmp_path: Path) -> None:
    for name, data in bundles.stated.items():
        (tmp_path / "case" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "case" / name).write_bytes(data)
    (tmp_path / "case" / ".DS_Store").write_bytes(b"a file manager's")
    code, said = verify(tmp_path / "case", "--key", VKEY, script=tmp_path / "case" / "verify.py")
    assert (code, "WRONG" in said) == (0, False)
    (tmp_path / "case" / "records" / f"{LAST - 3}.json").unlink(missing_ok=True)
    (tmp_path / "case" / "records" / f"{ERASED_INDEX}.json").unlink()
    code, said = verify(tmp_path / "case", "--key", VKEY)
    assert (code, f"records/{ERASED_INDEX}.json was removed" in said, "PROVEN\n" in said) == (1, True, False)


def test_without_a_key_it_warns_and_shows_the_fingerprint(bundles: Bundles, tmp_path: Path) -> None:
    (tmp_path / "case.zip").write_bytes(zipped(bundles.stated))
    code, said = verify(tmp_path / "case.zip")
    digits = hashlib.sha256(log_signer().verifier.public).hexdigest()
    assert (code, "WARNING: the key of the log is taken from the bundle itself" in said) == (0, True)
    assert f"{digits[:4]}:{digits[4:8]}:" in said


def test_another_key_is_not_the_logs(bundles: Bundles, tmp_path: Path) -> None:
    (tmp_path / "case.zip").write_bytes(zipped(bundles.stated))
    for other in (str(log_signer(2).verifier), str(log_signer(name="log.example.com/other").verifier)):
        code, said = verify(tmp_path / "case.zip", "--key", other)
        assert (code, "not signed by the log's key" in said) == (1, True)
    code, said = verify(tmp_path / "case.zip", "--key", VKEY[:-4] + "AAA=")
    assert (code, "verifier key" in said) == (1, True)


def test_what_is_not_there_or_no_bundle_is_said(tmp_path: Path) -> None:
    assert verify(tmp_path / "nothing.zip")[0] == 2
    (tmp_path / "text.zip").write_bytes(b"no zip")
    code, said = verify(tmp_path / "text.zip")
    assert (code, "not a case bundle" in said) == (1, True)
    (tmp_path / "empty.zip").write_bytes(zipped({}))
    assert verify(tmp_path / "empty.zip")[0] == 1


def test_it_needs_only_what_python_3_8_has() -> None:
    source = VERIFIER.read_text("utf-8")
    compile(source, "verify.py", "exec", dont_inherit=True)
    tree_ = ast.parse(source, feature_version=(3, 8))
    imported = {alias.name for node in ast.walk(tree_) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree_) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= set(sys.stdlib_module_names)


def pythons() -> set[str]:
    """Every Python of this machine, this one among them."""
    found = {sys.executable}
    for name in ("python3", *(f"python3.{minor}" for minor in range(8, 16))):
        # By its own word where it is: what is found by the name may only lead to it, by variables that an empty
        # environment has not.
        command = shutil.which(name)
        question = [command, "-c", "import sys; print(sys.executable)"]
        done = command and subprocess.run(question, capture_output=True, text=True, check=False)
        if done and done.returncode == 0:
            found.add(done.stdout.strip())
    return found


def test_it_runs_on_every_python_of_this_machine(bundles: Bundles, tmp_path: Path) -> None:
    (tmp_path / "case.zip").write_bytes(zipped(bundles.whole))
    verdicts = {python: verify(tmp_path / "case.zip", "--key", VKEY, python=python)[0] for python in pythons()}
    assert set(verdicts.values()) == {0}, verdicts


# --- what it says ---------------------------------------------------------------------------------------------------


def test_it_says_what_is_proven_and_what_is_the_keepers_word(bundles: Bundles, tmp_path: Path) -> None:
    said = {}
    for kind in ("stated", "whole", "private"):
        (tmp_path / f"{kind}.zip").write_bytes(zipped(getattr(bundles, kind)))
        said[kind] = verify(tmp_path / f"{kind}.zip", "--key", VKEY)[1].partition("SAID, NOT PROVEN HERE")
    searched = f"entries {FIRST} to {LAST} were"
    assert f"The keeper states, signed: {searched} searched, and no other of them matches" in said["stated"][2]
    assert f"Complete: {searched} all searched here again for: outcome:MISMATCH" in said["whole"][0]
    assert "The keeper states" not in said["whole"][2]
    assert "searched here again by their public fields for: digest:keyed:" in said["private"][0]
    assert "rests on the keeper's word" in said["private"][2]
    assert f"openssl ts -verify -in timestamps/{STAMPED}.tsr" in said["stated"][2]
    assert "of 1 the private fields were erased" in said["whole"][0]
    assert "No witness that is known here" not in said["stated"][2]


# --- what anybody may have changed ----------------------------------------------------------------------------------


def tampered(files: Files, data: st.DataObject) -> Files:
    names = sorted(files)
    name = data.draw(st.sampled_from(names))
    content = files[name]
    how = data.draw(st.sampled_from(["remove", "flip", "cut", "lengthen", "swap", "add", "empty"]))
    if how == "remove":
        return without(files, name)
    if how == "add":
        folder = data.draw(st.sampled_from(["", "records/", "opened/", "proofs/", "timestamps/", "range/"]))
        return {**files, f"{folder}{10_000 + data.draw(st.integers(0, 9))}.json": content}
    if how == "swap":
        other = data.draw(st.sampled_from([one for one in names if files[one] != content]))
        return {**files, name: files[other], other: content}
    if how == "flip":
        bit = data.draw(st.integers(0, 8 * len(content) - 1))
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        return {**files, name: bytes(changed)}
    if how == "cut":
        return {**files, name: content[: data.draw(st.integers(0, len(content) - 1))]}
    if how == "lengthen":
        return {**files, name: content + data.draw(st.binary(min_size=1, max_size=4))}
    return {**files, name: b""}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_file_is_noticed(bundles: Bundles, place: Path, data: st.DataObject) -> None:
    files = data.draw(st.sampled_from([bundles.stated, bundles.whole]))
    assert checked(tampered(files, data), place)


def test_each_file_that_is_removed_is_named(bundles: Bundles, place: Path) -> None:
    for name in bundles.whole:
        assert any(name in problem for problem in checked(without(bundles.whole, name), place)), name


def test_two_files_of_one_name_are_refused(bundles: Bundles, place: Path) -> None:
    with zipfile.ZipFile(place, "w") as bundle:
        for name, data in bundles.stated.items():
            bundle.writestr(name, data)
        with pytest.warns(UserWarning, match="Duplicate"):
            bundle.writestr("checkpoint", bundles.stated["checkpoint"])
    with pytest.raises(verifier.Wrong, match="two files of one name"):
        verifier.Bundle(place)


def test_a_signature_over_a_checkpoint_is_none_over_a_manifest(bundles: Bundles, place: Path) -> None:
    files = bundles.stated
    digest = hashlib.sha256(files["manifest.json"]).hexdigest()
    text = f"{ORIGIN}/case\nmanifest.json sha256 {digest}\n"
    note = (text + "\n" + log_signer().line(text)).encode()  # by the log's key, under the log's own name
    assert checked({**files, "manifest.note": note}, place) == ["manifest.note is not signed by the log's key"]


# --- what the keeper itself cannot change ---------------------------------------------------------------------------


def test_the_keeper_cannot_leave_out_a_matching_record_of_a_complete_bundle(bundles: Bundles, place: Path) -> None:
    index = 70
    names = [f"records/{index}.json", f"opened/{index}.json", f"proofs/{index}.tlog-proof"]

    def forget(manifest: dict[str, Any]) -> None:
        manifest["records"].remove(index)
        manifest["counts"]["matched"] -= 1

    left = without(bundles.whole, *names)
    assert checked(resigned(left, {}, forget), place) == [
        f"entry {index} matches the query and is not among the records"
    ]
    # Without the entries of the range it is the keeper's word, and the verifier says so.
    assert checked(resigned(without(bundles.stated, *names), {}, forget), place) == []


def hashed(files: Files, wanted: range) -> bytes:
    """`range/entries` with the hashes of these entries in their place, as if they had been pruned."""
    data, place, parts = files["range/entries"], 0, []
    for index in range(FIRST, LAST + 1):
        length = int.from_bytes(data[place : place + 2], "big")
        entry = data[place + 2 : place + 2 + length]
        parts.append(case.ranged(None if index in wanted else entry, merkle.leaf_hash(entry)))
        place += 2 + length
    return b"".join(parts)


def test_the_keeper_cannot_hide_an_entry_behind_its_hash(bundles: Bundles, place: Path) -> None:
    def forget(manifest: dict[str, Any]) -> None:
        manifest["records"].remove(70)
        manifest["counts"]["matched"] -= 1

    names = ["records/70.json", "opened/70.json", "proofs/70.tlog-proof"]
    left = without(bundles.whole, *names)
    changes = {"range/entries": hashed(bundles.whole, range(70, 71))}
    assert checked(resigned(left, changes, forget), place) == [
        "range: entry 70 is missing, though older ones are there: that is no pruning"
    ]


def test_what_was_pruned_is_not_said_to_be_searched(bundles: Bundles, tmp_path: Path) -> None:
    changes = {"range/entries": hashed(bundles.whole, range(FIRST, FIRST + 3))}
    (tmp_path / "case.zip").write_bytes(zipped(resigned(bundles.whole, changes)))
    code, said = verify(tmp_path / "case.zip", "--key", VKEY)
    assert (code, f"Complete: entries {FIRST + 3} to {LAST} were" in said) == (0, True)
    assert f"Of entries {FIRST} to {FIRST + 2} there are only the hashes" in said


def test_the_keeper_cannot_show_another_query_than_was_searched_for(bundles: Bundles, place: Path) -> None:
    def widen(manifest: dict[str, Any]) -> None:
        manifest["query"]["text"] = ""

    for files in (bundles.stated, bundles.whole):
        assert checked(resigned(files, {}, widen), place) == [
            "the manifest shows another query than the one that it describes"
        ]


def test_the_keeper_cannot_add_a_public_field_to_what_is_shown(bundles: Bundles, place: Path) -> None:
    sealed = [
        index
        for index in orjson.loads(bundles.stated["manifest.json"])["records"]
        if b'"sealed"' in bundles.stated[f"records/{index}.json"]
    ]
    name = f"opened/{sealed[0]}.json"
    shown = orjson.loads(bundles.stated[name])
    shown["entry"]["purpose"] = "ANOTHER"
    found = checked(resigned(bundles.stated, {name: orjson.dumps(shown)}), place)
    assert found == [f"{name} contradicts record {sealed[0]}"]


def test_the_keeper_cannot_change_an_entry_of_the_range(bundles: Bundles, place: Path) -> None:
    data = bundles.whole["range/entries"].replace(b'"outcome":"MISMATCH"', b'"outcome":"MATCHING"', 1)
    assert "range/entries are not the entries of the log" in checked(
        resigned(bundles.whole, {"range/entries": data}), place
    )
    assert any(
        "more entries" in one
        for one in checked(resigned(bundles.whole, {"range/entries": bundles.whole["range/entries"] + b"\0\0"}), place)
    )


def test_the_keeper_cannot_shift_the_range(bundles: Bundles, place: Path) -> None:
    def shift(manifest: dict[str, Any]) -> None:
        manifest["range"] = {"first": FIRST + 1, "end": LAST + 2}

    assert checked(resigned(bundles.whole, {}, shift), place)

    def beyond(manifest: dict[str, Any]) -> None:
        manifest["range"]["end"] = ENTRIES + 10

    assert checked(resigned(bundles.whole, {}, beyond), place) == ["the range that was searched is not one of this log"]


def test_the_keeper_cannot_change_a_record(bundles: Bundles, place: Path) -> None:
    name = "records/70.json"
    changed = bundles.stated[name].replace(b"MISMATCH", b"MATCHING")
    assert "records/70.json is not entry 70 of the log" in checked(resigned(bundles.stated, {name: changed}), place)


def test_the_keeper_cannot_give_a_record_the_proof_of_another(bundles: Bundles, place: Path) -> None:
    other = bundles.stated["proofs/77.tlog-proof"]
    found = checked(resigned(bundles.stated, {"proofs/70.tlog-proof": other}), place)
    assert "records/70.json is not entry 70 of the log" in found
    both = {"records/70.json": bundles.stated["records/77.json"], "proofs/70.tlog-proof": other}
    assert "records/70.json is not entry 70 of the log" in checked(resigned(bundles.stated, both), place)


def test_the_keeper_cannot_show_another_text_than_the_records_public_one(bundles: Bundles, place: Path) -> None:
    name = "opened/70.json"
    shown = orjson.loads(bundles.stated[name])
    shown["entry"]["outcome"] = "MATCH"
    found = checked(resigned(bundles.stated, {name: orjson.dumps(shown)}), place)
    assert found == ["opened/70.json contradicts record 70"]


def test_the_keeper_cannot_add_what_was_not_asked_for(bundles: Bundles, place: Path) -> None:
    def other_query(manifest: dict[str, Any]) -> None:
        manifest["query"]["terms"][0]["values"] = ["MATCH"]
        manifest["query"]["text"] = manifest["query"]["text"].replace("MISMATCH", "MATCH")

    found = checked(resigned(bundles.stated, {}, other_query), place)
    assert "record 70 does not match the query" in found


def test_the_keeper_cannot_use_another_trees_checkpoint(bundles: Bundles, place: Path) -> None:
    other = checkpoint([b"a", b"b"]).encode()
    assert checked(resigned(bundles.stated, {"checkpoint": other}), place) == [
        "checkpoint is not the one that the manifest names"
    ]


def test_a_time_stamp_is_of_the_logs_earlier_state(bundles: Bundles, place: Path) -> None:
    stamped, token = f"timestamps/{STAMPED}.checkpoint", f"timestamps/{STAMPED}.tsr"
    found = checked(resigned(bundles.stated, {token: timestamp_response(b"something else")}), place)
    assert found == [f"{token} is a time-stamp of something else"]
    forged = checkpoint([b"%d" % index for index in range(STAMPED)]).encode()
    found = checked(resigned(bundles.stated, {stamped: forged, token: timestamp_response(forged)}), place)
    assert found == [f"{stamped} is not an earlier state of this log"]
    refused = timestamp_response(bundles.stated[stamped], status=2)
    assert checked(resigned(bundles.stated, {token: refused}), place) == ["a time-stamp was refused by its authority"]
    sha512 = timestamp_response(bundles.stated[stamped], algorithm=bytes.fromhex("608648016503040203"))
    assert checked(resigned(bundles.stated, {token: sha512}), place) == ["a time-stamp is not over a SHA-256"]


def test_a_real_token_is_read_and_the_printed_command_checks_it(
    bundles: Bundles, tmp_path: Path, require_tool: Callable[..., Path]
) -> None:
    openssl = str(require_tool("openssl"))
    now = int(SystemClock().now())
    authority = Authority.create("time-stamps", now=now)
    authority.timestamping("signer", now=now).write(tmp_path / "cert.pem", tmp_path / "key.pem")
    (tmp_path / "ca.pem").write_bytes(authority.certificate_pem)
    tsa = TimestampAuthority(openssl, tmp_path, certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem")
    stamped = bundles.stated[f"timestamps/{STAMPED}.checkpoint"]
    query = TimestampRequestBuilder().data(stamped).hash_algorithm(HashAlgorithm.SHA256).build()
    token = asyncio.run(tsa.reply(query.as_bytes()))
    for name, data in resigned(bundles.stated, {f"timestamps/{STAMPED}.tsr": token}).items():
        (tmp_path / "case" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "case" / name).write_bytes(data)
    code, said = verify(tmp_path / "case", "--key", VKEY)
    assert code == 0
    command = said[said.index("openssl ts -verify") :].splitlines()[0].replace("AUTHORITY.pem", "../ca.pem").split()
    done = subprocess.run([openssl, *command[1:]], cwd=tmp_path / "case", capture_output=True, text=True, check=False)
    assert "Verification: OK" in done.stdout + done.stderr


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_break_the_reading_of_a_time_stamp(data: bytes) -> None:
    with pytest.raises(verifier.Wrong):
        verifier.timestamp(data)


@given(data=st.data())
def test_no_changed_byte_breaks_the_reading_of_a_time_stamp(data: st.DataObject) -> None:
    response = bytearray(timestamp_response(b"checkpoint"))
    response[data.draw(st.integers(0, len(response) - 1))] = data.draw(st.integers(0, 255))
    try:
        imprint, moment = verifier.timestamp(bytes(response))
    except verifier.Wrong:
        return
    assert isinstance(imprint, bytes)
    assert isinstance(moment, str)


# --- its parts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_ed25519_is_that_of_rfc_8032(public: str, message: str, signature: str) -> None:
    key, text, good = bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature)
    assert verifier.ed25519(key, text, good)
    assert not verifier.ed25519(key, text + b"!", good)
    scalar = int.from_bytes(good[32:], "little") + verifier.ORDER  # §5.1.7: S must be below the order
    assert not verifier.ed25519(key, text, good[:32] + scalar.to_bytes(32, "little"))
    assert not verifier.ed25519(key, text, good[:-1])
    assert not verifier.ed25519((2**255 - 19 + 1).to_bytes(32, "little"), text, good)  # §5.1.3: y must be below p


@settings(max_examples=60, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=64), bit=st.integers(0, 8 * 96 - 1))
def test_ed25519_agrees_with_another_implementation(seed: bytes, message: bytes, bit: int) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    both = bytearray(key.public_key().public_bytes_raw() + key.sign(message))
    assert verifier.ed25519(bytes(both[:32]), message, bytes(both[32:]))
    both[bit // 8] ^= 1 << bit % 8
    public, signature = bytes(both[:32]), bytes(both[32:])
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        holds = False
    else:
        holds = True
    assert verifier.ed25519(public, message, signature) is holds


@given(size=st.integers(1, 70), data=st.data())
def test_the_tree_agrees_with_the_writers(size: int, data: st.DataObject) -> None:
    leaves = [merkle.leaf_hash(bytes([index])) for index in range(size)]
    root = merkle.root(leaves)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    path = list(merkle.inclusion_path(index, leaves))

    def node(level: int, place: int) -> bytes:
        return merkle.root(leaves[place << level : (place + 1) << level])

    assert verifier.root_from_path(leaves[index], index, size, path) == root
    assert verifier.root_from_path(leaves[index], index, size, [*path, root]) is None
    consistency = list(tree.consistency_path(old, size, node))
    assert verifier.consistent(old, merkle.root(leaves[:old]), size, root, consistency)
    assert not verifier.consistent(old, merkle.root(leaves[:old]), size, b"\0" * 32, consistency)
    whole = verifier.Tree()
    first = data.draw(st.integers(0, size))
    for level, place in [*case.subtrees(0, first), *case.subtrees(first, size)]:
        whole.push(level, node(level, place))
    assert (whole.size, whole.root()) == (size, root)


@given(st.integers(0, 253_402_300_799))
def test_times_are_written_as_the_calendar_has_them(seconds: int) -> None:
    assert verifier.utc(seconds) == datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def test_what_it_prints_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    verifier.say("a\x1b[2Jb\nc\N{RIGHT-TO-LEFT OVERRIDE}")
    assert capsys.readouterr().out == "a?[2Jb?c?\n"


def test_base64_has_one_spelling() -> None:
    assert verifier.unbase64(base64.b64encode(b"ab").decode()) == b"ab"
    for other in ("YWJ=", "YWI", "YW I=", "YWI=\n", "é"):
        with pytest.raises(verifier.Wrong):
            verifier.unbase64(other)
