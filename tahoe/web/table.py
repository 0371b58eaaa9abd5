"""The table of all routes: what the gateway does, for whom, and with which parameters.

One row is one operation. The router serves what stands here, ``/openapi.json`` and ``docs/api.md`` say what stands here, and
nothing else does. *Place* rows stand for four paths each: ``/uri/CAP`` and ``/vdrive/ROOT``, with and without names behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tahoe.web import about, care, checks, directories, doors, files, forms, kinds, measures, roots, trees, zips
from tahoe.web.rows import Authority, Gives, Parameter, Row, Takes

PLACE: Final = "PLACE"
NAMED: Final = "/named/{cap}/{name}"
PLACE_PATHS: Final = ("/uri/{cap}", "/uri/{cap}/{path}", "/vdrive/{root}", "/vdrive/{root}/{path}")

_OPEN, _CAP, _NODE = Authority.NONE, Authority.CAPABILITY, Authority.NODE


FORMAT: Final = Parameter("format", "immutable (CHK) or a new mutable slot", ("CHK", "SLOT"))
MUTABLE: Final = Parameter("mutable", "the same as format=SLOT", ("true", "false"))
CONVERGENCE: Final = Parameter("convergence", "none: a random key, so that equal files differ", ("node", "none"))
ENCODING: Final = Parameter("encoding", "needed/happy/total shares, such as 3/7/10; without it, the grid's")
REPLACE: Final = Parameter("replace", "what of the same name may be replaced", ("true", "false", "only-files"))
OVERWRITE: Final = Parameter("overwrite", "the same as replace", ("true", "false", "only-files"))
CAP_TO_LINK: Final = Parameter("uri", "a capability", required=True)
OFFSET: Final = Parameter("offset", "write into the slot at this byte")
FILENAME: Final = Parameter("filename", "name that a browser is told")
SAVE: Final = Parameter("save", "have a browser save it", ("true", "false"))
NAME: Final = Parameter("name", "of a child of the place")
CHILD: Final = Parameter("name", "of the child", required=True)
KIND: Final = Parameter("kind", "what it has to be", ("any", "file", "directory"))
FROM: Final = Parameter("from_name", "the child's name", required=True)
TO: Final = Parameter("to_name", "its new name", required=True)
TO_OTHER: Final = Parameter("to_name", "its name there; without it, the same")
TO_DIRECTORY: Final = Parameter("to_dir", "CAP[/path] or root:NAME[/path] of the other directory")
CAP_TO_FIND: Final = Parameter("uri", "a capability", required=True)
CODE: Final = Parameter("code", "from POST /session", required=True)
CARE_NAME: Final = Parameter("name", "of what is looked after", required=True)
MANIFEST: Final = Parameter("manifest", "it is the read capability of a manifest", ("true", "false"))
DELEGATION: Final = Parameter("delegation", "of the account that leases are for (tahoe care delegate)")
SERVER: Final = Parameter("node", "a server's node id", required=True)
BACK: Final = Parameter("back", "it is not gone after all", ("true", "false"))
VERIFY: Final = Parameter("verify", "look at every byte of every share", ("true", "false"))
ADD_LEASE: Final = Parameter("add-lease", "add this node's lease to what is found, or renew it", ("true", "false"))
WAIT: Final = Parameter("wait", "answer as soon as the job has ended, or after a second", ("true", "false"))
ASK_SERVERS: Final = Parameter("servers", "ask every server what this node keeps there, too", ("true", "false"))
ASK_VDRIVES: Final = Parameter("refresh", "ask the vdrives first", ("true", "false"))

HOW: Final = (FORMAT, MUTABLE, CONVERGENCE, ENCODING)
"""How a file is to be kept."""

TABLE: Final[tuple[Row, ...]] = (
    # reading
    Row("GET", PLACE, "", files.get, _CAP, (FILENAME, SAVE), gives=Gives.CONTENTS),
    Row("GET", PLACE, "json", files.describe, _CAP),
    Row("GET", PLACE, "info", files.inform, _CAP),
    Row("GET", PLACE, "uri", files.capability_text, _CAP, gives=Gives.FOUND),
    Row("GET", PLACE, "readonly-uri", files.read_only_text, _CAP, gives=Gives.FOUND),
    Row("GET", PLACE, "verify-uri", files.verifier_text, _CAP, gives=Gives.FOUND),
    Row("GET", NAMED, "", files.get_named, _CAP, (FILENAME, SAVE), gives=Gives.CONTENTS),
    Row("GET", "/uri", "", files.redirect_to_capability, _OPEN, (CAP_TO_FIND,), gives=Gives.ELSEWHERE),
    # trees
    Row("GET", PLACE, "stream-manifest", trees.stream_manifest, _CAP, gives=Gives.LINES),
    Row("POST", PLACE, "stream-manifest", trees.stream_manifest, _CAP, gives=Gives.LINES),
    Row("GET", PLACE, "deep-stats", trees.deep_statistics, _CAP),
    Row("GET", PLACE, "deep-size", trees.deep_size, _CAP, gives=Gives.NUMBER),
    *(Row("POST", PLACE, f"start-{kind}", kinds.starter(kind), _NODE, gives=Gives.JOB) for kind in kinds.JOB_KINDS),
    *(
        Row("POST", PLACE, f"start-{kind}", checks.starter(kind), _NODE, (VERIFY, ADD_LEASE), gives=Gives.JOB)
        for kind in checks.KINDS
    ),
    Row("GET", "/jobs", "", kinds.list_jobs, _NODE),
    Row("GET", "/jobs/{job}", "", kinds.show_job, _NODE, (WAIT,)),
    Row("DELETE", "/jobs/{job}", "", kinds.cancel_job, _NODE),
    Row("GET", PLACE, "zip", zips.zip_directory, _CAP, gives=Gives.ZIP),
    # writing files
    Row("PUT", "/uri", "", files.put_unlinked, _NODE, HOW, Takes.CONTENTS, gives=Gives.KEPT),
    Row("PUT", PLACE, "", files.put, _NODE, (*HOW, OFFSET, REPLACE), Takes.CONTENTS, gives=Gives.KEPT),
    Row("PUT", PLACE, "uri", files.attach, _NODE, (REPLACE,), Takes.CAPABILITY, gives=Gives.KEPT),
    Row("POST", PLACE, "uri", files.attach_child, _NODE, (CHILD, CAP_TO_LINK, REPLACE), gives=Gives.KEPT),
    Row("POST", "/uri", "upload", forms.upload_unlinked, _NODE, HOW, Takes.FORM, gives=Gives.NEW),
    Row("POST", PLACE, "upload", forms.upload, _NODE, (*HOW, NAME, REPLACE), Takes.FORM, gives=Gives.STORED),
    # directories
    Row("POST", "/uri", "mkdir", directories.mkdir_unlinked, _NODE, gives=Gives.NEW),
    Row("PUT", "/uri", "mkdir", directories.mkdir_unlinked, _NODE, gives=Gives.NEW),
    Row("PUT", PLACE, "mkdir", directories.mkdir, _NODE, (NAME,), gives=Gives.KEPT),
    Row(
        "POST",
        "/uri",
        "mkdir-with-children",
        directories.mkdir_with_children_unlinked,
        _NODE,
        (),
        Takes.CHILDREN,
        gives=Gives.NEW,
    ),
    Row(
        "POST",
        "/uri",
        "mkdir-immutable",
        directories.mkdir_immutable_unlinked,
        _NODE,
        (CONVERGENCE,),
        Takes.CHILDREN,
        gives=Gives.NEW,
    ),
    Row("POST", PLACE, "mkdir", directories.mkdir, _NODE, (NAME,), gives=Gives.KEPT),
    Row(
        "POST",
        PLACE,
        "mkdir-with-children",
        directories.mkdir_with_children,
        _NODE,
        (NAME, REPLACE),
        Takes.CHILDREN,
        gives=Gives.NEW,
    ),
    Row(
        "POST",
        PLACE,
        "mkdir-immutable",
        directories.mkdir_immutable,
        _NODE,
        (NAME, REPLACE, CONVERGENCE),
        Takes.CHILDREN,
        gives=Gives.NEW,
    ),
    Row(
        "POST",
        PLACE,
        "set_children",
        directories.set_children,
        _NODE,
        (REPLACE, OVERWRITE),
        Takes.CHILDREN,
        gives=Gives.FOUND,
    ),
    Row(
        "POST",
        PLACE,
        "set-children",
        directories.set_children,
        _NODE,
        (REPLACE, OVERWRITE),
        Takes.CHILDREN,
        gives=Gives.FOUND,
    ),
    Row("DELETE", PLACE, "", directories.delete, _NODE, (KIND,), gives=Gives.FOUND),
    Row("POST", PLACE, "unlink", directories.unlink, _NODE, (CHILD, KIND), gives=Gives.FOUND),
    Row("POST", PLACE, "delete", directories.unlink, _NODE, (CHILD, KIND), gives=Gives.FOUND),
    Row("POST", PLACE, "rename", directories.rename, _NODE, (FROM, TO, REPLACE), gives=Gives.FOUND),
    Row("POST", PLACE, "relink", directories.relink, _NODE, (FROM, TO_DIRECTORY, TO_OTHER, REPLACE), gives=Gives.FOUND),
    # the node
    Row("GET", "/", "", about.welcome, _OPEN, gives=Gives.TEXT),
    Row("GET", "/", "json", about.status, _NODE),
    Row("GET", "/status", "", about.status, _NODE),
    Row("GET", "/status", "json", about.status, _NODE),
    Row("GET", "/statistics", "", measures.statistics, _NODE),
    Row("GET", "/statistics", "json", measures.statistics, _NODE),
    Row("GET", "/metrics", "", measures.metrics, _NODE, gives=Gives.METRICS),
    Row("GET", "/storage", "", measures.storage, _NODE, (ASK_SERVERS,)),
    Row("GET", "/storage", "json", measures.storage, _NODE, (ASK_SERVERS,)),
    Row("GET", "/transfers", "", measures.list_transfers, _NODE),
    Row("GET", "/transfers", "json", measures.list_transfers, _NODE),
    Row("GET", "/transfers/{transfer}", "", measures.show_transfer, _NODE),
    # keeping
    Row("GET", "/health", "", care.health, _NODE),
    Row("GET", "/health", "json", care.health, _NODE),
    Row("POST", "/care", "add", care.add, _NODE, (CARE_NAME, MANIFEST, DELEGATION), Takes.CAPABILITY, gives=Gives.TEXT),
    Row("POST", "/care", "remove", care.remove, _NODE, (CARE_NAME,), gives=Gives.TEXT),
    Row("POST", "/care", "publish", care.publish, _NODE, (CARE_NAME,), gives=Gives.FOUND),
    Row("POST", "/care", "start-round", care.start_round, _NODE, gives=Gives.JOB),
    Row("POST", "/care", "server-gone", care.server_gone, _NODE, (SERVER, BACK), gives=Gives.TEXT),
    # browsers
    Row("POST", "/session", "", doors.invite, _NODE, gives=Gives.INVITATION),
    Row("GET", "/session", "", doors.enter, _OPEN, (CODE,), gives=Gives.ELSEWHERE),
    Row("DELETE", "/session", "", doors.leave, _NODE, gives=Gives.TEXT),
    # roots
    Row("GET", "/vdrive", "", roots.list_roots, _NODE, (ASK_VDRIVES,)),
    Row("GET", "/vdrive", "json", roots.list_roots, _NODE, (ASK_VDRIVES,)),
    Row("PUT", PLACE, "statement", roots.publish, _NODE, (), Takes.STATEMENT),
)


def rows_by_path() -> Iterator[tuple[str, tuple[Row, ...]]]:
    """Yield every path of the table with its rows, in the order of the table."""
    paths = dict.fromkeys(row.path for row in TABLE)
    for path in paths:
        yield path, tuple(row for row in TABLE if row.path == path)
