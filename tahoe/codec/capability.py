"""Capabilities: strings that give a power over one object, each weakening one way into the next.

::

    write --> read-only --> verify          a directory's cap is a file's cap with another prefix
              (immutable files start here)

Kinds differ in their fields and in how they weaken, prefixes only in spelling; so there is one class for each set of
fields, one wrapper for directories, and one table of prefixes. A further kind is a class and its rows in ``_FORMS``.

Capabilities of RSA kinds (SSK, MDMF and the directories in them), which other grids use, are parsed, weakened,
printed and kept, and refused by name when somebody wants to use one: see :meth:`Capability.check_served`.

A cap string is a secret. ``str()`` gives it, ``repr()`` never does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from tahoe.codec import base32
from tahoe.codec.erasure import check_bounds
from tahoe.codec.hashing import Tag, tagged_hash
from tahoe.codec.keys import KEY_SIZE, STORAGE_INDEX_SIZE, storage_index_of_key
from tahoe.codec.slot import SlotReader, SlotWriter
from tahoe.errors import BadCapability

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_SIZE: Final = 2**63 - 1

READ_ONLY_PREFIX: Final = "ro."
IMMUTABLE_PREFIX: Final = "imm."


class Capability:
    """What every kind can do. Two capabilities are equal when they are of one kind and their fields are equal."""

    __slots__ = ()

    is_directory: bool = False
    mutable: bool = False
    writeable: bool = False

    @property
    def storage_index(self) -> bytes | None:
        """The 16 bytes by which servers know the object; None if there is nothing on servers."""
        return None

    def read_only(self) -> Capability:
        """Return the cap that reads but does not write: itself unless it writes."""
        return self

    def verifier(self) -> Capability | None:
        """Return the cap that checks and repairs but does not read; None if there is nothing to check."""
        return None

    def check_served(self) -> None:
        """Make sure that this program can use the capability.

        Raises:
            BadCapability: it can't; the message says why.
        """

    def __repr__(self) -> str:
        index = self.storage_index
        where = "" if index is None else f" {base32.encode(index)[:8]}"
        return f"<{type(self).__name__}{where}>"


@dataclass(frozen=True, slots=True, repr=False)
class Literal(Capability):
    """A file so small that the cap holds its bytes."""

    data: bytes

    def __str__(self) -> str:
        return f"URI:LIT:{base32.encode(self.data)}"


class _Immutable(Capability):
    """What the caps of an immutable file on servers share."""

    __slots__ = ()

    ueb_hash: bytes
    needed: int
    total: int
    size: int

    def check_served(self) -> None:
        """Refuse numbers that no encoder can have used."""
        try:
            check_bounds(self.needed, self.total)
        except ValueError as error:
            raise BadCapability(f"the capability's numbers make no sense: {error}") from error
        if not 1 <= self.size <= MAX_SIZE:
            raise BadCapability(f"the capability's numbers make no sense: a file of {self.size} bytes")

    def _text(self, prefix: str, key: bytes) -> str:
        numbers = f"{self.needed}:{self.total}:{self.size}"
        return f"{prefix}{base32.encode(key)}:{base32.encode(self.ueb_hash)}:{numbers}"


class _Rsa(Capability):
    """What the caps of a mutable file with RSA keys share."""

    __slots__ = ()

    family: str
    fingerprint: bytes

    def check_served(self) -> None:
        """Refuse by name."""
        raise BadCapability(
            f"mutable files of the {self.family} kind belong to grids with RSA keys and are not served here"
        )

    def _text(self, power: str, key: bytes) -> str:
        return f"URI:{self.family}{power}:{base32.encode(key)}:{base32.encode(self.fingerprint)}"


@dataclass(frozen=True, slots=True, repr=False)
class ImmutableVerify(_Immutable):
    """Checks and repairs an immutable file without reading it.

    Args:
        storage_index: 16 bytes.
        ueb_hash: of the URI extension block, 32 bytes.
        needed: k, shares that suffice.
        total: N, shares made.
        size: of the file in bytes.
    """

    storage_index: bytes = field()  # spelled out, or the base class's property would be its default
    ueb_hash: bytes
    needed: int
    total: int
    size: int

    def __str__(self) -> str:
        return self._text("URI:CHK-Verifier:", self.storage_index)

    def verifier(self) -> ImmutableVerify:
        """Return itself."""
        return self


@dataclass(frozen=True, slots=True, repr=False)
class ImmutableRead(_Immutable):
    """Reads an immutable file. The key (16 bytes) decrypts; the other fields are those of :class:`ImmutableVerify`."""

    key: bytes
    ueb_hash: bytes
    needed: int
    total: int
    size: int

    def __str__(self) -> str:
        return self._text("URI:CHK:", self.key)

    @property
    def storage_index(self) -> bytes:
        """The hash of the key."""
        return storage_index_of_key(self.key)

    def verifier(self) -> ImmutableVerify:
        """Return the cap with the storage index in the key's place."""
        return ImmutableVerify(self.storage_index, self.ueb_hash, self.needed, self.total, self.size)


