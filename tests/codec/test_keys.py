"""Keys, lease secrets and the order of servers, against the vectors."""

import pytest

from tahoe.codec import base32, keys
from tests.codec.samples import cases


@pytest.mark.parametrize("case", cases("secrets"), ids=lambda case: case["storage_index_text"])
def test_lease_secrets_are_derived_as_the_vectors_say(case):
    master, storage_index = bytes.fromhex(case["lease_master"]), bytes.fromhex(case["storage_index"])
    assert base32.decode(case["lease_file_text"].strip()) == master
    assert base32.encode(bytes.fromhex(case["convergence"])) == case["convergence_file_text"].strip()
    assert base32.encode(storage_index) == case["storage_index_text"]
    renewal, cancel = keys.client_renewal_secret(master), keys.client_cancel_secret(master)
    assert (renewal.hex(), cancel.hex()) == (case["client_renewal"], case["client_cancel"])
    assert keys.file_renewal_secret(renewal, storage_index).hex() == case["file_renewal"]
    assert keys.file_cancel_secret(cancel, storage_index).hex() == case["file_cancel"]
    for peer in case["peers"]:
        secrets = keys.lease_secrets(master, storage_index, bytes.fromhex(peer["peerid"]))
        assert (secrets.renew.hex(), secrets.cancel.hex()) == (peer["bucket_renewal"], peer["bucket_cancel"])


ORDERS = [case for case in cases("permuted") if "order" in case]
SEEDS = [case for case in cases("permuted") if "server_id" in case]


@pytest.mark.parametrize("case", ORDERS, ids=lambda case: case["kind"])
def test_servers_stand_in_the_vectors_order_with_preferred_ones_first(case):
    storage_index = bytes.fromhex(case["storage_index"])
    seeds = [bytes.fromhex(seed) for seed in case["seeds"]]

    def place(index):
        return index not in case["preferred"], keys.permutation_position(storage_index, seeds[index])

    assert sorted(range(len(seeds)), key=place) == case["order"]


@pytest.mark.parametrize("case", SEEDS, ids=lambda case: case["server_id"])
def test_a_servers_seed_and_display_name_are_the_vectors(case):
    announced = case["announcement"].get("permutation-seed-base32")
    assert keys.permutation_seed(case["server_id"], announced).hex() == case["permutation_seed"]
    assert keys.display_name(case["server_id"]) == case["short"]


def test_every_permutation_case_is_an_order_or_a_seed():
    assert len(ORDERS) + len(SEEDS) == len(cases("permuted"))
    assert ORDERS
    assert SEEDS


@pytest.mark.parametrize(("server_id", "announced"), [("v0-" + "A" * 52, None), ("v0-x", "not base32!"), ("v0-x", "a")])
def test_a_seed_that_does_not_decode_is_an_error(server_id, announced):
    with pytest.raises(ValueError, match="base32"):
        keys.permutation_seed(server_id, announced)


def test_secrets_do_not_show_when_printed():
    secrets = keys.lease_secrets(b"master", bytes(16), bytes(20))
    assert repr(secrets) == "LeaseSecrets()"


def test_the_key_of_a_file_depends_on_content_secret_and_encoding():
    def key(plaintext=b"content", needed=3, total=10, segment_size=9, secret=b"s"):
        hasher = keys.ConvergenceHasher(needed, total, segment_size, secret)
        hasher.update(plaintext)
        return hasher.key()

    others = [
        key(plaintext=b"contend"),
        key(needed=2),
        key(total=11),
        key(segment_size=12),
        key(secret=b""),
    ]
    assert len({key(), *others}) == 6
    assert key() == key()
    assert all(len(each) == 16 for each in others)
