"""What a node's ``tahoe.toml`` may say: every option with its meaning, its default and its checks.

The meaning stands in the type (``Annotated[..., about(...)]``), so the file that a new node gets is
generated from the same place that checks it: every option is in it, explained, and commented out where
the default stands.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Annotated, Final, get_type_hints

import msgspec

from tahoe.actors.membership import MOST_SHARES, EncodingBounds
from tahoe.errors import BadConfiguration
from tahoe.net import toml
from tahoe.net.careconfig import CareSection
from tahoe.net.quantities import ByteSize, Seconds
from tahoe.protocol import CARETAKER, CLIENT, DEFAULT_MESSAGE_BYTES, INTRODUCER, STORAGE, VDRIVE, Encoding, Role

CONFIGURABLE_ROLES: Final = (INTRODUCER, STORAGE, CLIENT, VDRIVE, CARETAKER)
SMALLEST_MESSAGE: Final = 16 * 1024
LOG_LEVELS: Final = ("debug", "info", "warning", "error")

_HEAD: Final = """\
# Configuration of a tahoe node. Options that are commented out have the value shown.
# Sizes: 500000, 10G (1000^3), 512Ki (1024). Durations: 500ms, 30s, 5min, 1h, 7d.
"""


def about(text: str) -> msgspec.Meta:
    """The meaning of an option, as the generated file tells it."""
    return msgspec.Meta(description=text)


class NodeSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[node]``."""

    roles: Annotated[tuple[str, ...], about("What this node does: introducer, storage, client, vdrive, caretaker.")] = (
        STORAGE,
        CLIENT,
    )
    nickname: Annotated[str, about("How people call this node; everybody in the grid sees it.")] = ""
    location: Annotated[
        str, about("Where it stands, as site/rack/host; nodes that share it are thought to fail together.")
    ] = ""

    def __post_init__(self) -> None:
        for role in self.roles:
            if role not in CONFIGURABLE_ROLES:
                raise ValueError(f"{role!r} is no role; roles are {', '.join(CONFIGURABLE_ROLES)}")
        if not self.roles or len(set(self.roles)) < len(self.roles):
            raise ValueError("roles must name one or more roles, each once")


class NetworkSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[network]``."""

    message_size: Annotated[
        ByteSize, about("Largest message. Brokers commonly refuse more than 1M; lowered by itself if refused.")
    ] = ByteSize(DEFAULT_MESSAGE_BYTES)
    receive_memory: Annotated[ByteSize, about("Memory for messages that others may send us at once.")] = ByteSize(
        64 * 1024 * 1024
    )
    upload_rate: Annotated[ByteSize, about("Bytes per second to send at most; 0: no limit.")] = ByteSize(0)
    download_rate: Annotated[ByteSize, about("Bytes per second to receive at most; 0: no limit.")] = ByteSize(0)
    keepalive: Annotated[Seconds, about("How often to show the broker that we live.")] = Seconds(30)

    def __post_init__(self) -> None:
        if not SMALLEST_MESSAGE <= self.message_size <= self.receive_memory:
            raise ValueError(f"message_size must be {SMALLEST_MESSAGE} or more, and no more than receive_memory")
        if not 5 <= self.keepalive <= 3600:
            raise ValueError("keepalive must be between 5s and 1h")


class StorageSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[storage]``."""

    directory: Annotated[str, about("Where shares are kept; relative to the node directory.")] = "storage"
    sizelimit: Annotated[ByteSize, about("Most bytes of shares to keep; 0: no limit.")] = ByteSize(0)
    reserved_space: Annotated[ByteSize, about("Bytes of the disk to leave free.")] = ByteSize(1_000_000_000)
    readonly: Annotated[bool, about("Serve what is here and take nothing new.")] = False
    keep_expired: Annotated[
        Seconds, about("Keep a share that nobody leases any more for so long, unless room is short.")
    ] = Seconds(180 * 86_400)
    keep_trash: Annotated[
        Seconds, about("Keep what was thrown away for so long (see tahoe undelete), unless room is short.")
    ] = Seconds(14 * 86_400)
    idle_upload: Annotated[Seconds, about("Forget an upload that has stood still for so long.")] = Seconds(1800)
    scrub_every: Annotated[Seconds, about("Pause between checks of two stored shares; 0: never check.")] = Seconds(5)


class ClientSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[client]``."""

    web_port: Annotated[int, about("Port of the gateway on 127.0.0.1; 0: any free one (see the file node.url).")] = 0
    encoding: Annotated[
        str, about('Own encoding "needed/happy/total" for new files; empty: what the grid\'s owner signed.')
    ] = ""
    slots: Annotated[
        str, about('Own encoding "needed/total" for new mutable files and directories; empty: that of files.')
    ] = ""
    default_root: Annotated[
        str, about("Where paths without an alias begin: private, global, another root of the grid, or an alias.")
    ] = "private"
    https_address: Annotated[
        str, about("Serve others by TLS, too, on ADDRESS:PORT, for example 0.0.0.0:3457; empty: this machine only.")
    ] = ""
    https_certificate: Annotated[str, about("Certificate with its chain (PEM); relative to the node directory.")] = ""
    https_key: Annotated[str, about("Its key (PEM); relative to the node directory.")] = ""
    https_names: Annotated[tuple[str, ...], about("Host names by which others call this gateway.")] = ()
    lowest_happy: Annotated[int, about("Refuse a grid's encoding that would spread files over fewer servers.")] = 1
    most_expansion: Annotated[float, about("Refuse a grid's encoding that makes more bytes than this of one.")] = 16.0

    def __post_init__(self) -> None:
        if not 0 <= self.web_port <= 65535:
            raise ValueError("web_port must be between 0 and 65535")
        if self.https_address:
            address, _, port = self.https_address.rpartition(":")
            if not address or not port.isdecimal() or int(port) > 65535:
                raise ValueError("https_address is ADDRESS:PORT, for example 0.0.0.0:3457")
            if not (self.https_certificate and self.https_key and self.https_names):
                raise ValueError("https_address needs https_certificate, https_key and https_names")
        if self.encoding:
            parse_encoding(self.encoding)
        if self.slots:
            parse_slot_encoding(self.slots)
        if not self.default_root or set(self.default_root) & set(":/\0"):
            raise ValueError("default_root is the name of a root or an alias, without a colon: private, global, ...")

    def bounds(self) -> EncodingBounds:
        """Which encoding parameters this node accepts."""
        fixed = parse_encoding(self.encoding) if self.encoding else None
        return EncodingBounds(fixed, self.lowest_happy, self.most_expansion)


class LogSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[log]``."""

    level: Annotated[str, about("debug, info, warning or error.")] = "info"
    json: Annotated[bool, about("One JSON object a line in logs/node.log, for programs.")] = False

    def __post_init__(self) -> None:
        if self.level not in LOG_LEVELS:
            raise ValueError(f"{self.level!r} is no log level; write {', '.join(LOG_LEVELS)}")


class NodeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole ``tahoe.toml``."""

    node: NodeSection = NodeSection()
    network: NetworkSection = NetworkSection()
    storage: StorageSection = StorageSection()
    client: ClientSection = ClientSection()
    care: CareSection = CareSection()
    log: LogSection = LogSection()

    @property
    def roles(self) -> tuple[Role, ...]:
        """What this node does."""
        return tuple(Role(role) for role in self.node.roles)

    @classmethod
    def load(cls, path: Path) -> NodeConfig:
        """Read and check a file.

        Raises:
            BadConfiguration: names the section, the key and the remedy.
        """
        return toml.read(path, cls)

    def text(self) -> str:
        """The file that says this, with every option explained."""
        sections = [f"\n[{name}]\n{_options(getattr(self, name))}" for name in self.__struct_fields__]
        return _HEAD + "".join(sections)


def parse_encoding(text: str) -> Encoding:
    """Read ``needed/happy/total``.

    Raises:
        ValueError: with an example of what is right.
    """
    numbers = text.split("/")
    if len(numbers) != 3 or not all(number.strip().isdecimal() for number in numbers):
        raise ValueError(f"{text!r} is no encoding; write needed/happy/total, for example 3/7/10")
    encoding = Encoding(*map(int, numbers))
    try:
        EncodingBounds(most_expansion=256).check(encoding)
    except BadConfiguration as error:
        raise ValueError(str(error)) from error
    return encoding


def parse_slot_encoding(text: str) -> tuple[int, int]:
    """Read ``needed/total``.

    Raises:
        ValueError: with an example of what is right.
    """
    numbers = text.split("/")
    if len(numbers) != 2 or not all(number.strip().isdecimal() for number in numbers):
        raise ValueError(f"{text!r} is no encoding of slots; write needed/total, for example 3/10")
    needed, total = map(int, numbers)
    if not 1 <= needed <= total <= MOST_SHARES:
        raise ValueError(f"slots = {text!r}: 1 <= needed <= total <= {MOST_SHARES} must hold")
    return needed, total


def _options(section: msgspec.Struct) -> str:
    hints = get_type_hints(type(section), include_extras=True)
    defaults = type(section)()
    lines: list[str] = []
    for name in section.__struct_fields__:
        (meta,) = hints[name].__metadata__
        lines += textwrap.wrap(meta.description, 100, initial_indent="# ", subsequent_indent="# ")
        value = getattr(section, name)
        mark = "# " if value == getattr(defaults, name) else ""
        lines.append(f"{mark}{name} = {toml.write_value(value)}")
    return "\n".join(lines) + "\n"