@dataclass(frozen=True, slots=True, repr=False)
class SlotVerify(Capability):
    """Checks and repairs a slot without reading it.

    Args:
        storage_index: 16 bytes.
        public_key: that its versions are signed by, 32 bytes.
    """

    storage_index: bytes = field()  # as in ImmutableVerify
    public_key: bytes

    def __str__(self) -> str:
        return f"URI:SLOT-Verifier:{base32.encode(self.storage_index)}:{base32.encode(self.public_key)}"

    def verifier(self) -> SlotVerify:
        """Return itself."""
        return self


@dataclass(frozen=True, slots=True, repr=False)
class SlotRead(Capability):
    """Reads a slot, with a 16-byte read key; versions are signed by the 32-byte public key."""

    read_key: bytes
    public_key: bytes

    mutable = True

    def __str__(self) -> str:
        return f"URI:SLOT-RO:{base32.encode(self.read_key)}:{base32.encode(self.public_key)}"

    @property
    def reader(self) -> SlotReader:
        """What reads the slot."""
        return SlotReader(self.read_key, self.public_key)

    @property
    def storage_index(self) -> bytes:
        """The hash of both."""
        return self.reader.storage_index

    def verifier(self) -> SlotVerify:
        """Return the cap with the storage index in the read key's place."""
        return SlotVerify(self.storage_index, self.public_key)


@dataclass(frozen=True, slots=True, repr=False)
class SlotWrite(Capability):
    """Writes and reads a slot. All its keys follow from a seed of 32 bytes."""

    seed: bytes

    mutable = True
    writeable = True

    def __str__(self) -> str:
        return f"URI:SLOT:{base32.encode(self.seed)}"

    @property
    def writer(self) -> SlotWriter:
        """What writes the slot."""
        return _writer_of(self.seed)

    @property
    def storage_index(self) -> bytes:
        """The hash of what the seed gives."""
        return self.writer.reader.storage_index

    def read_only(self) -> SlotRead:
        """Return the cap with the keys that the seed gives in its place."""
        reader = self.writer.reader
        return SlotRead(reader.read_key, reader.public_key)

    def verifier(self) -> SlotVerify:
        """Return the read-only form's verifier."""
        return self.read_only().verifier()


@lru_cache(maxsize=4096)  # to derive one takes as long as all else that is computed for a small change
def _writer_of(seed: bytes) -> SlotWriter:
    return SlotWriter(seed)


@dataclass(frozen=True, slots=True, repr=False)
class RsaVerify(_Rsa):
    """Checks a mutable file of an RSA kind. ``family`` is SSK or MDMF, ``fingerprint`` the public key's (32 bytes)."""

    family: str
    storage_index: bytes = field()  # as in ImmutableVerify
    fingerprint: bytes

    def __str__(self) -> str:
        return self._text("-Verifier", self.storage_index)

    def verifier(self) -> RsaVerify:
        """Return itself."""
        return self


@dataclass(frozen=True, slots=True, repr=False)
class RsaRead(_Rsa):
    """Reads a mutable file of an RSA kind, with a 16-byte read key."""

    family: str
    read_key: bytes
    fingerprint: bytes

    mutable = True

    def __str__(self) -> str:
        return self._text("-RO", self.read_key)

    @property
    def storage_index(self) -> bytes:
        """The hash of the read key."""
        return tagged_hash(Tag.RSA_STORAGE_INDEX, self.read_key, STORAGE_INDEX_SIZE)

    def verifier(self) -> RsaVerify:
        """Return the cap with the storage index in the key's place."""
        return RsaVerify(self.family, self.storage_index, self.fingerprint)


@dataclass(frozen=True, slots=True, repr=False)
class RsaWrite(_Rsa):
    """Writes and reads a mutable file of an RSA kind, with a 16-byte write key."""

    family: str
    write_key: bytes
    fingerprint: bytes

    mutable = True
    writeable = True

    def __str__(self) -> str:
        return self._text("", self.write_key)

    @property
    def storage_index(self) -> bytes:
        """The hash of the read key."""
        return self.read_only().storage_index

    def read_only(self) -> RsaRead:
        """Return the cap with the write key's hash as its read key."""
        return RsaRead(self.family, tagged_hash(Tag.RSA_READ_KEY, self.write_key, KEY_SIZE), self.fingerprint)

    def verifier(self) -> RsaVerify:
        """Return the read-only form's verifier."""
        return self.read_only().verifier()


