"""What only the store on disk promises: its files, and what it makes of strange ones."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tahoe.codec import base32
from tahoe.codec.container import stored_secret
from tahoe.errors import BadConfiguration, NoSpace, Refused, StorageFailed
from tahoe.protocol import Lease, ShareFacts
from tahoe.storage.disk import MOST_LOGGED, DiskStore
from tahoe.storage.filesystem import RealFile, RealFileSystem, VolatileFileSystem
from tahoe.storage.store import MOST_ADVISORIES, StoreOptions
from tests.storage.samples import MINE, NOW, PERIOD, content, flipped, index, lease, share, ueb_hash

VECTORS = Path(__file__).parent.parent / "vectors" / "containers.json"
IMMUTABLE = [case for case in json.loads(VECTORS.read_text())["cases"] if case["kind"] == "immutable"]
MUTABLE = [case for case in json.loads(VECTORS.read_text())["cases"] if case["kind"] == "mutable"]


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "storage"


def opened(root: Path, **options) -> DiskStore:
    return DiskStore(RealFileSystem(root), StoreOptions(**options)).open()


def share_path(root: Path, storage_index: bytes, number: int) -> Path:
    name = base32.encode(storage_index)
    return root / "shares" / name[:2] / name / str(number)


def put_file(root: Path, storage_index: bytes, number: int, data: bytes) -> Path:
    path = share_path(root, storage_index, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def files_below(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


# --- the files ----------------------------------------------------------------------------------------


def test_shares_lie_where_tahoe_lafs_looks_for_them(root):
    store = opened(root)
    store.store(index(0), {10: b"x"}, lease(), NOW)
    name = base32.encode(index(0))
    assert files_below(root) == ["format-version", "serving", "shares-log", f"shares/{name[:2]}/{name}/10"]
    store.shut()
    assert "serving" not in files_below(root)


def as_given(case, which: int) -> Lease:
    found = case["leases"][which]
    return Lease(bytes.fromhex(found["renew_secret"]), bytes.fromhex(found["cancel_secret"]))


@pytest.mark.parametrize(
    "case", IMMUTABLE, ids=lambda case: f"v{case['version']}-{len(case['leases'])}-{case.get('op')}"
)
def test_containers_of_tahoe_lafs_are_read(root, case):
    data = bytes.fromhex(case["data"])
    put_file(root, index(0), 4, bytes.fromhex(case["file"]))
    store = opened(root)
    assert store.shares(index(0)) == {4: ShareFacts(4, len(data), b"")}
    assert store.read(index(0), 4, 0, 10**6) == data
    stored = partial(stored_secret, case["version"])
    assert store.leases(index(0), 4) == tuple(
        (each["owner"], stored(given.renew_secret), stored(given.cancel_secret), each["expires"])
        for place, each in enumerate(case["leases"])
        for given in [as_given(case, place)]
    )
    assert store.space().shares == 1


@pytest.mark.parametrize("case", [case for case in IMMUTABLE if case["leases"]], ids=lambda case: str(case.get("op")))
def test_leases_are_renewed_and_cancelled_as_tahoe_lafs_does(root, case):
    """Adding a lease and cancelling it again, and renewing into the past, give back the very file."""
    path = put_file(root, index(0), 4, bytes.fromhex(case["file"]))
    store = opened(root)
    store.add_lease(index(0), lease(77), 1, NOW)
    assert path.stat().st_size == len(case["file"]) // 2 + 72
    assert store.cancel_lease(index(0), lease(77).cancel_secret, NOW) == 1
    for place in range(len(case["leases"])):
        assert store.add_lease(index(0), as_given(case, place), 1, 0.0) == 1
    assert path.read_bytes() == bytes.fromhex(case["file"])


def test_every_version_2_history_of_the_vectors_is_written_byte_for_byte(root):
    cases = [case for case in IMMUTABLE if case["version"] == 2 and case["leases"] and case["leases"][0]["owner"] == 0]
    assert len(cases) > 1
    for place, case in enumerate(cases):
        store = opened(root / str(place))
        for number, each in enumerate(case["leases"]):
            given, now = as_given(case, number), each["expires"] - PERIOD
            if number == 0:
                store.store(index(0), {4: bytes.fromhex(case["data"])}, given, now)
            else:
                store.add_lease(index(0), given, each["owner"], now)
        assert share_path(root / str(place), index(0), 4).read_bytes().hex() == case["file"]


def test_an_upload_makes_the_very_file_that_storing_makes(root):
    store = opened(root)
    data = share(1, 1)
    store.store(index(0), {1: data}, lease(), NOW)
    store.allocate(index(1), MINE, (1,), len(data), lease(), NOW)
    store.write(index(1), MINE, 1, 100, data[100:], NOW)
    store.write(index(1), MINE, 1, 0, data[:100], NOW)
    store.close(index(1), MINE, (1,))
    assert share_path(root, index(0), 1).read_bytes() == share_path(root, index(1), 1).read_bytes()


def test_shares_are_found_again_by_the_next_process(root):
    store = opened(root, sizelimit=10**6)
    store.store(index(0), {1: share(1, 1)}, lease(), NOW)
    store.add_lease(index(0), lease(2), 1, NOW)
    space, leases = store.space(), store.leases(index(0), 1)
    for ends in (store.shut, lambda: None):
        ends()
        store = opened(root, sizelimit=10**6)
        assert store.shares(index(0)) == {1: ShareFacts(1, len(share(1, 1)), ueb_hash(1))}
        assert store.leases(index(0), 1) == leases
        assert store.space() == space


def test_whatever_lies_in_incoming_is_swept_at_the_start(root):
    store = opened(root, sizelimit=10**6)
    store.allocate(index(0), MINE, (1,), 1000, lease(), NOW)
    old = root / "shares" / "incoming" / "ab" / "abcdef"
    old.mkdir(parents=True)
    (old / "3").write_bytes(b"an upload of Tahoe-LAFS")
    store = opened(root, sizelimit=10**6)
    assert list((root / "shares" / "incoming").iterdir()) == []
    assert store.space().available == 10**6
    with pytest.raises(Refused, match="no-such-upload"):
        store.write(index(0), MINE, 1, 0, b"x", NOW)


def test_an_upload_leaves_no_secret_in_a_name(root):
    opened(root).allocate(index(0), MINE, (1,), 1000, lease(), NOW)
    (name,) = [path.name for path in (root / "shares" / "incoming").iterdir()]
    assert base32.encode(MINE)[:8] not in name
    assert MINE.hex()[:8] not in name


def test_a_storage_directory_of_a_later_format_is_refused_with_a_clear_word(root):
    opened(root)
    (root / "format-version").write_text("2\n")
    with pytest.raises(BadConfiguration, match=r"format '2'.*this release knows 1"):
        opened(root)


def test_names_that_are_none_of_ours_are_left_alone(root):
    put_file(root, index(0), 1, b"").with_name("notes.txt").write_text("hello")
    put_file(root, index(0), 1, b"").with_name("01").write_text("hello")
    (root / "shares" / "zz").mkdir()
    (root / "shares" / "zz" / "not-an-index").mkdir()
    (root / "shares" / "README").write_text("hello")
    (root / "shares" / "xy").write_text("hello")
    store = opened(root)
    assert list(store.storage_indexes()) == [index(0)]
    assert list(store.shares(index(0))) == [1]


@pytest.mark.parametrize("version", [1, 2])
def test_a_mutable_container_is_no_share_of_ours_and_is_left_alone(root, version):
    data = bytes.fromhex(next(case["file"] for case in MUTABLE if case["version"] == version))
    path = put_file(root, index(0), 1, data)
    store = opened(root)
    assert store.shares(index(0)) == {}
    with pytest.raises(Refused, match="no-such-share"):
        store.replace_corrupt(index(0), 1, share(1, 1))
    with pytest.raises(Refused, match="conflict"):
        store.store(index(0), {1: share(1, 1)}, lease(), NOW)
    store.allocate(index(0), MINE, (1,), 1, lease(), NOW)
    store.write(index(0), MINE, 1, 0, b"x", NOW)
    with pytest.raises(Refused, match="conflict"):
        store.close(index(0), MINE, (1,))
    store.add_lease(index(0), lease(), 1, NOW)
    store.cancel_lease(index(0), lease().cancel_secret, NOW)
    assert path.read_bytes() == data


def left_with(root, data: bytes) -> None:
    """Leave a store with one share behind."""
    store = opened(root)
    store.store(index(0), {1: data}, lease(), NOW)
    store.shut()


@pytest.mark.parametrize("damage", [(3, 0xFF), (8, 0xFF)], ids=["version", "lease count"])
def test_a_damaged_container_is_found_by_the_scrub_and_still_gives_its_bytes(root, damage):
    left_with(root, share(1, 1))
    path = share_path(root, index(0), 1)
    data = bytearray(path.read_bytes())
    data[damage[0]] = damage[1]
    path.write_bytes(data)
    store = opened(root)
    assert store.read(index(0), 1, 0, len(share(1, 1))) == share(1, 1)
    assert store.shares(index(0))[1].ueb_hash == ueb_hash(1)
    assert not store.scrub(index(0), 1).sound
    assert store.leases(index(0), 1) == ()
    assert store.add_lease(index(0), lease(2), 1, NOW) == 1
    assert path.read_bytes() == data
    assert store.replace_corrupt(index(0), 1, share(1, 1))
    assert store.scrub(index(0), 1).sound
    assert store.read(index(0), 1, 0, 10**6) == share(1, 1)


@pytest.mark.parametrize("length", range(0, 91, 7))
def test_a_file_cut_short_anywhere_breaks_nothing(root, length):
    left_with(root, b"0123456")
    path = share_path(root, index(0), 1)
    path.write_bytes(path.read_bytes()[:length])
    store = opened(root)
    store.shares(index(0))
    store.read(index(0), 1, 0, 100)
    assert not store.scrub(index(0), 1).sound
    store.add_lease(index(0), lease(2), 1, NOW)
    store.leases(index(0), 1)


def test_a_share_that_somebody_deletes_by_hand_is_gone(root):
    store = opened(root)
    store.store(index(0), {1: b"x", 2: b"y"}, lease(), NOW)
    store = opened(root)
    share_path(root, index(0), 1).unlink()
    assert list(store.shares(index(0))) == [2]
    with pytest.raises(Refused, match="no-such-share"):
        store.read(index(0), 1, 0, 1)


def test_leases_of_a_share_beyond_4_gib_survive_a_torn_append(root):
    """Its length does not fit the container's field, so the end of its UEB tells where leases begin."""
    left_with(root, b"")
    end = 2**32 + 1000
    header = (2).to_bytes(4, "big") + b"".join(
        number.to_bytes(8, "big") for number in (1, 1, 0x44, 0x44, 0x44, 0x44, 0x44, end - 8 - 50)
    )
    record = share_path(root, index(0), 1).read_bytes()[12:]
    path = share_path(root, index(0), 1)
    with path.open("r+b") as file:
        file.write(b"\0\0\0\2\xff\xff\xff\xff\0\0\0\1" + header)
        file.seek(12 + end - 8 - 50)
        file.write((50).to_bytes(8, "big") + b"u" * 50 + record + b"torn")
    store = opened(root)
    assert store.shares(index(0))[1].size == end
    assert store.read(index(0), 1, end - 2, 10) == b"uu"
    store.add_lease(index(0), lease(2), 1, NOW)
    assert [each.owner for each in store.leases(index(0), 1)] == [0, 1]
    assert path.stat().st_size == 12 + end + 144


