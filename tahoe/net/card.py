"""The grid card, ``grid.toml``: the one file a friend copies to join a grid. Whoever holds it is let in.

It names the grid's public key (what the grid's owner decrees is signed by it), the join secret (without
which no handshake succeeds), the brokers with what they want to see, and the introducers with the keys
that a first handshake needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec

from tahoe.errors import BadConfiguration, BadMessage
from tahoe.net import toml
from tahoe.net.keys import check_private, replace_file, save_private_text
from tahoe.net.toml import Key32
from tahoe.protocol import NodeId
from tahoe.session.identity import grid_id_of, public_key_of

CARD_FORMAT: Final = 1

_DEFAULT_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_ABOUT: Final = """\
# A grid card: everything a machine needs to join this grid.
# It is a secret. Hand it to friends only, over a channel you trust.

"""


class BrokerEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A broker and what it takes to get in.

    Args:
        url: ``mqtt://host[:port]`` or, with TLS, ``mqtts://host[:port]``.
        user: empty where the broker asks for none.
        password: of that user.
        ca: certificates to trust, in PEM or the name of a file; empty: the system's.
        certificate: our own certificate for the broker to check, in PEM or the name of a file.
        key: of that certificate, likewise.
        mqtt: protocol version to speak, ``"3.1.1"`` or ``"5"``; 5 tells the broker's packet limit.
    """

    url: str
    user: str = ""
    password: str = ""
    ca: str = ""
    certificate: str = ""
    key: str = ""
    mqtt: str = "3.1.1"

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise ValueError(f"{self.url!r} is no broker; write mqtt://host:port, or mqtts://host:port for TLS")
        if parts.username or parts.password:
            raise ValueError("a broker's user and password have keys of their own, they don't belong into the url")
        if self.mqtt not in ("3.1.1", "5"):
            raise ValueError(f'mqtt = {self.mqtt!r} is not spoken here; write "3.1.1" or "5"')

    @classmethod
    def from_url(cls, url: str) -> BrokerEntry:
        """An entry from a URL that may hold user and password, as command lines have it.

        Raises:
            BadConfiguration: it is no URL of a broker.
        """
        parts = urlsplit(url)
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        try:
            return cls(bare, unquote(parts.username or ""), unquote(parts.password or ""))
        except ValueError as error:
            raise BadConfiguration(str(error)) from error

    @property
    def host(self) -> str:
        """Where to dial."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Where to dial."""
        parts = urlsplit(self.url)
        return parts.port or _DEFAULT_PORTS[parts.scheme]

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return urlsplit(self.url).scheme == "mqtts"


class IntroducerEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An introducer: who it is and the X25519 key that a first handshake with it needs."""

    node: NodeId
    exchange_key: Key32
    nickname: str = ""

    def __post_init__(self) -> None:
        try:
            public_key_of(self.node)
        except BadMessage as error:
            raise ValueError(f"{error}; copy it again, whole") from error


class GridCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a grid card says."""

    public_key: Key32
    join_secret: Key32
    brokers: tuple[BrokerEntry, ...]
    introducers: tuple[IntroducerEntry, ...]
    name: str = ""
    format: int = CARD_FORMAT

    def __post_init__(self) -> None:
        if self.format != CARD_FORMAT:
            raise ValueError(f"this card has format {self.format}, this program reads {CARD_FORMAT}; upgrade it")
        if not self.brokers:
            raise ValueError("a grid card needs a broker; add a [[brokers]] section with its url")

    @property
    def grid_id(self) -> str:
        """The grid's name in topics, derived from its public key."""
        return grid_id_of(self.public_key)

    @classmethod
    def load(cls, path: Path) -> GridCard:
        """Read a card.

        Raises:
            BadConfiguration: missing, open to other users, or wrong somewhere.
        """
        check_private(path)
        return toml.read(path, cls)

    def save_new(self, path: Path) -> None:
        """Write the card to a new file, 0600."""
        save_private_text(path, self.text())

    def replace(self, path: Path) -> None:
        """Write the card over the one that is there."""
        replace_file(path, self.text().encode())

    def text(self) -> str:
        """The card as its file holds it."""
        top = {name: getattr(self, name) for name in ("format", "name", "public_key", "join_secret")}
        sections = [_keys(top)]
        sections += ["[[brokers]]\n" + _keys(_fields(entry)) for entry in self.brokers]
        sections += ["[[introducers]]\n" + _keys(_fields(entry)) for entry in self.introducers]
        return _ABOUT + "\n".join(sections)


def _fields(entry: msgspec.Struct) -> dict[str, Any]:
    found = {name: getattr(entry, name) for name in entry.__struct_fields__}
    return {name: value for name, value in found.items() if value != ""}


def _keys(values: dict[str, Any]) -> str:
    return "".join(f"{name} = {toml.write_value(value)}\n" for name, value in values.items())
