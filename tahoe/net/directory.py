"""The node directory: what lies where, and how a new one is made.

::

    DIR/tahoe.toml        configuration, yours to edit
        grid.toml         the grid card (secret)
        node.key          who this node is (secret)
        format            version of this layout
        private/          api_token, convergence, secret (of leases): secrets of a client; aliases;
                          root.cap (of its own root), roots (the named ones that it has heard of)
        statements/       what the grid key signed, on an introducer
        storage/          shares of a storage server
        state/            what the node remembers: roster, boot number
        logs/             node.log
        node.url          where the gateway is, while the node runs

A directory is made whole or the attempt is refused: nothing is ever written into one that holds files.
The grid key is not here. It is kept beside the first introducer's directory because only explicit
commands use it; better still is a medium in a drawer.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from tahoe.errors import BadConfiguration, BadMessage
from tahoe.net.card import BrokerEntry, GridCard, IntroducerEntry
from tahoe.net.config import NodeConfig, NodeSection
from tahoe.net.keys import SECRET_BYTES, load_secret, replace_file, save_private_text, save_secret, sync_directory
from tahoe.net.toml import Key32
from tahoe.protocol import CARETAKER, CLIENT, INTRODUCER, VDRIVE, Encoding, Role
from tahoe.session.identity import GridKey, Identity
from tahoe.session.statement import (
    ENCODING_STATEMENT,
    GridStatement,
    decode_encoding,
    encode_encoding,
    open_statement,
    sign_statement,
)

LAYOUT_FORMAT: Final = "tahoe node directory 1\n"
STATEMENT_SUFFIX: Final = ".statement"
DEFAULT_ENCODING: Final = Encoding()
FOUNDER_ROLES: Final = (INTRODUCER, VDRIVE)
"""Of a grid's first node: those who come anew then find both the others and the roots in one place."""


@dataclass(frozen=True, slots=True)
class NodeDirectory:
    """Names of everything in a node directory."""

    path: Path

    @property
    def config(self) -> Path:
        """``tahoe.toml``."""
        return self.path / "tahoe.toml"

    @property
    def card(self) -> Path:
        """``grid.toml``."""
        return self.path / "grid.toml"

    @property
    def key(self) -> Path:
        """``node.key``."""
        return self.path / "node.key"

    @property
    def format(self) -> Path:
        """``format``."""
        return self.path / "format"

    @property
    def private(self) -> Path:
        """``private/``."""
        return self.path / "private"

    @property
    def api_token(self) -> Path:
        """What a program must show to the gateway to write."""
        return self.private / "api_token"

    @property
    def convergence(self) -> Path:
        """The secret that makes equal files of this node equal shares."""
        return self.private / "convergence"

    @property
    def lease_secret(self) -> Path:
        """What all lease secrets of this node derive from."""
        return self.private / "secret"

    @property
    def private_root(self) -> Path:
        """The capability of the root that a client makes for itself on first use."""
        return self.private / "root.cap"

    @property
    def roots(self) -> Path:
        """The newest statements about named roots that a client has seen."""
        return self.private / "roots"

    @property
    def statements(self) -> Path:
        """``statements/``."""
        return self.path / "statements"

    @property
    def state(self) -> Path:
        """``state/``."""
        return self.path / "state"

    @property
    def log(self) -> Path:
        """``logs/node.log``."""
        return self.path / "logs" / "node.log"

    @property
    def leaving(self) -> Path:
        """There while the node is about to leave its grid (``tahoe drain``); holds a time, see ``leave_notice``."""
        return self.path / "leaving"

    def leave_notice(self) -> float | None:
        """From when on a node that is about to leave copies its shares by itself; None: it is not about to leave.

        Returns:
            Seconds since the epoch; 0 where the file tells none.
        """
        try:
            return float(self.leaving.read_text(encoding="utf-8").strip() or 0)
        except (FileNotFoundError, ValueError):
            return 0.0 if self.leaving.exists() else None

    @property
    def url(self) -> Path:
        """``node.url``."""
        return self.path / "node.url"

    def check(self) -> None:
        """Refuse what is no node directory, or one of another time.

        Raises:
            BadConfiguration: says which.
        """
        try:
            found = self.format.read_text(encoding="utf-8")
        except OSError as error:
            raise BadConfiguration(
                f"{self.path}: this is no node directory; make one with tahoe create-node"
            ) from error
        if found != LAYOUT_FORMAT:
            raise BadConfiguration(
                f"{self.path}: its layout is {found.strip()!r}, this program knows {LAYOUT_FORMAT.strip()!r}; upgrade it"
            )

    def load_identity(self) -> Identity:
        """Who the node is."""
        return Identity.from_seed(load_secret(self.key))

    def load_statements(self, grid_public_key: bytes) -> tuple[bytes, ...]:
        """The signed statements kept here.

        Raises:
            BadConfiguration: one is not signed by the grid key.
        """
        found = []
        for path in sorted(self.statements.glob("*" + STATEMENT_SUFFIX)):
            signed = path.read_bytes()
            try:
                open_statement(grid_public_key, signed)
            except BadMessage as error:
                raise BadConfiguration(f"{path}: {error}; sign it anew with tahoe grid sign") from error
            found.append(signed)
        return tuple(found)

    def save_statement(self, name: str, signed: bytes) -> None:
        """Keep a signed statement for the introducer to hand out, over an older one of the name."""
        self.statements.mkdir(mode=0o700, exist_ok=True)
        replace_file(self.statements / (name + STATEMENT_SUFFIX), signed)