@dataclass(frozen=True, slots=True, repr=False)
class Directory(Capability):
    """A directory: the power over the file that holds its table, and all its properties, under another prefix."""

    file: Capability

    is_directory = True

    def __str__(self) -> str:
        text = str(self.file)
        return next(form.directory + text.removeprefix(form.file) for form in _FORMS if text.startswith(form.file))

    @property
    def mutable(self) -> bool:  # type: ignore[override]  # a constant of other kinds, here the file's
        """Whether the table can change."""
        return self.file.mutable

    @property
    def writeable(self) -> bool:  # type: ignore[override]  # a constant of other kinds, here the file's
        """Whether this cap can change the table."""
        return self.file.writeable

    @property
    def storage_index(self) -> bytes | None:
        """The file's."""
        return self.file.storage_index

    def read_only(self) -> Directory:
        """Return the directory whose file is weakened."""
        return Directory(self.file.read_only())

    def verifier(self) -> Directory | None:
        """Return the directory whose file is weakened; None for a literal."""
        verifier = self.file.verifier()
        return None if verifier is None else Directory(verifier)

    def check_served(self) -> None:
        """Refuse what the file refuses."""
        self.file.check_served()


class Flaw(Enum):
    """Why a string whose prefix is known is no usable capability here."""

    BAD_FORM = "is mistyped or cut short"
    MUST_BE_READ_ONLY = "gives write access where only read access may be given"
    MUST_BE_DEEP_IMMUTABLE = "names something mutable where everything has to be immutable"


@dataclass(frozen=True, slots=True, repr=False)
class Unknown(Capability):
    """Anything else: from a later release, mistyped, or not allowed where it stands. Kept as it is, used for nothing.

    Nobody knows what it could be weakened to, so ``read_only`` refuses.
    """

    text: str
    flaw: Flaw | None = None

    def __str__(self) -> str:
        return self.text

    def read_only(self) -> Capability:
        """Refuse."""
        raise BadCapability("a capability of an unknown kind can't be made read-only")

    def check_served(self) -> None:
        """Refuse, and say why."""
        reason = "is of a kind that this release does not know" if self.flaw is None else self.flaw.value
        raise BadCapability(f"the capability {reason}")


class _Form(NamedTuple):
    """One row of the grammar: two prefixes, what may follow them, and the class it becomes."""

    file: str
    directory: str
    body: re.Pattern[str]
    build: Callable[..., Capability]
    writes: bool = False
    mutable: bool = False


_KEY: Final = "([a-z2-7]{25}[aeimquy4])"  # 16 bytes, no leftover bit set
_HASH: Final = "([a-z2-7]{51}[aq])"  # 32 bytes
_NUMBERS: Final = "([0-9]+):([0-9]+):([0-9]+)"
_LITERAL_BODY: Final = re.compile("([a-z2-7]*)")
_IMMUTABLE_BODY: Final = re.compile(f"{_KEY}:{_HASH}:{_NUMBERS}")
_VERIFIER_BODY: Final = re.compile(f"{_KEY}:{_HASH}:{_NUMBERS}.*", re.DOTALL)  # old releases wrote more behind it
_SEED_BODY: Final = re.compile(_HASH)
_SLOT_BODY: Final = re.compile(f"{_KEY}:{_HASH}")
_SSK_BODY: Final = re.compile(f"{_KEY}:{_HASH}")
_MDMF_BODY: Final = re.compile(f"{_KEY}:{_HASH}(?::.*)?", re.DOTALL)  # as above


def _literal(data: str) -> Literal:
    return Literal(base32.decode_strict(data))


def _immutable(build: Callable[..., Capability]) -> Callable[..., Capability]:
    def from_fields(key: str, ueb_hash: str, *numbers: str) -> Capability:
        return build(base32.decode_strict(key), base32.decode_strict(ueb_hash), *map(int, numbers))

    return from_fields


def _slot(build: Callable[..., Capability]) -> Callable[..., Capability]:
    def from_fields(*fields: str) -> Capability:
        return build(*map(base32.decode_strict, fields))

    return from_fields


def _rsa(build: Callable[..., Capability], family: str) -> Callable[..., Capability]:
    def from_fields(key: str, fingerprint: str) -> Capability:
        return build(family, base32.decode_strict(key), base32.decode_strict(fingerprint))

    return from_fields