# --- advice -------------------------------------------------------------------------------------------


def test_a_readers_report_becomes_a_text_file_for_the_operator(root):
    store = opened(root)
    store.store(index(0), {1: share(1, 1)}, lease(), NOW)
    store.advise_corrupt(index(0), 1, "v0-abc: block 3", NOW)
    store.advise_corrupt(index(0), 1, "v0-abc: block 4", NOW)
    first, second = sorted((root / "corruption-advisories").iterdir())
    assert first.name.startswith(f"2023-11-14T221320Z--{base32.encode(index(0))}-1")
    assert "block 3" in first.read_text()
    assert "block 4" in second.read_text()
    assert f"storage_index: {base32.encode(index(0))}\nshare_number: 1\n" in first.read_text()


def test_reports_without_end_do_not_fill_the_disk():
    disk = VolatileFileSystem()
    store = DiskStore(disk).open()
    store.store(index(0), {1: b"x"}, lease(), NOW)
    for second in range(MOST_ADVISORIES + 5):
        store.advise_corrupt(index(0), 1, f"report {second}", NOW + second)
    names = sorted(disk.listdir("corruption-advisories"))
    assert len(names) == MOST_ADVISORIES
    assert b"report 5\n" in disk.open(f"corruption-advisories/{names[0]}").read(0, 1000)


