"""Containers: the vectors' files, and changes that a crash may cut off anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.codec import base32
from tahoe.codec.container import (
    HEADER_SIZE,
    LATER_OWNER,
    LEASE_PERIOD,
    UPLOAD_OWNER,
    Container,
    Delete,
    Lease,
    Truncate,
    Write,
    parse_container_header,
    stored_secret,
)
from tahoe.codec.keys import LeaseSecrets, lease_secrets
from tahoe.codec.share import parse_header
from tests.codec.samples import cases

IMMUTABLE = [case for case in cases("containers") if case["kind"] == "immutable"]
FRESH = [case for case in IMMUTABLE if "op" not in case]
CANCELLED = [case for case in IMMUTABLE if case.get("op") == "then cancel lease 0"]
RENEWED = [case for case in IMMUTABLE if case.get("op", "").startswith("renew lease 1")]
versions = st.sampled_from([1, 2])
secret32 = st.binary(min_size=32, max_size=32)
lease_secrets_st = st.builds(LeaseSecrets, secret32, secret32)


def carry_out(file: bytearray, instructions, steps=None) -> bytearray | None:
    """Apply some or all instructions as a disk would; None if the file is gone."""
    for instruction in instructions[:steps]:
        match instruction:
            case Write(offset, data):
                file.extend(bytes(max(0, offset + len(data) - len(file))))
                file[offset : offset + len(data)] = data
            case Truncate(size):
                del file[size:]
            case Delete():
                return None
    return file


def load(file: bytes) -> Container:
    header = parse_container_header(file)
    offset, length = header.leases_span(len(file))
    return Container.parse(header, len(file), file[offset : offset + length])


def built(version: int, data: bytes, leases) -> bytearray:
    file = carry_out(bytearray(), Container(version, len(data), tuple(leases)).create())
    file[HEADER_SIZE : HEADER_SIZE + len(data)] = data
    return file


def secrets_of(lease: dict) -> LeaseSecrets:
    return LeaseSecrets(bytes.fromhex(lease["renew_secret"]), bytes.fromhex(lease["cancel_secret"]))


def vector_lease(lease: dict, version: int) -> Lease:
    return Lease.of(secrets_of(lease), lease["expires"], owner=lease["owner"], version=version)


def test_the_vectors_of_immutable_containers_are_all_used():
    assert len(FRESH) + len(CANCELLED) + len(RENEWED) == len(IMMUTABLE)
    assert CANCELLED
    assert RENEWED


@pytest.mark.parametrize("case", IMMUTABLE, ids=lambda case: f"v{case['version']}-{len(case['leases'])}-leases")
def test_containers_are_the_vectors(case):
    data, file = bytes.fromhex(case["data"]), bytes.fromhex(case["file"])
    leases = [vector_lease(lease, case["version"]) for lease in case["leases"]]
    header = parse_container_header(file)
    assert (header.version, header.lease_count) == (case["version"], len(leases))
    length = header.data_length(len(file))
    assert file[HEADER_SIZE : HEADER_SIZE + length] == data
    assert load(file) == Container(case["version"], len(data), tuple(leases))
    assert load(file).file_size == len(file)
    assert built(case["version"], data, leases) == file


@pytest.mark.parametrize("case", [case for case in FRESH if case["leases"]], ids=lambda case: f"v{case['version']}")
def test_leases_added_one_by_one_give_the_vectors_file(case):
    first, *others = case["leases"]
    file = built(case["version"], bytes.fromhex(case["data"]), [vector_lease(first, case["version"])])
    container = load(file)
    for lease in others:
        change = container.add_or_renew(secrets_of(lease), lease["expires"], owner=lease["owner"])
        file = carry_out(file, change.instructions)
        container = change.container
    assert file.hex() == case["file"]


@pytest.mark.parametrize("case", CANCELLED, ids=lambda case: f"v{case['version']}")
def test_cancelling_the_first_lease_gives_the_vectors_file(case):
    cancelled = LeaseSecrets(b"r" * 32, b"c" * 32)
    leases = [vector_lease(lease, case["version"]) for lease in case["leases"]]
    first = Lease.of(cancelled, 1700000000, owner=UPLOAD_OWNER, version=case["version"])
    before = built(case["version"], bytes.fromhex(case["data"]), [first, *leases])
    change = load(before).cancel(cancelled.cancel)
    assert carry_out(before, change.instructions).hex() == case["file"]


@pytest.mark.parametrize("case", RENEWED, ids=lambda case: f"v{case['version']}")
def test_renewing_a_lease_gives_the_vectors_file(case):
    before = next(fresh for fresh in FRESH if (fresh["data"], fresh["version"]) == (case["data"], case["version"]))
    renewed = case["leases"][1]
    change = load(bytes.fromhex(before["file"])).add_or_renew(secrets_of(renewed), renewed["expires"])
    assert carry_out(bytearray.fromhex(before["file"]), change.instructions).hex() == case["file"]


CHK_CONTAINERS = [case for case in cases("chk") if "container" in case]


@pytest.mark.parametrize("case", CHK_CONTAINERS, ids=lambda case: case["id"])
def test_containers_of_uploaded_files_have_the_lease_that_the_client_derives(case):
    spec = case["container"]
    storage_index = base32.decode(case["storage_index"])
    secrets = lease_secrets(bytes.fromhex(spec["lease_master"]), storage_index, bytes.fromhex(spec["nodeid"]))
    lease = Lease.of(secrets, spec["expires"], owner=UPLOAD_OWNER, version=spec["version"])
    for text in spec["files"].values():
        file = bytes.fromhex(text)
        assert load(file) == Container(2, case["share_length"], (lease,))
        assert parse_header(file[HEADER_SIZE:]).version == case["layout"]


def test_version_2_does_not_keep_secrets():
    secret = bytes(range(32))
    assert stored_secret(1, secret) == secret
    assert stored_secret(2, secret) != secret
    lease = Lease.of(LeaseSecrets(secret, secret), 5.9, owner=LATER_OWNER)
    assert secret not in lease.pack()
    assert lease.expires == 5
    assert repr(lease) == "Lease(owner=1, expires=5)"


def test_a_lease_lasts_31_days():
    assert LEASE_PERIOD == 2678400


@given(versions, lease_secrets_st, st.integers(0, 2**31), st.integers(0, 2**31))
def test_renewing_moves_the_expiry_forward_only_and_keeps_the_rest(version, secrets, before, after):
    file = built(version, b"data", [Lease.of(secrets, before, owner=UPLOAD_OWNER, version=version)])
    change = load(file).add_or_renew(LeaseSecrets(secrets.renew, bytes(32)), after)
    file = carry_out(file, change.instructions)
    assert load(file) == change.container
    assert len(change.container.leases) == 1
    lease = change.container.leases[0]
    assert lease == Lease.of(secrets, max(before, after), owner=UPLOAD_OWNER, version=version)


@given(
    versions,
    st.binary(max_size=100),
    st.lists(lease_secrets_st, min_size=1, max_size=5, unique_by=lambda s: s.renew),
    st.data(),
)
def test_wherever_a_crash_cuts_a_change_off_the_share_is_whole(version, data, secrets, draw):
    leases = [Lease.of(each, 100 + place, owner=0, version=version) for place, each in enumerate(secrets)]
    file = built(version, data, leases)
    container = load(file)
    change = draw.draw(
        st.sampled_from(
            [
                container.add_or_renew(LeaseSecrets(b"n" * 32, b"c" * 32), 500),
                container.add_or_renew(secrets[0], 500),
                container.cancel(secrets[-1].cancel),
                container.cancel(secrets[0].cancel),
                container.expire(100 + draw.draw(st.integers(-1, 5))),
            ]
        )
    )
    for steps in range(len(change.instructions) + 1):
        after = carry_out(bytearray(file), change.instructions, steps)
        if after is None:
            assert change.container is None
            continue
        header = parse_container_header(after)
        assert header.data_length(len(after)) >= len(data)
        assert after[HEADER_SIZE : HEADER_SIZE + len(data)] == data
        if steps == len(change.instructions):
            assert load(after) == change.container


def test_the_container_goes_with_its_last_lease():
    secrets = LeaseSecrets(b"r" * 32, b"c" * 32)
    container = load(built(2, b"data", [Lease.of(secrets, 100, owner=0)]))
    assert container.cancel(secrets.cancel) == (None, (Delete(),))
    assert container.expire(100) == (None, (Delete(),))
    assert container.expire(99) == (container, ())


def test_only_the_cancel_secret_cancels():
    secrets = LeaseSecrets(b"r" * 32, b"c" * 32)
    container = load(built(2, b"data", [Lease.of(secrets, 100, owner=0)]))
    for wrong in (secrets.renew, bytes(32), stored_secret(2, secrets.cancel)):
        with pytest.raises(LookupError, match="cancel secret"):
            container.cancel(wrong)


def test_a_share_of_4_gib_saturates_the_allocated_field():
    header = Container(2, 2**32 + 5).create()[0].data
    assert header[4:8] == b"\xff" * 4


@pytest.mark.parametrize("size", [0, 31, 33])
def test_lease_secrets_have_32_bytes(size):
    with pytest.raises(ValueError, match="32 bytes"):
        stored_secret(2, bytes(size))


@pytest.mark.parametrize(
    "file", [b"", b"\0\0\0\2" * 2, b"\0\0\0\3" + bytes(8), b"Tahoe mutable container v2\n" + bytes(500)]
)
def test_what_is_no_immutable_container_is_refused(file):
    with pytest.raises(ValueError, match="container"):
        parse_container_header(file)


def test_a_container_too_short_for_its_leases_is_refused():
    file = built(2, b"", [Lease.of(LeaseSecrets(bytes(32), bytes(32)), 9, owner=0)])
    header = parse_container_header(file)
    assert header.data_length(len(file)) == 0
    with pytest.raises(ValueError, match="can't hold 1 leases"):
        header.leases_span(len(file) - 1)
    with pytest.raises(ValueError, match="72 bytes, not 71"):
        Container.parse(header, len(file), bytes(file[-71:]))
