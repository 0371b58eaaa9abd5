"""Speaking to the local node's gateway, with nothing but the standard library: commands must start quickly."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

import click

from tahoe.cli.values import default_node_directory, node_option

F = TypeVar("F", bound=Callable[..., Any])

BLOCK: Final = 1 << 20
PATIENCE: Final = 900
"""Seconds without a byte. A large file may be hashed and placed for minutes before the gateway answers."""

STATUS: Final = "/status"
OUT_OF_REACH: Final = frozenset({410, 502, 503, 504})
"""Answers to what failed because of others: servers that are gone, a broker that is down."""

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


def with_gateway(function: F) -> F:
    """Add the same options, and hand the command the ``gateway`` that they name."""

    @wraps(function)
    def command(
        *args: Any, node_directory: Path | None, node_url: str | None, token_file: Path | None, **options: Any
    ) -> Any:
        return function(*args, gateway=Gateway(node_directory, node_url, token_file), **options)

    return gateway_options(cast("F", command))


class GatewayError(click.ClickException):
    """The gateway says no. ``status`` is that of its answer, ``kind`` the name of the error's class, if it has one."""

    def __init__(self, message: str, status: int, kind: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class UnreachableError(click.ClickException):
    """There is no gateway, or it went away."""


class Gateway:
    """A gateway's address and the token that opens it, as options name them.

    Every thread has a connection of its own, which stays open from one request to the next.
    """

    def __init__(
        self, node_directory: Path | None, node_url: str | None = None, token_file: Path | None = None
    ) -> None:
        self._directory = node_directory
        self._url = node_url
        self._token_file = token_file
        self._token: str | None = None
        self._own = _OfThread()

    def request(
        self, method: str, path: str, body: Body | None = None, headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """Send a request and return its answer, unread.

        Raises:
            GatewayError: the gateway answers an error.
            UnreachableError: it can't be reached.
        """
        response = self._exchange(method, path, body, headers or {})
        if response.status < 400:
            return response
        message, kind = _explain(response)
        if response.status in OUT_OF_REACH and path != STATUS:
            message += self._remedy()
        raise GatewayError(message, response.status, kind)

    def text(self, method: str, path: str, body: Body | None = None, headers: Mapping[str, str] | None = None) -> str:
        """Send a request and return its answer, a line of text. Raises as ``request`` does."""
        return self.request(method, path, body, headers).read().decode().strip()

    def json(self, path: str) -> Any:
        """Return what the gateway answers to a question. Raises as ``request`` does."""
        return json.loads(self.request("GET", path).read())

    def _exchange(
        self, method: str, path: str, body: Body | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        """Ask on this thread's connection; if it has gone stale meanwhile, on a fresh one."""
        repeatable = body is None or isinstance(body, bytes)
        kept = self._own.idle() if repeatable else None
        connection = kept or self._connect()
        headers = {**self._introduction(), **headers}
        try:
            try:
                return self._own.ask(connection, method, path, body, headers)
            except ConnectionError:
                if kept is None:
                    raise
                kept.close()
                connection = self._connect()
                return self._own.ask(connection, method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(self._unreachable(connection, error)) from error

    def _introduction(self) -> dict[str, str]:
        """Who we are, and that errors may come as JSON."""
        if self._token is None:
            self._token = self._read_token()
        headers = {"Accept": "application/problem+json, */*"}
        return headers | {"Authorization": f"Bearer {self._token}"} if self._token else headers

    def _remedy(self) -> str:
        """Return what is wrong with the grid and what to try, as far as the node can tell."""
        from tahoe.cli.doctor import remedies  # noqa: PLC0415  # start-up time

        try:
            return "".join(f"\n  {remedy}" for remedy in remedies(self.json(STATUS)))
        except (click.ClickException, ValueError, KeyError):  # it can't tell, or tells it in another release's way
            return ""

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

    def _read_token(self) -> str:
        path = self._token_file or (None if self._url else self.directory / "private" / "api_token")
        try:
            return "" if path is None else path.read_text().strip()
        except OSError as error:
            if not self._url:
                self._local_url()  # says so where there is no node at all
            raise click.ClickException(f"can't read the gateway's token from {path}: {error.strerror}") from error

    def _unreachable(self, connection: http.client.HTTPConnection, error: Exception) -> str:
        where = f"{connection.host} port {connection.port}"
        if isinstance(error, ConnectionRefusedError):
            remedy = "is it running?" if self._url else f"start it: tahoe start {self.directory}"
            return f"no gateway listens on {where}; {remedy}"
        return (
            f"the gateway on {where} broke off ({error or type(error).__name__}); its node's logs/node.log may say why"
        )


class _OfThread(threading.local):
    """The connection of one thread, and the answer that came on it last."""

    connection: http.client.HTTPConnection | None = None
    response: http.client.HTTPResponse | None = None

    def idle(self) -> http.client.HTTPConnection | None:
        """Return the connection if it can take a request; one whose answer has not been read to its end can't."""
        last = self.response
        free = last is not None and last.isclosed() and last.length == 0 and not last.will_close
        return self.connection if free else None

    def ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Body | None,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        """Send a request; the connection is this thread's from now on."""
        _send(connection, method, path, body, headers)
        self.response = connection.getresponse()
        self.connection = connection
        return self.response


def _send(
    connection: http.client.HTTPConnection, method: str, path: str, body: Body | None, headers: Mapping[str, str]
) -> None:
    """Send a request; one that the gateway refuses half way is answered all the same."""
    try:
        connection.request(method, path, body, headers)
    except (BrokenPipeError, ConnectionResetError):
        if connection.sock is None:
            raise


def _explain(response: http.client.HTTPResponse) -> tuple[str, str]:
    """Return what the gateway says of an error, in its own words, and of what kind it is."""
    text = response.read(100_000).decode("utf-8", "replace").strip()
    kind = ""
    if "json" in response.headers.get_content_type():
        with suppress(ValueError, TypeError, AttributeError):
            problem = json.loads(text)
            text, kind = str(problem["detail"]), str(problem.get("kind", ""))
    if response.status == 401:
        return f"the gateway wants its node's token: {text}; see --token-file", kind
    return text or f"the gateway answers {response.status} {response.reason}", kind