_FORMS: Final = (
    _Form("URI:LIT:", "URI:DIR2-LIT:", _LITERAL_BODY, _literal),
    _Form("URI:CHK:", "URI:DIR2-CHK:", _IMMUTABLE_BODY, _immutable(ImmutableRead)),
    _Form("URI:CHK-Verifier:", "URI:DIR2-CHK-Verifier:", _VERIFIER_BODY, _immutable(ImmutableVerify)),
    _Form("URI:SLOT:", "URI:DIR3:", _SEED_BODY, _slot(SlotWrite), writes=True, mutable=True),
    _Form("URI:SLOT-RO:", "URI:DIR3-RO:", _SLOT_BODY, _slot(SlotRead), mutable=True),
    _Form("URI:SLOT-Verifier:", "URI:DIR3-Verifier:", _SLOT_BODY, _slot(SlotVerify)),
    _Form("URI:SSK:", "URI:DIR2:", _SSK_BODY, _rsa(RsaWrite, "SSK"), writes=True, mutable=True),
    _Form("URI:SSK-RO:", "URI:DIR2-RO:", _SSK_BODY, _rsa(RsaRead, "SSK"), mutable=True),
    _Form("URI:SSK-Verifier:", "URI:DIR2-Verifier:", _SSK_BODY, _rsa(RsaVerify, "SSK")),
    _Form("URI:MDMF:", "URI:DIR2-MDMF:", _MDMF_BODY, _rsa(RsaWrite, "MDMF"), writes=True, mutable=True),
    _Form("URI:MDMF-RO:", "URI:DIR2-MDMF-RO:", _MDMF_BODY, _rsa(RsaRead, "MDMF"), mutable=True),
    _Form("URI:MDMF-Verifier:", "URI:DIR2-MDMF-Verifier:", _MDMF_BODY, _rsa(RsaVerify, "MDMF")),
)


def parse(text: str, *, deep_immutable: bool = False) -> Capability:
    """Parse a capability string; what can't be used here comes back as :class:`Unknown` and is never an error.

    Args:
        text: the string. A prefix ``ro.`` says that its giver alleges it to be read-only, ``imm.`` that everything
            below it is immutable; the allegation is enforced.
        deep_immutable: enforce the latter without a prefix.
    """
    may_mutate = may_write = not deep_immutable
    bare = text
    if text.startswith(IMMUTABLE_PREFIX):
        bare, may_mutate, may_write = text.removeprefix(IMMUTABLE_PREFIX), False, False
    elif text.startswith(READ_ONLY_PREFIX):
        bare, may_write = text.removeprefix(READ_ONLY_PREFIX), False
    for form in _FORMS:
        for prefix, wrap in ((form.file, _as_file), (form.directory, Directory)):
            if bare.startswith(prefix):
                if (form.mutable and not may_mutate) or (form.writes and not may_write):
                    return Unknown(text, Flaw.MUST_BE_READ_ONLY if may_mutate else Flaw.MUST_BE_DEEP_IMMUTABLE)
                file = _parse_body(form, bare.removeprefix(prefix))
                return Unknown(text, Flaw.BAD_FORM) if file is None else wrap(file)
    return Unknown(text)


def unknown_child(
    write: str | None, read: str | None, *, deep_immutable: bool = False
) -> tuple[str | None, str | None]:
    """Return the strings to keep, (write, read), for a directory's child whose caps are of an unknown kind.

    What can't be understood can't be weakened, so its giver must bring the read-only form, and the allegation that
    it is one is written into it. A lone string that carries such an allegation is a read-only form.

    Raises:
        BadCapability: the pair would hand on write access, or something mutable in an immutable directory.
    """
    if write is not None and read is None and write.startswith((READ_ONLY_PREFIX, IMMUTABLE_PREFIX)):
        if deep_immutable and write.startswith(READ_ONLY_PREFIX):
            raise BadCapability("an immutable directory takes no capability that may be mutable")
        write, read = None, write
    if write is not None and deep_immutable:
        raise BadCapability("an immutable directory takes no write capability")
    if write is not None and (read is None or read.startswith(IMMUTABLE_PREFIX)):
        raise BadCapability("a write capability of an unknown kind needs its read-only form, which is not immutable")
    if read is None:
        return write, None
    kept = _alleged(read, deep_immutable=deep_immutable)
    flaw = parsed.flaw if isinstance(parsed := parse(kept, deep_immutable=deep_immutable), Unknown) else None
    if flaw is not None:
        raise BadCapability(f"the child's read-only capability {flaw.value}")
    return write, kept


def _alleged(read: str, *, deep_immutable: bool) -> str:
    """Return ``read`` with the prefix that its place in a directory alleges."""
    if deep_immutable:
        return IMMUTABLE_PREFIX + read.removeprefix(IMMUTABLE_PREFIX).removeprefix(READ_ONLY_PREFIX)
    return read if read.startswith((READ_ONLY_PREFIX, IMMUTABLE_PREFIX)) else READ_ONLY_PREFIX + read


def _as_file(file: Capability) -> Capability:
    return file


def _parse_body(form: _Form, body: str) -> Capability | None:
    """Return the file cap with this body, or None if the grammar refuses it."""
    match = form.body.fullmatch(body)
    if match is None:
        return None
    try:
        return form.build(*match.groups())
    except ValueError:  # leftover bits, or a number of thousands of digits
        return None
