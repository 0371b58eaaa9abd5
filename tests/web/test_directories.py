"""Directories over HTTP, on a grid of real actors: by capability and by root, as programs use them."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from tahoe.actors.roots import publish_root
from tests.web.grid import KEY

FILE = b"contents of a file that is long enough not to fit into a capability, which holds up to 55 bytes"
NAMES = [
    "plain",
    "with blank",
    "Übergröße",
    "a%2Fb",
    "?&#=+",
    "..",
    ".",
    "\u202eevil",
    "x" * 1000,
    "tab\there",
    "'\"<b>",
]


@pytest.fixture
def top(drive) -> str:
    """The path of a new directory."""
    return f"/uri/{drive.ask('POST', '/uri?t=mkdir', status=201)}"


def child(top: str, *names: str) -> str:
    return "/".join([top, *(quote(name, safe="") for name in names)])


# --- files in directories ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_found_by_any_name(drive, top, name):
    cap = drive.ask("PUT", child(top, name), FILE, 201)
    assert cap.startswith("URI:CHK:")
    assert drive.ask("GET", child(top, name)) == FILE.decode()
    kind, facts = drive.json("GET", top + "?t=json")
    assert kind == "dirnode"
    assert list(facts["children"]) == [name]


def test_parents_are_made_and_a_second_file_replaces_the_first(drive, top):
    path = child(top, "a", "b", "c")
    drive.ask("PUT", path, FILE, 201)
    drive.ask("PUT", path, FILE * 2, 200)
    assert drive.ask("GET", path) == (FILE * 2).decode()


def test_a_file_that_is_there_stays_if_the_request_says_so(drive, top):
    path = child(top, "a")
    drive.ask("PUT", path, FILE, 201)
    reply = drive.request("PUT", path + "?replace=false", b"other" * 100, Accept="application/json")
    assert (reply.status, json.loads(reply.body)["kind"]) == (409, "ChildExists")
    assert reply.headers["content-type"] == "application/problem+json"
    assert drive.ask("GET", path) == FILE.decode()


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain"),
        ("*/*", "text/plain"),
        ("text/plain", "text/plain"),
        ("text/plain, application/json;q=0.1", "text/plain"),
        ("application/json;q=0", "text/plain"),
        ("text/plain;q=0.5, application/problem+json", "application/problem+json"),
        ("application/json, text/plain, */*", "application/problem+json"),
        ("application/json;q=nonsense", "application/problem+json"),
    ],
)
def test_an_error_comes_as_the_request_likes_it_best(drive, top, accept, kind):
    reply = drive.request("GET", child(top, "nothing"), Accept=accept)
    assert (reply.status, reply.headers["content-type"].partition(";")[0]) == (404, kind)


def test_a_directory_is_not_replaced_by_a_file_if_only_files_may_be(drive, top):
    drive.ask("POST", child(top, "d") + "?t=mkdir", status=201)
    assert drive.request("PUT", child(top, "d") + "?replace=only-files", FILE).status == 409
    drive.ask("PUT", child(top, "f"), FILE, 201)
    drive.ask("PUT", child(top, "f") + "?replace=only-files", FILE + b"2", 200)


def test_nothing_is_found_in_plain_words_and_as_a_problem(drive, top):
    assert drive.request("GET", child(top, "no")).status == 404
    reply = drive.request("GET", child(top, "no"), Accept="application/json")
    problem = json.loads(reply.body)
    assert (problem["status"], problem["kind"], problem["title"]) == (404, "NoSuchChild", "Not Found")
    assert "no" in problem["detail"]


def test_a_path_through_a_file_leads_nowhere(drive, top):
    drive.ask("PUT", child(top, "f"), FILE, 201)
    assert drive.request("GET", child(top, "f", "below")).status == 404
    assert drive.request("PUT", child(top, "f", "below"), FILE).status in {400, 409}


def test_a_range_and_an_unchanged_file_work_by_path(drive, top):
    path = child(top, "f")
    drive.ask("PUT", path, FILE, 201)
    reply = drive.request("GET", path, Range="bytes=3-9")
    assert (reply.status, reply.body) == (206, FILE[3:10])
    assert drive.request("GET", path, If_None_Match=reply.headers["etag"]).status == 304


def test_files_that_need_the_same_parents_at_the_same_moment_all_arrive(drive, top):
    def put(number: int) -> int:
        return drive.request("PUT", child(top, "new", "deep", f"file {number}"), FILE + bytes([number])).status

    def make(number: int) -> int:
        return drive.request("POST", child(top, "new", "deep", f"directory {number % 2}") + "?t=mkdir").status

    with ThreadPoolExecutor(8) as pool:
        puts, makes = pool.map(put, range(12)), pool.map(make, range(8))
        assert set(puts) == {201}
        assert set(makes) <= {200, 201}
    found = drive.json("GET", child(top, "new", "deep"))[1]["children"]
    assert sorted(found) == sorted([*(f"file {number}" for number in range(12)), "directory 0", "directory 1"])


# --- slots -------------------------------------------------------------------------------------------------


def test_a_slot_is_replaced_and_written_in_place(drive):
    cap = drive.ask("PUT", "/uri?format=SLOT", b"0123456789", 201)
    assert cap.startswith("URI:SLOT:")
    assert drive.ask("PUT", f"/uri/{cap}?offset=3", b"xyz") == cap
    assert drive.ask("GET", f"/uri/{cap}") == "012xyz6789"
    assert drive.ask("PUT", f"/uri/{cap}", b"new") == cap
    assert drive.ask("GET", f"/uri/{cap}") == "new"
    kind, facts = drive.json("GET", f"/uri/{cap}?t=json")
    assert (kind, facts["format"], facts["mutable"], facts["size"]) == ("filenode", "SLOT", True, 3)


def test_a_slot_at_a_path_keeps_its_capability(drive, top):
    path = child(top, "slot")
    cap = drive.ask("PUT", path + "?format=SLOT", FILE, 201)
    assert drive.ask("PUT", path, FILE + b"more", 200) == cap
    assert drive.ask("GET", path) == FILE.decode() + "more"
    assert drive.ask("GET", path + "?t=uri") == cap
    drive.ask("PUT", path + "?offset=0", b"C", 200)
    assert drive.ask("GET", path).startswith("Contents")


def test_a_large_slot_comes_back_whole_and_in_part(drive):
    content = bytes(range(256)) * 12_000
    cap = drive.ask("PUT", "/uri?format=SLOT", content, 201)
    assert drive.request("GET", f"/uri/{cap}").body == content
    assert drive.request("GET", f"/uri/{cap}", Range="bytes=2000000-2000999").body == content[2_000_000:2_001_000]
    assert drive.request("GET", f"/uri/{cap}", Range="bytes=-7").body == content[-7:]
    assert drive.request("GET", f"/uri/{cap}", Range=f"bytes={len(content)}-").status == 416
    head = drive.request("HEAD", f"/uri/{cap}")
    assert head.headers["content-length"] == str(len(content))
    assert drive.request("GET", f"/uri/{cap}", If_None_Match=head.headers["etag"]).status == 304


def test_a_read_only_slot_is_not_written(drive):
    cap = drive.ask("PUT", "/uri?format=SLOT", FILE, 201)
    read_only = drive.ask("GET", f"/uri/{cap}?t=readonly-uri")
    reply = drive.request("PUT", f"/uri/{read_only}", b"x", Accept="application/json")
    assert (reply.status, json.loads(reply.body)["kind"]) == (403, "ReadOnly")


def test_an_offset_into_what_is_no_slot_is_refused(drive, top):
    drive.ask("PUT", child(top, "f"), FILE, 201)
    assert drive.request("PUT", child(top, "f") + "?offset=3", b"x").status == 400
    assert drive.request("PUT", child(top, "f") + "?offset=-3", b"x").status == 400


def test_what_may_be_stale_says_so_and_what_is_lost_is_gone(drive, top):
    path = child(top, "slot")
    drive.ask("PUT", path + "?format=SLOT", FILE, 201)
    assert "tahoe-may-be-stale" not in drive.request("GET", path).headers
    assert "may_be_stale" not in drive.json("GET", top)[1]
    for server in drive.grid.servers[:2]:
        server.down = True
    reply = drive.request("GET", path)
    assert (reply.body, reply.headers["tahoe-may-be-stale"]) == (FILE, "true")
    assert drive.json("GET", top)[1]["may_be_stale"] is True
    assert drive.request("PUT", path, b"new").status in {503, 504}
    drive.grid.servers[2].down = True
    assert drive.request("GET", path).status == 410
    assert drive.request("PUT", "/uri", FILE * 2).status == 503


# --- directories -------------------------------------------------------------------------------------------


def test_a_directory_is_described_as_its_users_know_it(drive, top):
    drive.ask("PUT", child(top, "file"), FILE, 201)
    below = drive.ask("POST", child(top, "below") + "?t=mkdir", status=201)
    kind, facts = drive.json("GET", top)
    assert (kind, facts["mutable"], set(facts["children"])) == ("dirnode", True, {"file", "below"})
    assert facts["rw_uri"] == top.removeprefix("/uri/")
    assert facts["ro_uri"].startswith("URI:DIR3-RO:")
    assert facts["verify_uri"].startswith("URI:DIR3-Verifier:")
    kind, child_facts = facts["children"]["file"]
    assert (kind, child_facts["size"], child_facts["format"]) == ("filenode", len(FILE), "CHK")
    assert "linkcrtime" in child_facts["metadata"]["tahoe"]
    assert facts["children"]["below"][1]["rw_uri"] == below


def test_a_read_only_directory_hands_out_nothing_that_writes(drive, top):
    drive.ask("POST", child(top, "below") + "?t=mkdir", status=201)
    drive.ask("PUT", child(top, "slot") + "?format=SLOT", FILE, 201)
    shared = f"/uri/{drive.ask('GET', top + '?t=readonly-uri')}"
    assert "rw_uri" not in json.dumps(drive.json("GET", shared + "?t=json"))
    for method, path, body in [
        ("PUT", child(shared, "new"), FILE),
        ("PUT", child(shared, "slot"), FILE),
        ("PUT", child(shared, "below", "deep", "new"), FILE),
        ("PUT", child(shared, "new") + "?t=uri", "URI:LIT:ae"),
        ("POST", child(shared, "new") + "?t=mkdir", None),
        ("POST", shared + "?t=set_children", "{}"),
        ("POST", shared + "?t=rename&from_name=slot&to_name=x", None),
        ("DELETE", child(shared, "slot"), None),
    ]:
        reply = drive.request(method, path, body, Accept="application/json")
        assert (reply.status, json.loads(reply.body)["kind"]) == (403, "ReadOnly"), (method, path, reply)


def test_a_refused_upload_is_not_read_first(drive, top):
    drive.ask("PUT", child(top, "f"), FILE, 201)
    head = f"PUT {child(top, 'f')}?replace=false HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a-token-for-tests\r\n"
    with drive.connect() as connection:
        connection.sendall(head.encode() + b"Content-Length: 900000000\r\n\r\n")
        assert connection.recv(20).startswith(b"HTTP/1.1 409 ")


def test_making_a_directory_that_is_there_gives_it(drive, top):
    made = drive.ask("POST", child(top, "a", "b") + "?t=mkdir", status=201)
    assert drive.ask("POST", child(top, "a", "b") + "?t=mkdir") == made
    assert drive.ask("POST", child(top, "a") + "?t=mkdir&name=b") == made
    drive.ask("PUT", child(top, "file"), FILE, 201)
    assert drive.request("POST", child(top, "file") + "?t=mkdir").status == 409


def test_users_of_other_grids_find_their_way(drive, top):
    assert drive.ask("PUT", "/uri?t=mkdir", b"", 201).startswith("URI:DIR3:")
    assert drive.ask("PUT", child(top, "made") + "?t=mkdir", b"", 201).startswith("URI:DIR3:")
    assert drive.ask("PUT", child(top, "slot") + "?mutable=true", FILE, 201).startswith("URI:SLOT:")
    assert drive.ask("PUT", child(top, "file") + "?mutable=false", FILE, 201).startswith("URI:CHK:")
    assert "SLOT" in drive.ask("PUT", child(top, "file") + "?format=MDMF", FILE, 400)
    assert drive.ask("POST", "/uri?t=mkdir-with-children", b"", 201).startswith("URI:DIR3:")
    assert drive.ask("POST", child(top, "empty") + "?t=mkdir-with-children", b"", 201).startswith("URI:DIR3:")
    assert drive.request("POST", "/uri?t=mkdir-immutable", b"").status == 400
    children = json.dumps({"file": ["filenode", {"ro_uri": drive.ask("PUT", "/uri", FILE)}]})
    assert drive.request("POST", f"{top}?t=set_children&overwrite=false", children).status == 409
    assert drive.ask("POST", f"{top}?t=stream-manifest") == drive.ask("GET", f"{top}?t=stream-manifest")


def test_a_capability_is_attached_by_a_form(drive, top):
    cap = drive.ask("PUT", "/uri", FILE, 201)
    query = f"?t=uri&name=linked%20here&uri={quote(cap)}"
    assert drive.ask("POST", top + query, status=201) == cap
    assert drive.ask("POST", top + query) == cap
    assert drive.ask("GET", child(top, "linked here")) == FILE.decode()
    assert drive.request("POST", top + query + "&replace=false").status == 409
    assert "name=" in drive.ask("POST", f"{top}?t=uri&uri={quote(cap)}", status=400)
    assert drive.request("POST", f"{top}?t=uri&name=a%2Fb&uri={quote(cap)}").status == 400


def test_any_names_may_stand_before_the_one_that_a_browser_is_told(drive):
    cap = drive.ask("PUT", "/uri", FILE, 201)
    for path in ("file.txt", "@@named=/file.txt", "a/b/file.txt"):
        reply = drive.request("GET", f"/named/{cap}/{path}", token=None)
        assert (reply.body, reply.headers["content-type"]) == (FILE, "text/plain; charset=utf-8")
        assert 'filename="file.txt"' in reply.headers["content-disposition"]
    assert "/named/CAP/NAME" in drive.ask("GET", f"/named/{cap}", status=404)


def test_what_else_is_asked_goes_along_to_the_capability(drive):
    reply = drive.request("GET", "/uri?filename=a%26b.txt&uri=URI:LIT:krugkidfnzsc4&save=true")
    assert reply.headers["location"] == "/uri/URI:LIT:krugkidfnzsc4?filename=a%26b.txt&save=true"


def test_directories_are_made_with_children(drive, top):
    file = drive.ask("PUT", "/uri", FILE, 201)
    children = json.dumps({"one": ["filenode", {"ro_uri": file, "metadata": {"mine": 1}}]})
    for path in ("/uri?t=mkdir-with-children", child(top, "with") + "?t=mkdir-with-children"):
        made = drive.ask("POST", path, children, 201)
        facts = drive.json("GET", f"/uri/{made}?t=json")[1]["children"]["one"][1]
        assert (facts["ro_uri"], facts["metadata"]["mine"]) == (file, 1)
    assert drive.ask("GET", child(top, "with", "one")) == FILE.decode()


def test_immutable_directories_are_files(drive, top):
    file = drive.ask("PUT", "/uri", FILE, 201)
    children = json.dumps({"one": ["filenode", {"ro_uri": file}]})
    made = drive.ask("POST", child(top, "frozen") + "?t=mkdir-immutable", children, 201)
    assert made.startswith("URI:DIR2-CHK:")
    assert drive.ask("POST", "/uri?t=mkdir-immutable", children, 201).startswith("URI:DIR2-CHK:")
    assert drive.ask("GET", child(top, "frozen", "one")) == FILE.decode()
    assert drive.request("PUT", child(top, "frozen", "two"), FILE).status == 403
    mutable = json.dumps({"one": ["dirnode", {"rw_uri": top.removeprefix("/uri/")}]})
    assert drive.request("POST", "/uri?t=mkdir-immutable", mutable).status == 400


def test_children_are_set_all_at_once(drive, top):
    file = drive.ask("PUT", "/uri", FILE, 201)
    children = {f"name {number}": ["filenode", {"ro_uri": file}] for number in range(20)}
    drive.ask("POST", top + "?t=set_children", json.dumps(children))
    assert set(drive.json("GET", top + "?t=json")[1]["children"]) == set(children)
    assert drive.request("POST", top + "?t=set-children&replace=false", json.dumps(children)).status == 409


def test_a_capability_is_attached(drive, top):
    file = drive.ask("PUT", "/uri", FILE, 201)
    assert drive.ask("PUT", child(top, "sub", "linked") + "?t=uri", file, 201) == file
    assert drive.ask("PUT", child(top, "sub", "linked") + "?t=uri", file, 200) == file
    assert drive.ask("GET", child(top, "sub", "linked")) == FILE.decode()
    assert drive.request("PUT", child(top, "bad") + "?t=uri", "URI:CHK:nonsense").status == 400
    assert drive.request("PUT", child(top, "bad") + "?t=uri&replace=perhaps", file).status == 400


def test_a_child_of_an_unknown_kind_is_kept(drive, top):
    children = {"future": ["unknown", {"rw_uri": "URI:NEW:write", "ro_uri": "URI:NEW:read"}]}
    drive.ask("POST", top + "?t=set_children", json.dumps(children))
    kind, facts = drive.json("GET", top + "?t=json")[1]["children"]["future"]
    assert (kind, facts["rw_uri"], facts["ro_uri"]) == ("unknown", "URI:NEW:write", "ro.URI:NEW:read")
    assert drive.json("GET", child(top, "future") + "?t=json")[0] == "unknown"
    assert drive.request("GET", child(top, "future")).status == 400


def test_children_are_unlinked_in_three_ways(drive, top):
    for name in ("a", "b", "c"):
        drive.ask("PUT", child(top, name), FILE, 201)
    drive.ask("DELETE", child(top, "a"))
    drive.ask("POST", top + "?t=unlink&name=b")
    drive.ask("POST", top + "?t=delete&name=c")
    assert drive.json("GET", top + "?t=json")[1]["children"] == {}
    assert drive.request("DELETE", child(top, "a")).status == 404
    assert drive.request("DELETE", top).status == 400


def test_what_is_unlinked_may_have_to_be_of_a_kind(drive, top):
    drive.ask("PUT", child(top, "file"), FILE, 201)
    drive.ask("POST", child(top, "directory") + "?t=mkdir", status=201)
    assert drive.request("DELETE", child(top, "file") + "?kind=directory").status == 409
    assert drive.request("DELETE", child(top, "directory") + "?kind=file").status == 409
    assert drive.request("DELETE", child(top, "directory") + "?kind=odd").status == 400
    drive.ask("DELETE", child(top, "directory") + "?kind=directory")


def test_children_are_renamed_and_moved(drive, top):
    drive.ask("PUT", child(top, "a"), FILE, 201)
    drive.ask("POST", top + "?t=rename&from_name=a&to_name=b%20c")
    assert drive.ask("GET", child(top, "b c")) == FILE.decode()
    below = drive.ask("POST", child(top, "below") + "?t=mkdir", status=201)
    drive.ask("POST", top + f"?t=relink&from_name=b%20c&to_dir={quote(below)}&to_name=d")
    assert drive.ask("GET", child(top, "below", "d")) == FILE.decode()
    drive.ask("POST", child(top, "below") + f"?t=relink&from_name=d&to_dir={quote(top.removeprefix('/uri/'))}")
    assert drive.ask("GET", child(top, "d")) == FILE.decode()
    drive.ask("PUT", child(top, "e"), FILE, 201)
    assert drive.request("POST", top + "?t=rename&from_name=d&to_name=e&replace=false").status == 409
    assert drive.request("POST", top + "?t=rename&from_name=none&to_name=e").status == 404
    assert drive.request("POST", top + "?t=rename&from_name=d").status == 400


def test_the_file_of_a_form_is_found_by_capability(drive):
    cap = drive.ask("PUT", "/uri", FILE, 201)
    reply = drive.request("GET", f"/uri?uri={quote(cap)}")
    assert (reply.status, reply.headers["location"]) == (302, f"/uri/{cap}")
    assert drive.request("GET", "/uri").status == 400


# --- trees -------------------------------------------------------------------------------------------------


def test_a_manifest_has_everything_once_and_ends_with_statistics(drive, top):
    drive.ask("PUT", child(top, "a", "file"), FILE, 201)
    drive.ask("PUT", child(top, "small"), b"tiny", 201)
    drive.ask("PUT", child(top, "a", "loop") + "?t=uri", top.removeprefix("/uri/"), 201)
    lines = [json.loads(line) for line in drive.ask("GET", top + "?t=stream-manifest").splitlines()]
    assert [line["path"] for line in lines[:-1]] == [[], ["a"], ["a", "file"], ["small"]]
    assert [line["type"] for line in lines] == ["directory", "directory", "file", "file", "stats"]
    assert lines[2]["size"] == len(FILE)
    assert lines[2]["verifycap"].startswith("URI:CHK-Verifier:")
    stats = lines[-1]["stats"]
    assert (stats["count-files"], stats["count-directories"], stats["size-literal-files"]) == (2, 2, 4)
    assert drive.json("GET", top + "?t=deep-stats") == stats
    sizes = sum(stats[f"size-{kind}"] for kind in ("directories", "immutable-files", "literal-files"))
    assert int(drive.ask("GET", top + "?t=deep-size")) == sizes


LOST = "URI:DIR2-CHK:aaaaaaaaaaaaaaaaaaaaaaaaaa:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:2:4:999"


def test_a_lost_directory_is_an_error_at_the_root_and_a_line_below(drive, top):
    for operation in ("stream-manifest", "deep-stats", "deep-size", "json", "zip"):
        assert drive.request("GET", f"/uri/{LOST}?t={operation}").status == 410
    drive.ask("PUT", child(top, "lost") + "?t=uri", LOST, 201)
    lines = [json.loads(line) for line in drive.ask("GET", top + "?t=stream-manifest").splitlines()]
    assert "found 0 good shares" in lines[1]["error"]
    assert lines[-1]["stats"]["count-unreadable"] == 1


def test_counting_stops_when_nobody_waits_for_it(drive, top):
    for server in drive.grid.servers:
        server.delay = 60.0
    with drive.connect() as connection:
        connection.sendall(f"GET {top}?t=deep-stats HTTP/1.0\r\n\r\n".encode())
        while not drive.run(_is_counting()):
            pass
    began = time.monotonic()
    while drive.run(_is_counting()):
        pass
    # Left alone, it would wait for the servers, or for fifteen seconds (``Patience``).
    assert time.monotonic() - began < 12, "it went on until the servers answered"


async def _is_counting() -> bool:
    return any(getattr(task.get_coro(), "__name__", "") == "_count" for task in asyncio.all_tasks())


# --- roots -------------------------------------------------------------------------------------------------


def test_the_private_root_is_made_on_first_use(drive):
    drive.ask("PUT", "/vdrive/private/a/b", FILE, 201)
    assert drive.ask("GET", "/vdrive/private/a/b") == FILE.decode()
    assert list(drive.json("GET", "/vdrive/private")[1]["children"]) == ["a"]
    assert drive.json("GET", "/vdrive?t=json")["roots"] == {"private": {"writable": True}}


def test_a_published_root_is_found_by_name(drive):
    root = drive.ask("POST", "/uri?t=mkdir", status=201)
    assert drive.request("GET", "/vdrive/global").status == 404
    signed = publish_root(KEY, "global", 1, drive.run(_parsed(root)))
    drive.ask("PUT", "/vdrive/global?t=statement", signed)
    drive.ask("PUT", "/vdrive/global/shared", FILE, 201)
    assert drive.ask("GET", f"/uri/{root}/shared") == FILE.decode()
    assert drive.json("GET", "/vdrive?t=json")["roots"]["global"]["writable"] is True
    assert drive.request("PUT", "/vdrive/global?t=statement", signed).status == 409
    assert drive.request("PUT", "/vdrive/other?t=statement", signed).status == 400
    assert drive.request("PUT", "/vdrive/global?t=statement", b"nonsense").status == 400


def test_things_move_from_root_to_root(drive):
    drive.ask("PUT", "/vdrive/private/a", FILE, 201)
    drive.ask("POST", "/vdrive/private/b?t=mkdir", status=201)
    drive.ask("POST", "/vdrive/private?t=relink&from_name=a&to_dir=root:private/b")
    assert drive.ask("GET", "/vdrive/private/b/a") == FILE.decode()


@pytest.mark.parametrize(("method", "path"), [("GET", "/vdrive/private"), ("GET", "/vdrive?t=json"), ("GET", "/jobs")])
def test_the_nodes_own_roots_need_its_authority(drive, method, path):
    assert drive.request(method, path, token=None).status == 401


def test_reading_by_capability_needs_no_token_and_writing_does(drive, top):
    drive.ask("PUT", child(top, "f"), FILE, 201)
    assert drive.request("GET", child(top, "f"), token=None).status == 200
    assert drive.request("PUT", child(top, "f"), FILE, token=None).status == 401
    assert drive.request("DELETE", child(top, "f"), token=None).status == 401


async def _parsed(text):
    from tahoe.codec.capability import parse  # noqa: PLC0415  # only this test needs it

    return parse(text)
