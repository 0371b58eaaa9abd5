"""The files in a form (``multipart/form-data``), read as the body comes: nothing waits in memory but a piece.

::

    body ──► parser ──► events: a part begins, data, it ends ──► FilePart.read ──► whoever takes the file in

Nothing is read from the network that the file under way does not ask for. Fields that stand before the first file may be
parameters of the request (``fields.py``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from tahoe.web.calls import Call
from tahoe.web.errors import WebError
from tahoe.web.spool import PIECE, Readable

MOST_PARTS: Final = 100_000
MOST_FIELDS: Final = 100
PARAMETERS: Final = frozenset({"t", "name", "replace", "format", "mutable", "convergence", "encoding", "when_done"})
"""Fields that say what is to be done with files, so that they come too late behind one."""

LONGEST_FIELD: Final = 64 * 1024
LONGEST_HEADER: Final = 32 * 1024
READ_BYTES: Final = 64 * 1024


class FilePart:
    """One file in a form, read as the body comes. ``filename`` is what the sender calls it."""

    def __init__(self, form: Form, filename: str) -> None:
        self.filename = filename
        self._form = form
        self._data = bytearray()
        self._more = True

    async def read(self, length: int) -> bytes:
        """Return the next ``length`` bytes, fewer only at the end."""
        while self._more and len(self._data) < length:
            event = await self._form.next()
            if isinstance(event, bytes):
                self._data += event
            else:
                self._more = False
        taken = bytes(self._data[:length])
        del self._data[:length]
        return taken


class _Ended:
    """A part is over."""


class _Begun(NamedTuple):
    """A part begins: its name, and its file name if it is a file."""

    name: str
    filename: str | None


async def file_parts(call: Call) -> AsyncIterator[FilePart]:
    """Yield the files of a form. Each has to be read before the next one is asked for; what is left of it is skipped.

    Raises:
        WebError: 400, the body is no such form; 413, a field or the number of parts is too large.
        ClientGone: the body broke off.
    """
    form = form_of(call)
    while (event := await form.next()) is not None:
        if not isinstance(event, _Begun):
            continue
        if event.filename:
            part = FilePart(form, event.filename)
            yield part
            while await part.read(PIECE):
                pass
        else:
            await _field(form, event)
            if event.name in PARAMETERS:
                raise WebError(400, f"the field {event.name!r} has to stand before the files: those above are stored")


async def fields_before_files(call: Call) -> dict[str, str]:
    """Return the fields that stand before the first file of a form, and leave the files to ``file_parts``.

    Raises:
        WebError: 400, the body is no such form; 413, a field or the number of parts is too large.
        ClientGone: the body broke off.
    """
    form = form_of(call)
    fields = {}
    while (event := await form.next()) is not None:
        if not isinstance(event, _Begun):
            continue
        if event.filename is not None:
            form.put_back(event)
            break
        fields[event.name] = _text(await _field(form, event))
        if len(fields) > MOST_FIELDS:
            raise WebError(413, f"a form may have {MOST_FIELDS} fields", {"Connection": "close"})
    return fields


def form_of(call: Call) -> Form:
    """Return the form that a request's body is, as far as it has been read.

    Raises:
        WebError: 400, it is none.
    """
    if call.form is None:
        call.form = Form(call.body, _boundary(call))
    return call.form


async def _field(form: Form, begun: _Begun) -> bytes:
    """Read what is in a field that is no file."""
    value = await FilePart(form, "").read(LONGEST_FIELD + 1)
    if len(value) > LONGEST_FIELD:
        raise WebError(413, f"the field {begun.name!r} is longer than {LONGEST_FIELD} bytes")
    return value


class Form:
    """Reads a body and tells what is in it, one event after the other."""

    def __init__(self, body: Readable, boundary: bytes) -> None:
        self._body = body
        self._events: deque[bytes | _Begun | _Ended] = deque()
        self._headers: dict[bytes, bytes] = {}
        self._field = b""
        self._value = b""
        self._parts = 0
        self._is_over = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._headers.clear,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._part_data,
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
            max_header_size=LONGEST_HEADER,
        )

    async def next(self) -> bytes | _Begun | _Ended | None:
        """Return what comes next; None at the end of the form."""
        while not self._events:
            piece = await self._body.read(READ_BYTES)
            try:
                self._parser.write(piece)
            except FormParserError as error:
                raise WebError(400, f"the form can't be read: {error}", {"Connection": "close"}) from None
            if not piece:
                if not self._is_over:
                    raise WebError(400, "the form ends in the middle", {"Connection": "close"})
                return None
        return self._events.popleft()

    def put_back(self, event: _Begun) -> None:
        """Have an event come once more."""
        self._events.appendleft(event)

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _headers_finished(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise WebError(413, f"a form may have {MOST_PARTS} parts", {"Connection": "close"})
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        filename = options.get(b"filename")
        self._events.append(_Begun(_text(options.get(b"name", b"")), None if filename is None else _text(filename)))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def _part_end(self) -> None:
        self._events.append(_Ended())

    def _end(self) -> None:
        self._is_over = True


def _boundary(call: Call) -> bytes:
    kind, options = parse_options_header(call.headers.get("content-type", "").encode("latin-1"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary or len(boundary) > 250:
        raise WebError(400, "files come as multipart/form-data here, with a boundary")
    return boundary


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise WebError(400, "a name in the form is not UTF-8") from None
