"""The grid as a file system for Python: ``fsspec``'s ``tahoe://``, through the gateway of a running node.

::

    import fsspec, pandas

    with fsspec.open("tahoe://private/notes.txt", "w") as file:      # private: this node's own root
        file.write("remember the milk")
    fsspec.filesystem("tahoe").ls("global")                          # global, ...: the grid's named roots
    pandas.read_parquet("tahoe://private/data.parquet")              # fetches the ranges it needs
    fsspec.open("tahoe://URI:DIR3-RO:.../report.pdf")                # a capability is a root, too

Files are written in one stream, and appear in their directory when they are closed; one whose writer fails, in a ``with``
block, never does. Copies within the grid cost a link: contents of immutable files are shared.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any, Final
from urllib.parse import quote, urlencode

import click
from fsspec import AbstractFileSystem
from fsspec.spec import AbstractBufferedFile

from tahoe.cli.gateway import Gateway, GatewayError

BLOCKS_WAITING: Final = 2
"""Blocks of a file being written that may wait for the gateway; the writer waits for more."""

MUTABLE: Final = "SLOT"


class TahoeFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Files and directories of the grid.

    Args:
        node: directory of a running client node; ``$TAHOE_NODE`` or the usual place if there is none.
        node_url: address of its gateway instead.
        token_file: with its token; needed with ``node_url`` for all but reading by capability.
        options: see ``fsspec.AbstractFileSystem``.
    """

    protocol = "tahoe"
    root_marker = ""

    def __init__(
        self,
        node: str | Path | None = None,
        node_url: str | None = None,
        token_file: str | Path | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.gateway = Gateway(Path(node) if node else None, node_url, Path(token_file) if token_file else None)

    # --- looking --------------------------------------------------------------------------------------------

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return name, size in bytes, type (``file`` or ``directory``) and what else is known of a path.

        Raises:
            FileNotFoundError: there is nothing.
            Others: see ``asked``.
        """
        path = self._strip_protocol(path)
        if not path:
            return _about("", "dirnode", {})
        with asked(path):
            facts = self.gateway.json(_target(path, t="info"))
        return _about(path, facts["kind"], facts)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:  # noqa: FBT001, FBT002  # fsspec's signature
        """List a directory: facts as of ``info``, or names. The roots are what the empty path has in it.

        Raises:
            As ``info``.
        """
        path = self._strip_protocol(path)
        found = self._listed(path) if path else self._roots()
        return found if detail else sorted(each["name"] for each in found)

    def _listed(self, path: str) -> list[dict[str, Any]]:
        with asked(path):
            kind, facts = self.gateway.json(_target(path, t="json"))
        if kind != "dirnode":
            return [self.info(path)]
        return [self._child(f"{path}/{name}", *pair) for name, pair in sorted(facts["children"].items())]

    def _child(self, path: str, kind: str, facts: dict[str, Any]) -> dict[str, Any]:
        """Facts of a child; a mutable file's servers are asked for its size."""
        unsized = kind == "filenode" and facts["size"] is None
        return self.info(path) if unsized else _about(path, kind, facts)

    def _roots(self) -> list[dict[str, Any]]:
        with asked(""):
            roots = self.gateway.json("/vdrive?t=json")["roots"]
        return [_about(name, "dirnode", {}) for name in sorted({"private", *roots})]

    def created(self, path: str) -> datetime:
        """When a path was first linked."""
        return _time(self.info(path)["created"], path)

    def modified(self, path: str) -> datetime:
        """When a path was last linked to something new."""
        return _time(self.info(path)["modified"], path)

    def ukey(self, path: str) -> str:
        """Return what changes whenever the contents of an immutable file do: its verify capability."""
        facts = self.info(path)
        return str(facts["verify_uri"] or facts["ro_uri"])

    # --- reading and writing --------------------------------------------------------------------------------

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,  # noqa: FBT001, FBT002  # fsspec's signature
        cache_options: dict[str, Any] | None = None,
        **options: Any,
    ) -> TahoeFile:
        if mode == "xb":
            self._refuse_existing(path)
        return TahoeFile(self, path, mode, block_size, autocommit, cache_options=cache_options, **options)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """Return the contents of a file from byte ``start`` up to ``end``; negative ones count from the end of the file.

        Raises:
            As ``info``.
        """
        path = self._strip_protocol(path)
        if (start or 0) < 0 or (end or 0) < 0:
            size = self.info(path)["size"]
            start, end = (value if value is None or value >= 0 else max(size + value, 0) for value in (start, end))
        first = start or 0
        if end is not None and end <= first:
            return b""
        headers = {"Range": f"bytes={first}-{'' if end is None else end - 1}"} if first or end is not None else {}
        with asked(path):
            try:
                return self.gateway.request("GET", _target(path), headers=headers).read()
            except GatewayError as error:
                if error.status == 416:  # behind its end
                    return b""
                raise

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        """Write a whole file; with ``mode="create"``, only where there is none.

        Raises:
            As ``info``.
        """
        if mode == "create":
            self._refuse_existing(path)
        replace = "false" if mode == "create" else "only-files"
        self._put(self._strip_protocol(path), value, replace)

    def _put(self, path: str, body: bytes | Iterator[bytes], replace: str) -> None:
        with asked(path):
            self.gateway.text("PUT", _target(path, replace=replace), body)

    def _refuse_existing(self, path: str) -> None:
        if self.exists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)

    def touch(self, path: str, truncate: bool = True, **_: Any) -> None:  # noqa: FBT001, FBT002  # fsspec's signature
        """Make an empty file.

        Raises:
            NotImplementedError: what is there is to be left as it is; the grid keeps no time to be touched.
        """
        if not truncate and self.exists(path):
            raise NotImplementedError("the grid keeps no times but those of links")
        self.pipe_file(path, b"")

    # --- directories ----------------------------------------------------------------------------------------

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:  # noqa: FBT001, FBT002  # fsspec's signature
        """Make a directory.

        Raises:
            FileExistsError: there is something.
            FileNotFoundError: there is no parent, and none is to be made.
            Others: see ``asked``.
        """
        path = self._strip_protocol(path)
        self._refuse_existing(path)
        if not create_parents:
            self.info(self._parent(path))
        self._make(path)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:  # noqa: FBT001, FBT002  # fsspec's signature
        """Make a directory and those above it. Raises as ``mkdir`` does, and NotADirectoryError where a file is in the way."""
        path = self._strip_protocol(path)
        if not exist_ok:
            self._refuse_existing(path)
        self._make(path)

    def _make(self, path: str) -> None:
        with asked(path):
            self.gateway.text("POST", _target(path, t="mkdir"))

    def rmdir(self, path: str) -> None:
        """Remove an empty directory.

        Raises:
            OSError: ENOTEMPTY.
            Others: as ``info``.
        """
        path = self._strip_protocol(path)
        if self.ls(path, detail=False):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
        self._unlink(path, "directory")

    def rm_file(self, path: str) -> None:
        """Remove a file."""
        self._unlink(self._strip_protocol(path), "file")

    def rm(self, path: str | list[str], recursive: bool = False, maxdepth: int | None = None) -> None:  # noqa: FBT001, FBT002  # fsspec's signature
        """Remove files and, with ``recursive``, directories with all that is in them, each at one stroke.

        Raises:
            IsADirectoryError: it is one, and ``recursive`` was not said.
            Others: as ``info``.
        """
        if recursive and maxdepth is not None:
            super().rm(path, recursive=True, maxdepth=maxdepth)
            return
        for each in self.expand_path(path):
            if not recursive and self.isdir(each):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), each)
            self._unlink(each, "any" if recursive else "file")

    _rm = rm_file

    def _unlink(self, path: str, kind: str) -> None:
        with asked(path):
            self.gateway.text("DELETE", _target(path, kind=kind))

    # --- copying and moving ---------------------------------------------------------------------------------

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        """Copy a file, by a link where it is immutable; of a directory, make one like it."""
        path1, path2 = self._strip_protocol(path1), self._strip_protocol(path2)
        facts = self.info(path1)
        if facts["type"] == "directory":
            self.makedirs(path2, exist_ok=True)
        elif facts["format"] == MUTABLE:
            self.pipe_file(path2, self.cat_file(path1))
        else:
            with asked(path2):
                self.gateway.text("PUT", _target(path2, t="uri", replace="only-files"), facts["ro_uri"].encode())

    def mv(self, path1: str, path2: str, recursive: bool = False, maxdepth: int | None = None, **options: Any) -> None:  # noqa: FBT001, FBT002  # fsspec's signature
        """Move a file or, with ``recursive``, a directory: a link there for one here. Many at once are copied and removed.

        Raises:
            As ``info``.
        """
        if not isinstance(path1, str) or "*" in path1 or maxdepth is not None:
            super().mv(path1, path2, recursive=recursive, maxdepth=maxdepth, **options)
            return
        source = self._strip_protocol(path1)
        if not recursive and self.isdir(source):
            raise IsADirectoryError(errno.EISDIR, "to move a directory, say recursive=True", source)
        target = self._strip_protocol(path2)
        if path2.endswith("/") or self.isdir(target):
            target = f"{target}/{source.rsplit('/', 1)[-1]}"
        self._relink(source, target)

    def _relink(self, source: str, target: str) -> None:
        here, _, old = source.rpartition("/")
        there, _, new = target.rpartition("/")
        self._make(there)
        request = _target(here, t="relink", from_name=old, to_dir=_plain(there), to_name=new, replace="only-files")
        with asked(source):
            self.gateway.text("POST", request)


class TahoeFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    """A file of the grid, open for reading or for writing.

    A writer's blocks go to the gateway as they come, in a thread; ``commit`` waits for the gateway's word.
    """

    fs: TahoeFileSystem
    _upload: _Upload | None = None

    def _initiate_upload(self) -> None:
        if self.mode == "ab":
            raise NotImplementedError("files are written as a whole: read what is there, and write it with more behind")
        self._upload = _Upload(self.fs, self.fs._strip_protocol(self.path), create="x" in self.mode)  # noqa: SLF001  # of our own class

    def _upload_chunk(self, final: bool = False) -> bool:  # noqa: FBT001, FBT002  # fsspec's signature
        assert self._upload is not None
        self._upload.put(self.buffer.getvalue())
        if final and self.autocommit:
            self.commit()
        return True

    def commit(self) -> None:
        """Let the file appear.

        Raises:
            As ``TahoeFileSystem.info``.
        """
        if self._upload is not None:
            self._upload.finish()

    def discard(self) -> None:
        """Let what was written be forgotten."""
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.abandon()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self.mode != "rb" and not self.closed:
            self.forced = True  # nothing more is sent
            self.discard()
        self.close()


class _Abandoned(Exception):
    """The writer does not want the file any more."""


class _Upload:
    """A request whose body comes block by block from another thread."""

    def __init__(self, fs: TahoeFileSystem, path: str, *, create: bool) -> None:
        self._fs = fs
        self._path = path
        self._replace = "false" if create else "only-files"
        self._blocks: Queue[bytes | type[_Abandoned] | None] = Queue(BLOCKS_WAITING)
        self._failure: BaseException | None = None
        self._thread = Thread(target=self._run, name=f"tahoe write {path}", daemon=True)
        self._thread.start()

    def put(self, block: bytes) -> None:
        """Send a block, as soon as there is room for it."""
        if self._failure is not None:
            raise self._failure
        if block:
            self._blocks.put(block)

    def finish(self) -> None:
        """Wait for the gateway's answer."""
        self._blocks.put(None)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def abandon(self) -> None:
        """Break off: the gateway stores nothing of a body that does not end."""
        self._blocks.put(_Abandoned)
        self._thread.join()

    def _run(self) -> None:
        body = self._body()
        try:
            self._fs._put(self._path, body, self._replace)  # noqa: SLF001  # of our own class
        except _Abandoned:
            pass
        except BaseException as error:  # noqa: BLE001  # the writer's thread raises it
            self._failure = error
            for _ in body:  # the writer may wait for room
                pass

    def _body(self) -> Iterator[bytes]:
        while (block := self._blocks.get()) is not None:
            if not isinstance(block, bytes):
                raise block
            yield block


