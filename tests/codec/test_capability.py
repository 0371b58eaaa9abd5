"""Capabilities: every kind is parsed, weakened and printed as the vectors say, and junk is harmless."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.codec import capability
from tahoe.codec.capability import (
    Directory,
    Flaw,
    ImmutableRead,
    ImmutableVerify,
    Literal,
    RsaRead,
    RsaVerify,
    RsaWrite,
    Unknown,
    parse,
    unknown_child,
)
from tahoe.errors import BadCapability
from tests.codec.samples import cases

FLAWS = {
    "BadURIError": Flaw.BAD_FORM,
    "MustBeDeepImmutableError": Flaw.MUST_BE_DEEP_IMMUTABLE,
    "MustBeReadonlyError": Flaw.MUST_BE_READ_ONLY,
    None: None,
}

CLASSES = {
    "CHKFileURI": (ImmutableRead, None),
    "CHKFileVerifierURI": (ImmutableVerify, None),
    "LiteralFileURI": (Literal, None),
    "WriteableSSKFileURI": (RsaWrite, "SSK"),
    "ReadonlySSKFileURI": (RsaRead, "SSK"),
    "SSKVerifierURI": (RsaVerify, "SSK"),
    "WriteableMDMFFileURI": (RsaWrite, "MDMF"),
    "ReadonlyMDMFFileURI": (RsaRead, "MDMF"),
    "MDMFVerifierURI": (RsaVerify, "MDMF"),
}
DIRECTORY_CLASSES = {
    "DirectoryURI": (RsaWrite, "SSK"),
    "ReadonlyDirectoryURI": (RsaRead, "SSK"),
    "DirectoryURIVerifier": (RsaVerify, "SSK"),
    "MDMFDirectoryURI": (RsaWrite, "MDMF"),
    "ReadonlyMDMFDirectoryURI": (RsaRead, "MDMF"),
    "MDMFDirectoryURIVerifier": (RsaVerify, "MDMF"),
    "ImmutableDirectoryURI": (ImmutableRead, None),
    "ImmutableDirectoryURIVerifier": (ImmutableVerify, None),
    "LiteralDirectoryURI": (Literal, None),
}

FIELDS = {
    "key": "key",
    "uri_extension_hash": "ueb_hash",
    "writekey": "write_key",
    "readkey": "read_key",
    "fingerprint": "fingerprint",
    "needed_shares": "needed",
    "total_shares": "total",
    "size": "size",
    "data": "data",
}


def text_or_none(cap):
    return None if cap is None else str(cap)


def case_id(case):
    return case["input"][:24] + ("/deep" if case["deep_immutable"] else "")


@pytest.mark.parametrize("case", cases("caps"), ids=case_id)
def test_capabilities_are_understood_as_the_vectors_say(case):
    cap, expected = parse(case["input"], deep_immutable=case["deep_immutable"]), case["result"]
    assert str(cap) == expected["string"]
    if expected["class"] == "UnknownURI":
        assert isinstance(cap, Unknown)
        assert cap.flaw is FLAWS[expected["error"]]
        return
    file = cap.file if isinstance(cap, Directory) else cap
    kinds = DIRECTORY_CLASSES if cap.is_directory else CLASSES
    assert (type(file), getattr(file, "family", None)) == kinds[expected["class"]]
    assert (not cap.writeable, cap.mutable) == (expected["readonly"], expected["mutable"])
    assert (cap.storage_index.hex() if cap.storage_index else None) == expected["storage_index"]
    assert str(cap.read_only()) == expected["readonly_cap"]
    if not expected.get("verify_cap_undefined"):
        assert text_or_none(cap.verifier()) == expected["verify_cap"]
    if "filenode_cap" in expected:
        assert str(file) == expected["filenode_cap"]
    for name in FIELDS.keys() & expected.keys():
        found = getattr(file.read_only() if name == "readkey" else file, FIELDS[name])
        assert (found.hex() if isinstance(found, bytes) else found) == expected[name]


def test_the_vectors_name_no_kind_that_is_unknown_here():
    labels = {case["result"]["class"] for case in cases("caps")}
    assert labels <= CLASSES.keys() | DIRECTORY_CLASSES.keys() | {"UnknownURI"}
    assert len(labels) > 15


def test_a_mutable_directory_is_the_file_under_another_prefix():
    file = RsaWrite("SSK", bytes(16), bytes(32))
    directory = Directory(file)
    assert str(directory) == str(file).replace("URI:SSK:", "URI:DIR2:")
    assert parse(str(directory)) == directory
    assert (directory.writeable, directory.mutable, directory.is_directory) == (True, True, True)
    assert str(directory.read_only()).startswith("URI:DIR2-RO:")
    assert str(directory.verifier()).startswith("URI:DIR2-Verifier:")


key16, hash32 = st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32)
number = st.integers(0, 10**30)
families = st.sampled_from(["SSK", "MDMF"])
files = st.one_of(
    st.builds(Literal, st.binary(max_size=80)),
    st.builds(ImmutableRead, key16, hash32, number, number, number),
    st.builds(ImmutableVerify, key16, hash32, number, number, number),
    st.builds(RsaWrite, families, key16, hash32),
    st.builds(RsaRead, families, key16, hash32),
    st.builds(RsaVerify, families, key16, hash32),
)
capabilities = st.one_of(files, st.builds(Directory, files))


@given(capabilities)
def test_every_kind_survives_printing_and_parsing(cap):
    assert parse(str(cap)) == cap
    assert hash(parse(str(cap))) == hash(cap)


@given(capabilities)
def test_capabilities_weaken_one_way(cap):
    read_only, verifier = cap.read_only(), cap.verifier()
    assert not read_only.writeable
    assert read_only.read_only() == read_only
    assert read_only.storage_index == cap.storage_index
    assert read_only.is_directory == cap.is_directory
    if verifier is None:
        assert cap.storage_index is None
    else:
        assert verifier == read_only.verifier() == verifier.verifier() == verifier.read_only()
        assert verifier.storage_index == cap.storage_index
        assert verifier.is_directory == cap.is_directory
        assert not verifier.mutable


@given(capabilities)
def test_allegations_are_enforced(cap):
    read_only, deep = parse("ro." + str(cap)), parse("imm." + str(cap))
    assert isinstance(read_only, Unknown) == cap.writeable
    assert isinstance(deep, Unknown) == cap.mutable
    assert parse(str(cap), deep_immutable=True) == (
        Unknown(str(cap), Flaw.MUST_BE_DEEP_IMMUTABLE) if cap.mutable else cap
    )
    assert str(read_only) == ("ro." if cap.writeable else "") + str(cap)


@given(capabilities)
def test_repr_shows_nothing_of_the_capability_but_a_piece_of_the_storage_index(cap):
    shown = repr(cap)
    secrets = [field for field in str(cap).split(":") if len(field) > 8]
    assert not any(secret in shown for secret in secrets)
    assert str(cap) not in shown


def test_repr_of_an_unknown_string_shows_nothing():
    assert repr(Unknown("URI:FUTURE:secret")) == "<Unknown>"
    assert "aebag" not in repr(Literal(b"\x01\x02\x03\x04\x05"))


PREFIXES = [form.file for form in capability._FORMS] + [form.directory for form in capability._FORMS]
junk = st.one_of(
    st.text(max_size=60),
    st.builds("{}{}{}".format, st.sampled_from(["", "ro.", "imm."]), st.sampled_from(PREFIXES), st.text(max_size=60)),
    st.builds(
        lambda cap, cut, more: str(cap)[:cut] + more + str(cap)[cut:],
        capabilities,
        st.integers(0, 120),
        st.text(max_size=2),
    ),
)


@given(junk, st.booleans())
def test_junk_is_unknown_or_prints_back_as_something_that_parses_to_itself(text, deep_immutable):
    cap = parse(text, deep_immutable=deep_immutable)
    if isinstance(cap, Unknown):
        assert str(cap) == text
        with pytest.raises(BadCapability):
            cap.check_served()
        with pytest.raises(BadCapability):
            cap.read_only()
        assert cap.verifier() is None
        assert cap.storage_index is None
    else:
        assert parse(str(cap)) == cap


def test_a_number_of_absurdly_many_digits_is_a_bad_form():
    cap = ImmutableRead(bytes(16), bytes(32), 3, 10, 1000)
    assert parse(f"{cap}{'0' * 5000}") == Unknown(f"{cap}{'0' * 5000}", Flaw.BAD_FORM)


@pytest.mark.parametrize("kind", [ImmutableRead, ImmutableVerify])
@pytest.mark.parametrize(
    ("needed", "total", "size"), [(0, 10, 99), (4, 3, 99), (3, 257, 99), (300, 300, 99), (3, 10, 0), (3, 10, 2**64)]
)
def test_senseless_numbers_are_parsed_and_refused_when_used(kind, needed, total, size):
    for cap in (
        kind(bytes(16), bytes(32), needed, total, size),
        Directory(kind(bytes(16), bytes(32), needed, total, size)),
    ):
        assert parse(str(cap)) == cap
        with pytest.raises(BadCapability, match="make no sense"):
            cap.check_served()


@pytest.mark.parametrize("family", ["SSK", "MDMF"])
@pytest.mark.parametrize("kind", [RsaWrite, RsaRead, RsaVerify])
def test_capabilities_of_rsa_kinds_are_refused_by_name(kind, family):
    cap = kind(family, bytes(16), bytes(32))
    for each in (cap, Directory(cap)):
        with pytest.raises(BadCapability, match=f"{family} kind"):
            each.check_served()


def test_what_is_served_passes():
    for cap in (
        Literal(b""),
        ImmutableRead(bytes(16), bytes(32), 3, 10, 56),
        ImmutableVerify(bytes(16), bytes(32), 1, 1, 1),
    ):
        cap.check_served()
        Directory(cap).check_served()


WRITE = str(RsaWrite("SSK", bytes(16), bytes(32)))
READ = str(RsaRead("SSK", bytes(16), bytes(32)))
KEEPS = [
    (None, "URI:NEW:s", False, (None, "ro.URI:NEW:s")),
    (None, "ro.URI:NEW:s", False, (None, "ro.URI:NEW:s")),
    (None, "imm.URI:NEW:s", False, (None, "imm.URI:NEW:s")),
    (None, "URI:NEW:s", True, (None, "imm.URI:NEW:s")),
    (None, "ro.URI:NEW:s", True, (None, "imm.URI:NEW:s")),
    (None, "imm.URI:NEW:s", True, (None, "imm.URI:NEW:s")),
    ("ro.URI:NEW:s", None, False, (None, "ro.URI:NEW:s")),
    ("imm.URI:NEW:s", None, False, (None, "imm.URI:NEW:s")),
    ("imm.URI:NEW:s", None, True, (None, "imm.URI:NEW:s")),
    ("URI:NEW:s", "URI:NEW-RO:t", False, ("URI:NEW:s", "ro.URI:NEW-RO:t")),
    ("URI:NEW:s", "ro.URI:NEW-RO:t", False, ("URI:NEW:s", "ro.URI:NEW-RO:t")),
    ("URI:NEW:s", READ, False, ("URI:NEW:s", "ro." + READ)),
    (None, None, False, (None, None)),
]
REFUSES = [
    ("URI:NEW:s", None, False),
    ("URI:NEW:s", None, True),
    ("URI:NEW:s", "imm.URI:NEW-RO:t", False),
    ("URI:NEW:s", "URI:NEW-RO:t", True),
    ("ro.URI:NEW:s", None, True),
    ("imm.URI:NEW:s", "imm.URI:NEW:s", True),
    ("URI:NEW:s", WRITE, False),
    (None, WRITE, False),
    (None, READ, True),
    (None, "imm." + READ, False),
]


@pytest.mark.parametrize(("write", "read", "deep_immutable", "kept"), KEEPS)
def test_children_of_unknown_kinds_are_kept_with_their_allegation(write, read, deep_immutable, kept):
    assert unknown_child(write, read, deep_immutable=deep_immutable) == kept


@pytest.mark.parametrize(("write", "read", "deep_immutable"), REFUSES)
def test_children_that_would_leak_power_are_refused(write, read, deep_immutable):
    with pytest.raises(BadCapability):
        unknown_child(write, read, deep_immutable=deep_immutable)