# --- the disk's errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "expected", "words"),
    [
        (errno.ENOSPC, NoSpace, "full"),
        (errno.EDQUOT, NoSpace, "full"),
        (errno.EROFS, StorageFailed, "read-only"),
        (errno.EIO, StorageFailed, "failed"),
    ],
)
def test_disk_errors_become_errors_of_the_store(number, expected, words):
    disk = VolatileFileSystem()
    store = DiskStore(disk).open()
    disk.trouble = lambda _call, verb: OSError(number, os.strerror(number)) if verb == "write" else None
    with pytest.raises(expected, match=words):
        store.store(index(0), {0: b"x"}, lease(), NOW)
    with pytest.raises(expected, match=words):
        store.allocate(index(0), MINE, (0,), 10, lease(), NOW)
    disk.trouble = lambda _call, verb: OSError(number, os.strerror(number)) if verb == "listdir" else None
    with pytest.raises(expected, match=words):
        store.shares(index(0))
    with pytest.raises(expected, match=words):
        list(store.storage_indexes())


def test_a_disk_that_others_fill_stops_an_upload_and_its_room_comes_back():
    disk = VolatileFileSystem(capacity=100_000)
    store = DiskStore(disk).open()
    data = content(1, 60_000)
    store.allocate(index(0), MINE, (0,), len(data), lease(), NOW)
    hog = disk.create("hog")
    hog.write(0, bytes(disk.space().free))
    with pytest.raises(NoSpace):
        store.store(index(1), {0: b"x"}, lease(), NOW)
    store.abort(index(0), MINE, (0,))
    hog.truncate(0)
    disk.unlink("hog")
    assert store.space().accepts >= len(data)
    assert store.store(index(0), {0: data}, lease(), NOW)[0] == (0,)


