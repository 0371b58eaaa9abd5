"""The file in which an operator says who may keep how much: ``allowances``, JSON, in the storage directory.

The command line writes it, whole; a running server looks at it every few minutes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import msgspec

from tahoe.errors import BadConfiguration
from tahoe.policy.quota import UNLIMITED, Allowances, Member
from tahoe.storage.filesystem import FileSystem

ALLOWANCES: Final = "allowances"
_NEXT: Final = "allowances.new"


class _Member(msgspec.Struct, frozen=True, omit_defaults=True):
    quota: int = UNLIMITED
    nodes: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True):
    version: int = 1
    pool: int = UNLIMITED
    members: dict[str, _Member] = {}


def read_allowances(filesystem: FileSystem) -> Allowances:
    """What the operator allows; everything, if he has said nothing.

    Raises:
        BadConfiguration: the file can't be read.
        OSError: the disk failed.
    """
    try:
        file = filesystem.open(ALLOWANCES)
    except FileNotFoundError:
        return Allowances()
    try:
        content = msgspec.json.decode(file.read(0, file.size()), type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"the file {ALLOWANCES} in the storage directory: {error}") from error
    finally:
        file.close()
    members = {name: Member(member.quota, member.nodes) for name, member in content.members.items()}
    return Allowances(members, content.pool)


def write_allowances(filesystem: FileSystem, allowances: Allowances) -> None:
    """Replace the file, whole or not at all. Errors are ``OSError``."""
    members = {name: _Member(member.quota, member.nodes) for name, member in allowances.members.items()}
    with suppress(FileNotFoundError):
        filesystem.unlink(_NEXT)
    file = filesystem.create(_NEXT)
    try:
        file.write(0, msgspec.json.format(msgspec.json.encode(_File(1, allowances.pool, members))) + b"\n")
        file.sync()
    finally:
        file.close()
    filesystem.rename(_NEXT, ALLOWANCES)
    filesystem.sync_directory("")
