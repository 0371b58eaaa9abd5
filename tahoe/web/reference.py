"""``docs/api.md``: the API for people, made of the table of routes. ``python -m tahoe.web.reference`` prints it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tahoe.web.openapi import ERRORS
from tahoe.web.rows import Authority, Row
from tahoe.web.table import PLACE, TABLE

_HEAD: Final = """\
# The gateway's API

Every client node runs a gateway on its own machine: `node.url` in the node directory says where. This page is made from
the table of routes that the gateway serves (`python -m tahoe.web.reference > docs/api.md`); `GET /openapi.json` has the same for
programs.

```console
$ export NODE=$(cat $TAHOE_NODE/node.url) TOKEN=$(cat $TAHOE_NODE/private/api_token)  # of your node's directory
$ curl -T photo.jpg -H "Authorization: Bearer $TOKEN" $NODE"vdrive/private/photos/photo.jpg"
URI:CHK:...
$ curl -H "Authorization: Bearer $TOKEN" $NODE"vdrive/private/photos?t=json"
["dirnode", {"mutable": true, "children": {"photo.jpg": ["filenode", {...}]}, ...}]
```

## Places

A PLACE is where something is, or may be:

| | |
|---|---|
| `/uri/CAP` | what a capability names |
| `/uri/CAP/name/name` | below the directory that a capability names |
| `/vdrive/private/name/...` | below the node's own root, made on first use |
| `/vdrive/ROOT/name/...` | below a root that the grid's owner has published; `global` is everybody's |

Each name is percent-encoded UTF-8 by itself; what is encoded is never taken for a slash. Up to 256 names, each up to 4,096
bytes.

## Who may do what

The gateway listens on 127.0.0.1, and by TLS elsewhere where `tahoe.toml` says so (`https_address`). A request must call it by
`localhost`, `127.0.0.1`, `[::1]`, or the node's own name (`Host`; 421 otherwise).

* **Reading by a capability in the URL** needs nothing else: the capability is its own authority.
* **Everything that changes something, and everything under `/vdrive`, `/jobs`, `/status` and their like** needs the node's
  authority: `Authorization: Bearer` with the contents of `private/api_token`; or, in a browser, the cookie of a session
  (`tahoe webopen`), which counts only under the node's own host name and for requests of the gateway's own pages.

Stored contents are sent with `Content-Security-Policy: sandbox`, `nosniff` and `no-referrer`, and as an attachment unless
they are of a kind that can do nothing (plain text, pictures, sound, film, PDF). What `localfile=` and `localdir=` did in v0.6 is refused:
they let any web page read and write the machine's files. So is the SSH shell of v0.6, which there is no part of.

## Errors

An error is one text for people, or with an `Accept` that names JSON (and plain text no more than that) a problem (RFC 9457): `type`, `title`, `status`, `detail`, and
`kind`, the class of the error, for programs. No error has a capability in it. An answer that breaks off is
shorter than it says, or lacks its last chunk.

"""

_NEEDS: Final = {Authority.NONE: "-", Authority.CAPABILITY: "C", Authority.NODE: "N"}

_JSON: Final = """\
## Descriptions

`t=json` answers `[kind, facts]`: `filenode` with `size`, `mutable`, `format` (`CHK`, `LIT`, `SLOT`), `dirnode` with `mutable` and
`children` (by name, each `[kind, facts]`), or `unknown`. Facts have `rw_uri` (if the way there gives it), `ro_uri` and `verify_uri`,
and `metadata` of the link. Where so few servers are in reach that there may be a newer version, a directory says
`may_be_stale` and the contents of a slot come with `Tahoe-May-Be-Stale: true`. The same shape, `{name: [kind, {"rw_uri"?, "ro_uri", "metadata"?}]}`, is the body wherever *children* are taken.

A manifest (`t=stream-manifest`) is one JSON object a line: `type`, `path`, `cap`, `verifycap`, `storage-index`, `size` of files whose
capability tells it, `error` of directories that can't be read; last `{"type": "stats", "stats": {...}}`. One that breaks off lacks
that line.

Jobs go on when whoever started them goes away: `{"job": ID}`, then `GET /jobs/ID` tells `state` (`running`, `done`, `failed`,
`cancelled`), `progress`, and at the end `result` or `error`.

Parameters of a POST may stand in a form, too, before its first file: `curl -F t=upload -F name=NAME -F file=@FILE` and
`curl -d t=mkdir -d name=NAME` do what they say; what the query says counts more. A form that is sent to the place of a file or a
slot takes its place, as with PUT.

Any POST takes `when_done=/path` for forms: it sends the browser on to a page of the gateway's own, and nowhere else.
"""


def document() -> str:
    """Return the whole page."""
    return _HEAD + "\n".join([*_errors(), "", *_operations(), ""]) + "\n" + _JSON


def _errors() -> Iterator[str]:
    yield "| status | means |"
    yield "|---|---|"
    for status, about in ERRORS.items():
        yield f"| {status} | {about} |"


def _operations() -> Iterator[str]:
    """All rows, those of places first."""
    yield "## Operations"
    yield ""
    yield "*Needs*: -, nothing; C, the capability in the URL (under `/vdrive`, the node's authority); N, the node's authority."
    places = [row for row in TABLE if row.path == PLACE]
    others = [row for row in TABLE if row.path != PLACE]
    for title, rows in (("Of a place", places), ("Others", others)):
        yield from ["", f"### {title}", "", "| request | needs | does | gives |", "|---|---|---|---|"]
        yield from map(_row, rows)
    yield from ["", "### Parameters", "", "| parameter | values | means |", "|---|---|---|"]
    yield from _parameters()


def _row(row: Row) -> str:
    wanted = [f"t={row.operation}"] if row.operation else []
    wanted += [parameter.name if parameter.required else f"[{parameter.name}]" for parameter in row.parameters]
    request = f"`{row.method} {row.path}{'?' if wanted else ''}{'&'.join(wanted)}`"
    body = f"<br>body: {row.takes.value}" if row.takes else ""
    does = row.about.replace("``", "`")
    gives = f"{row.gives.about} ({', '.join(map(str, row.gives.statuses))})"
    return f"| {request}{body} | {_NEEDS[row.authority]} | {does} | {gives} |"


def _parameters() -> Iterator[str]:
    """Every parameter once; one that means different things here and there, once for each."""
    for parameter in dict.fromkeys(parameter for row in TABLE for parameter in row.parameters):
        values = ", ".join(f"`{choice}`" for choice in parameter.choices)
        yield f"| `{parameter.name}` | {values} | {parameter.about} |"


if __name__ == "__main__":
    print(document(), end="")  # noqa: T201  # that is what it is for