def test_a_full_disk_is_seen_at_allocation_and_half_way_at_worst():
    disk = VolatileFileSystem(capacity=10_000)
    store = DiskStore(disk).open()
    with pytest.raises(NoSpace):
        store.allocate(index(0), MINE, (0,), 10_000, lease(), NOW)
    accepts = store.space().accepts
    assert 9_000 < accepts < 10_000
    assert store.allocate(index(0), MINE, (0,), accepts, lease(), NOW)[0] == (0,)
    with pytest.raises(NoSpace):
        store.allocate(index(1), MINE, (0,), 1, lease(), NOW)


def test_a_read_only_disk_serves_what_it_has_and_takes_nothing():
    disk = VolatileFileSystem()
    DiskStore(disk).open().store(index(0), {1: share(1, 1)}, lease(), NOW)
    changing = {"create", "edit", "rename", "unlink", "mkdir", "rmdir", "write"}
    disk.trouble = lambda _call, verb: OSError(errno.EROFS, "read-only") if verb in changing else None
    store = DiskStore(disk).open()
    assert store.read(index(0), 1, 0, 10**6) == share(1, 1)
    assert store.scrub(index(0), 1).sound
    assert store.space().accepts == 0
    assert store.space().shares == 1
    with pytest.raises(NoSpace, match="read-only"):
        store.store(index(1), {0: b"x"}, lease(), NOW)


def test_a_share_whose_name_could_not_be_synced_is_not_shown_and_may_be_stored_again():
    disk = VolatileFileSystem()
    store = DiskStore(disk).open()
    store.store(index(0), {0: b"old"}, lease(), NOW)
    disk.trouble = lambda _call, verb: OSError(errno.EIO, "told to") if verb in {"sync_directory", "unlink"} else None
    new = b"new" * MOST_LOGGED
    with pytest.raises(StorageFailed):
        store.store(index(0), {1: new}, lease(), NOW)
    assert list(store.shares(index(0))) == [0]
    with pytest.raises(Refused, match="no-such-share"):
        store.read(index(0), 1, 0, 1)
    disk.trouble = lambda _call, _verb: None
    assert store.store(index(0), {1: new}, lease(), NOW)[0] == (1,)
    assert store.read(index(0), 1, 0, 9) == b"newnewnew"


# --- costs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "first", "sibling"),
    [
        (1, {"sync": 1}, {"sync": 2}),
        (MOST_LOGGED + 1, {"sync": 1, "sync_directory": 2}, {"sync": 2, "sync_directory": 1}),
    ],
)
def test_a_small_share_costs_one_sync_and_a_large_one_three_and_its_sibling_one_more_for_the_lease(
    size, first, sibling
):
    disk = VolatileFileSystem()
    store = DiskStore(disk).open()
    for earlier in (MOST_LOGGED + 1, 0):  # both ways have been taken before
        store.store(b"a" * 15 + bytes([earlier % 256]), {0: bytes(earlier)}, lease(), NOW)
    for number, expected in enumerate((first, sibling)):
        disk.verbs.clear()
        store.store(b"a" * 15 + b"b", {number: bytes(size)}, Lease(bytes(32), bytes([number] * 32)), NOW + number)
        assert {verb: count for verb, count in disk.verbs.items() if "sync" in verb} == expected