@contextmanager
def asked(path: str) -> Iterator[None]:
    """Raise what the gateway says of a path as Python says such things.

    Raises:
        FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError: of names and kinds.
        PermissionError: the capability only reads, or the token is wrong.
        ConnectionError: no gateway answers.
        OSError: EINVAL for a name that can't be, EIO with the gateway's words for the rest.
    """
    try:
        yield
    except GatewayError as error:
        raise _as_os_error(error, path) from error
    except click.ClickException as error:
        raise ConnectionError(error.message) from error


_NUMBERS: Final = {
    "NoSuchChild": errno.ENOENT,
    "NoSuchRoot": errno.ENOENT,
    "ChildExists": errno.EEXIST,
    "Conflict": errno.EEXIST,
    "NotADirectory": errno.ENOTDIR,
    "ReadOnly": errno.EACCES,
    "BadName": errno.EINVAL,
    "BadCapability": errno.EINVAL,
    "NoSpace": errno.ENOSPC,
}


def _as_os_error(error: GatewayError, path: str) -> OSError:
    number = errno.EACCES if error.status in (401, 403) else _NUMBERS.get(error.kind, errno.EIO)
    return OSError(number, error.message, path)  # the number makes it of the right class


def _about(path: str, kind: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Facts of a path in fsspec's words."""
    times = (facts.get("metadata") or {}).get("tahoe", {})
    return {
        "name": path,
        "type": "directory" if kind == "dirnode" else "file",
        "size": facts.get("size") or 0,
        "created": times.get("linkcrtime"),
        "modified": times.get("linkmotime"),
        "format": facts.get("format", ""),
        "mutable": facts.get("mutable", False),
        "ro_uri": facts.get("ro_uri", ""),
        "verify_uri": facts.get("verify_uri", ""),
    }


def _time(seconds: float | None, path: str) -> datetime:
    if seconds is None:
        raise OSError(errno.EINVAL, "nothing links to a root, so it has no times", path)
    return datetime.fromtimestamp(seconds, UTC)


def _is_capability(start: str) -> bool:
    return start.startswith(("URI:", "ro.URI:", "imm.URI:"))


def _plain(path: str) -> str:
    """The form in which a place stands in a query."""
    return path if _is_capability(path) else f"root:{path}"


def _target(path: str, **query: str) -> str:
    """The gateway's name for a path, and a question about it."""
    start, *names = path.split("/")
    first = f"/uri/{quote(start, safe=':')}" if _is_capability(start) else f"/vdrive/{quote(start, safe='')}"
    place = "/".join([first, *(quote(name, safe="") for name in names)])
    return f"{place}?{urlencode(query)}" if query else place