@dataclass(frozen=True, slots=True)
class NewGrid:
    """What whoever founds a grid decides.

    Args:
        brokers: that carry it.
        encoding: needed, happy and total shares of its files.
        name: for people.
        grid_key: file to keep the grid's key in; None: beside the introducer's directory.
    """

    brokers: tuple[BrokerEntry, ...]
    encoding: Encoding = DEFAULT_ENCODING
    name: str = ""
    grid_key: Path | None = None


def create_node(
    path: Path,
    card: GridCard,
    config: NodeConfig = NodeConfig(),  # noqa: B008  # frozen
    brought: Mapping[Path, bytes] = MappingProxyType({}),
) -> NodeDirectory:
    """Make a node directory.

    Args:
        path: that does not exist or is empty.
        card: of the grid to join.
        config: the options that differ from the defaults are written out.
        brought: files of another node directory that this one is to have, by their places in it: a node that comes
            back on another machine brings its key and its secrets.

    Raises:
        BadConfiguration: there is something already.
    """
    directory = _make(path, config)
    for place, content in brought.items():
        (path / place).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path / place, content)
    _make_secret(directory.key)
    card.save_new(directory.card)
    _finish(directory, config.roles)
    return directory


def create_introducer(
    path: Path, grid: NewGrid, nickname: str = "introducer", roles: tuple[str, ...] = FOUNDER_ROLES
) -> NodeDirectory:
    """Found a grid: make its key, its card and its first introducer.

    Args:
        path: that does not exist or is empty.
        grid: what the founder decides.
        nickname: how people call the introducer.
        roles: of this node, ``introducer`` among them.

    Raises:
        BadConfiguration: the directory or the grid key's file is there already.
    """
    assert INTRODUCER in roles, "a grid begins with an introducer"
    config = NodeConfig(node=NodeSection(roles=roles, nickname=nickname))
    grid_key_file = grid.grid_key or path.with_name(path.resolve().name + ".grid-key")
    if grid_key_file.exists():
        raise BadConfiguration(f"{grid_key_file}: exists already; a grid key is never overwritten")
    directory = _make(path, config)
    grid_seed, seed = secrets.token_bytes(SECRET_BYTES), secrets.token_bytes(SECRET_BYTES)
    save_secret(grid_key_file, grid_seed)
    save_secret(directory.key, seed)
    grid_key = GridKey.from_seed(grid_seed)
    sign_encoding(directory, grid_key, grid.encoding)
    _found_card(grid, grid_key, Identity.from_seed(seed), nickname).save_new(directory.card)
    _finish(directory, config.roles)
    return directory


def sign_encoding(directory: NodeDirectory, grid_key: GridKey, encoding: Encoding) -> GridStatement:
    """Sign encoding parameters and keep them for the introducer to hand out.

    The sequence number is the time, so it also beats statements that were signed elsewhere.

    Raises:
        BadConfiguration: nobody would accept these parameters.
    """
    try:
        decode_encoding(encode_encoding(encoding))
    except BadMessage as error:
        raise BadConfiguration(str(error)) from error
    statement = GridStatement(
        name=ENCODING_STATEMENT, sequence=int(time.time()), value=encode_encoding(encoding), retracted=False
    )
    directory.save_statement(ENCODING_STATEMENT, sign_statement(grid_key, statement))
    return statement


def _found_card(grid: NewGrid, grid_key: GridKey, identity: Identity, nickname: str) -> GridCard:
    introducer = IntroducerEntry(identity.node, Key32(identity.exchange_public), nickname)
    return GridCard(
        public_key=Key32(grid_key.public_key),
        join_secret=Key32(secrets.token_bytes(SECRET_BYTES)),
        brokers=grid.brokers,
        introducers=(introducer,),
        name=grid.name,
    )


def _make(path: Path, config: NodeConfig) -> NodeDirectory:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        occupied = next(path.iterdir(), None)
    except OSError as error:
        raise BadConfiguration(f"{path}: can't be made a node directory ({error.strerror})") from error
    if occupied is not None:
        raise BadConfiguration(f"{path}: holds {occupied.name} already; choose a new or empty directory")
    directory = NodeDirectory(path)
    for inside in (directory.private, directory.state, directory.log.parent):
        inside.mkdir(mode=0o700)
    replace_file(directory.config, config.text().encode(), mode=0o644)
    return directory


def _finish(directory: NodeDirectory, roles: tuple[Role, ...]) -> None:
    """Secrets by role; the format file comes last and says that all is there."""
    if CLIENT in roles or CARETAKER in roles:
        for path in (directory.api_token, directory.convergence, directory.lease_secret):
            _make_secret(path)
    save_private_text(directory.format, LAYOUT_FORMAT)
    sync_directory(directory.path.parent)


def _make_secret(path: Path) -> None:
    """Make a secret, unless it was brought along."""
    if not path.exists():
        save_secret(path, secrets.token_bytes(SECRET_BYTES))


def with_broker(card: GridCard, broker: BrokerEntry) -> GridCard:
    """The card with another broker first, in place of one at the same address."""
    others = tuple(entry for entry in card.brokers if entry.url != broker.url)
    return msgspec.structs.replace(card, brokers=(broker, *others))
