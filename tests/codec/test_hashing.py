"""Every hash that is served, against the vectors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.codec import keys, merkle
from tahoe.codec.hashing import Tag, TaggedHasher, netstring, tagged_hash, tagged_pair_hash
from tahoe.codec.share import hash_of_uri_extension
from tests.codec.samples import cases


def convergence(needed, total, segment_size, plaintext, secret):
    hasher = keys.ConvergenceHasher(needed, total, segment_size, secret)
    hasher.update(plaintext)
    return hasher.key()


FUNCTIONS = {
    "netstring": netstring,
    "tagged_hash": lambda tag, value, size: tagged_hash(tag, value, size or 32),
    "tagged_pair_hash": lambda tag, first, second, size: tagged_pair_hash(tag, first, second, size or 32),
    "storage_index_hash": keys.storage_index_of_key,
    "block_hash": lambda data: tagged_hash(Tag.BLOCK, data),
    "uri_extension_hash": hash_of_uri_extension,
    "crypttext_hash": lambda data: tagged_hash(Tag.CRYPTTEXT, data),
    "crypttext_segment_hash": lambda data: tagged_hash(Tag.CRYPTTEXT_SEGMENT, data),
    "convergence_hash": convergence,
    "my_renewal_secret_hash": keys.client_renewal_secret,
    "my_cancel_secret_hash": keys.client_cancel_secret,
    "file_renewal_secret_hash": keys.file_renewal_secret,
    "file_cancel_secret_hash": keys.file_cancel_secret,
    "bucket_renewal_secret_hash": keys.bucket_renewal_secret,
    "bucket_cancel_secret_hash": keys.bucket_cancel_secret,
    "ssk_readkey_hash": lambda key: tagged_hash(Tag.RSA_READ_KEY, key, 16),
    "ssk_storage_index_hash": lambda key: tagged_hash(Tag.RSA_STORAGE_INDEX, key, 16),
    "empty_leaf_hash": merkle.padding_leaf,
    "merkle_pair_hash": merkle.pair_hash,
    "permute_server_hash": keys.permutation_position,
}

NOT_SERVED = {
    "plaintext_hash": "no writer has written plaintext hashes for many years",
    "plaintext_segment_hash": "no writer has written plaintext hashes for many years",
    "ssk_writekey_hash": "keys of mutable files of the RSA kinds",
    "ssk_write_enabler_master_hash": "keys of mutable files of the RSA kinds",
    "ssk_write_enabler_hash": "keys of mutable files of the RSA kinds",
    "ssk_pubkey_fingerprint_hash": "keys of mutable files of the RSA kinds",
    "ssk_readkey_data_hash": "contents of mutable files of the RSA kinds",
    "mutable_rwcap_salt_hash": "directories of the RSA kinds",
    "mutable_rwcap_key_hash": "directories of the RSA kinds",
    "hmac": "directories of the RSA kinds",
    "backupdb_dirhash": "a local file of another program",
}


@pytest.mark.parametrize(
    "case", [case for case in cases("hashes") if case["fn"] not in NOT_SERVED], ids=lambda case: case["fn"]
)
def test_every_hash_is_the_vectors_one(case):
    arguments = [bytes.fromhex(given) if isinstance(given, str) else given for given in case["args"]]
    assert FUNCTIONS[case["fn"]](*arguments).hex() == case["out"]


def test_every_function_of_the_vectors_is_either_ours_or_exempt_for_a_reason():
    assert {case["fn"] for case in cases("hashes")} == FUNCTIONS.keys() | NOT_SERVED.keys()


@given(st.binary(max_size=20), st.lists(st.binary(max_size=50), max_size=5), st.integers(1, 32))
def test_a_hash_of_pieces_is_the_hash_of_the_whole(tag, pieces, size):
    hasher = TaggedHasher(tag)
    for piece in pieces:
        hasher.update(memoryview(piece))
    assert hasher.digest(size) == tagged_hash(tag, b"".join(pieces), size)
    assert hasher.digest(size) == hasher.digest()[:size]


def test_no_tag_is_used_for_two_purposes():
    tags = [tag for name, tag in vars(Tag).items() if not name.startswith("_")]
    assert len(tags) == len(set(tags))
    assert Tag.BLOCK in tags