def test_renewing_costs_one_sync_and_nothing_if_nothing_changes():
    disk = VolatileFileSystem()
    store = DiskStore(disk).open()
    store.store(index(0), {0: b"x"}, lease(), NOW)
    disk.verbs.clear()
    store.add_lease(index(0), lease(), 1, NOW + 1)
    store.add_lease(index(0), lease(), 1, NOW + 1)
    assert disk.verbs["sync"] == 1


def open_descriptors() -> int:
    """How many descriptors this process has open."""
    return len(list(Path("/dev/fd").iterdir()))


def test_no_more_files_are_held_open_than_allowed(root):
    store = DiskStore(RealFileSystem(root), open_files=3).open()
    before = open_descriptors()
    for number in range(20):
        store.store(index(number), {0: share(1, 0)}, lease(), NOW)
        store.read(index(number), 0, 0, 10)
        store.allocate(index(number), MINE, (1,), 10, lease(), NOW)
        store.write(index(number), MINE, 1, 0, b"01234", NOW)
    assert open_descriptors() - before <= 3 + 3 + 1  # the last is the log's
    for number in range(20):
        store.write(index(number), MINE, 1, 5, b"56789", NOW)
        assert store.close(index(number), MINE, (1,)) == (1,)
        assert store.read(index(number), 1, 0, 10) == b"0123456789"


# --- a real kill ----------------------------------------------------------------------------------------

VICTIM = """
import sys
from tahoe.storage.disk import DiskStore
from tahoe.storage.filesystem import RealFileSystem
from tests.storage.samples import MINE, NOW, content, index, lease
store = DiskStore(RealFileSystem(sys.argv[1])).open()
for number in range(10_000):
    data = content(number, 40_000)
    store.allocate(index(number), MINE, (0,), len(data), lease(), NOW)
    for start in range(0, len(data), 1000):
        store.write(index(number), MINE, 0, start, data[start : start + 1000], NOW)
    store.close(index(number), MINE, (0,))
    print(number, flush=True)
"""


@pytest.mark.parametrize("shares", [1, 7, 23])
def test_a_killed_process_leaves_no_half_share_and_loses_no_acknowledged_one(root, shares):
    project = Path(__file__).parents[2]
    victim = subprocess.Popen([sys.executable, "-c", VICTIM, str(root)], stdout=subprocess.PIPE, text=True, cwd=project)
    acknowledged = [int(victim.stdout.readline()) for _ in range(shares)]
    victim.send_signal(signal.SIGKILL)
    acknowledged += [int(line) for line in victim.stdout if line.endswith("\n")]
    victim.stdout.close()
    assert victim.wait() == -signal.SIGKILL
    store = opened(root, sizelimit=10**9)
    visible = {number for number in range(acknowledged[-1] + 3) if store.shares(index(number))}
    assert set(acknowledged) <= visible <= {*acknowledged, acknowledged[-1] + 1}
    for number in visible:
        assert store.read(index(number), 0, 0, 10**6) == content(number, 40_000)
    assert list((root / "shares" / "incoming").iterdir()) == []
    assert store.space().available == 10**9 - len(visible) * (40_000 + 84)


def test_flipping_any_byte_of_a_container_never_makes_the_store_fall_over(root):
    opened(root).store(index(0), {1: share(1, 1, 100)}, lease(), NOW)
    path = share_path(root, index(0), 1)
    sound = path.read_bytes()
    for position in [*range(60), *range(60, len(sound), 17)]:
        path.write_bytes(flipped(sound, position))
        store = opened(root)
        store.shares(index(0))
        store.read(index(0), 1, 0, 10**6)
        store.scrub(index(0), 1)
        store.leases(index(0), 1)


def test_a_large_upload_goes_to_the_disk_and_out_of_memory_while_it_lasts(root, monkeypatch):
    told = []
    monkeypatch.setattr(RealFile, "release", lambda _file, offset, length: told.append((offset, offset + length)))
    store = opened(root)
    megabyte, size, piece = 2**20, 12 * 2**20, 2**19
    store.allocate(index(0), MINE, (0,), size, lease(), NOW)
    for start in [piece, 0, *range(2 * piece, size, piece)]:
        store.write(index(0), MINE, 0, start, bytes(piece), NOW)
    stops = range(megabyte, size + 1, megabyte)
    assert told == [(12 + max(0, stop - 9 * megabyte), 12 + stop) for stop in stops]
    store.close(index(0), MINE, (0,))
    assert told[-1] == (0, share_path(root, index(0), 0).stat().st_size)
