"""Speaking to the local node's gateway, with nothing but the standard library: commands must start quickly."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import click

from tahoe.cli.values import default_node_directory, node_option

F = TypeVar("F", bound=Callable[..., Any])

BLOCK: Final = 1 << 20
PATIENCE: Final = 900
"""Seconds without a byte. A large file may be hashed and placed for minutes before the gateway answers."""

Body = bytes | Iterable[bytes]


def gateway_options(function: F) -> F:
    """Add ``-d``, ``--node-url`` and ``--token-file``."""
    token = click.option(
        "--token-file",
        type=click.Path(path_type=Path),
        help="A file with the gateway's token. Default: private/api_token of the node.",
    )
    url = click.option("--node-url", metavar="URL", help="The gateway. Default: what the node's file node.url says.")
    return node_option(url(token(function)))


class Gateway:
    """A gateway's address and the token that opens it, as options name them."""

    def __init__(
        self, node_directory: Path | None, node_url: str | None = None, token_file: Path | None = None
    ) -> None:
        self._directory = node_directory
        self._url = node_url
        self._token_file = token_file

    def request(
        self, method: str, path: str, body: Body | None = None, headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """Send a request and return its answer, unread.

        Raises:
            ClickException: the gateway can't be reached, or answers an error.
        """
        connection = self._connect()
        headers = dict(headers or {})
        token = self._token()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            _send(connection, method, path, body, headers)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise click.ClickException(self._unreachable(connection, error)) from error
        if response.status >= 400:
            raise click.ClickException(_explain(response))
        return response

    @property
    def directory(self) -> Path:
        """The node directory."""
        if self._directory is None:
            self._directory = default_node_directory()
        return self._directory

    def _connect(self) -> http.client.HTTPConnection:
        url = urlsplit(self._url or self._local_url())
        if url.scheme != "http" or not url.hostname:
            raise click.UsageError("--node-url is the address of a gateway, for example http://127.0.0.1:3456/")
        return http.client.HTTPConnection(url.hostname, url.port or 80, timeout=PATIENCE, blocksize=BLOCK)

    def _local_url(self) -> str:
        try:
            return (self.directory / "node.url").read_text().strip()
        except OSError:
            pass
        if not (self.directory / "tahoe.toml").exists():
            raise click.ClickException(
                f"there is no node in {self.directory}; name yours with -d or $TAHOE_NODE, or make one: tahoe create-node"
            )
        raise click.ClickException(
            f"no gateway runs in {self.directory}: the node is not running (tahoe start {self.directory}) or is no client"
        )

    def _token(self) -> str | None:
        path = self._token_file or (None if self._url else self.directory / "private" / "api_token")
        try:
            return None if path is None else path.read_text().strip()
        except OSError as error:
            raise click.ClickException(f"can't read the gateway's token from {path}: {error.strerror}") from error

    def _unreachable(self, connection: http.client.HTTPConnection, error: Exception) -> str:
        where = f"{connection.host} port {connection.port}"
        if isinstance(error, ConnectionRefusedError):
            remedy = "is it running?" if self._url else f"start it: tahoe start {self.directory}"
            return f"no gateway listens on {where}; {remedy}"
        return (
            f"the gateway on {where} broke off ({error or type(error).__name__}); its node's logs/node.log may say why"
        )


def _send(
    connection: http.client.HTTPConnection, method: str, path: str, body: Body | None, headers: Mapping[str, str]
) -> None:
    """Send a request; one that the gateway refuses half way is answered all the same."""
    try:
        connection.request(method, path, body, headers)
    except (BrokenPipeError, ConnectionResetError):
        if connection.sock is None:
            raise


def _explain(response: http.client.HTTPResponse) -> str:
    """Return what the gateway says of an error, in its own words."""
    text = response.read(100_000).decode("utf-8", "replace").strip()
    if response.status == 401:
        return f"the gateway wants its node's token: {text}; see --token-file"
    return text or f"the gateway answers {response.status} {response.reason}"
