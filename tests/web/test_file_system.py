"""The grid as fsspec sees it: its own suite for file systems, and what is ours."""

from __future__ import annotations

from itertools import count

import fsspec
import pandas as pd
import pytest
from fsspec.tests import abstract

from tahoe.fs import TahoeFileSystem
from tahoe.protocol import Encoding
from tests.web.conftest import TOKEN, running_drive


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """One server is enough to be a file system on."""
    with running_drive(tmp_path_factory.mktemp("drive"), 1, Encoding(1, 1, 1)) as running:
        yield running


@pytest.fixture(scope="module")
def options(drive, tmp_path_factory):
    """Say which gateway, and with which token."""
    token = tmp_path_factory.mktemp("node") / "token"
    token.write_text(TOKEN)
    return {"node_url": drive.server.url, "token_file": token}


@pytest.fixture(scope="module")
def files(options):
    return fsspec.filesystem("tahoe", **options)


CASES = count()


class Fixtures(abstract.AbstractFixtures):
    @pytest.fixture
    def fs(self, files):
        return files

    @pytest.fixture
    def fs_join(self):
        return lambda *parts: "/".join(parts)

    @pytest.fixture
    def fs_path(self, files):
        path = f"private/case {next(CASES)}"
        files.mkdir(path)
        return path


class TestCopy(abstract.AbstractCopyTests, Fixtures):
    pass


class TestGet(abstract.AbstractGetTests, Fixtures):
    pass


class TestPut(abstract.AbstractPutTests, Fixtures):
    pass


class TestPipe(abstract.AbstractPipeTests, Fixtures):
    pass


class TestOpen(abstract.AbstractOpenTests, Fixtures):
    pass


def test_the_scheme_leads_here(options):
    with fsspec.open("tahoe://private/by scheme.txt", "w", **options) as file:
        file.write("found")
    assert isinstance(fsspec.filesystem("tahoe", **options), TahoeFileSystem)
    assert fsspec.open("tahoe://private/by scheme.txt", **options).open().read() == b"found"


def test_a_large_file_is_written_in_a_stream_and_read_in_ranges(files):
    data = bytes(range(256)) * 40_000
    with files.open("private/large", "wb", block_size=1 << 20) as file:
        for begin in range(0, len(data), 300_000):
            file.write(data[begin : begin + 300_000])
    assert files.info("private/large")["size"] == len(data)
    assert files.cat_file("private/large", 5_000_000, 5_000_100) == data[5_000_000:5_000_100]
    assert files.cat_file("private/large", -10) == data[-10:]
    assert files.cat_file("private/large", len(data) + 5, len(data) + 9) == b""
    with files.open("private/large", cache_type="none") as file:
        file.seek(9_999_990)
        assert file.read(20) == data[9_999_990:10_000_010]


def test_a_file_whose_writer_fails_never_appears(files):
    def write_half() -> None:
        with files.open("private/half", "wb", block_size=1000) as file:
            file.write(bytes(5000))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert not files.exists("private/half")


def test_files_of_a_transaction_appear_at_its_end(files):
    with files.transaction:
        with files.open("private/in transaction", "wb") as file:
            file.write(b"all or nothing")
        assert not files.exists("private/in transaction")
    assert files.cat_file("private/in transaction") == b"all or nothing"


def test_a_copy_is_a_link_to_the_same_contents(files):
    files.pipe_file("private/one", b"contents" * 100)
    files.cp_file("private/one", "private/other")
    assert files.info("private/other")["ro_uri"] == files.info("private/one")["ro_uri"]
    assert files.ukey("private/other") == files.ukey("private/one")


def test_a_copy_of_a_mutable_file_is_a_file_of_its_own(drive, files):
    drive.ask("PUT", "/vdrive/private/slot?format=SLOT", b"first", 201)
    files.cp_file("private/slot", "private/copy of slot")
    files.pipe_file("private/slot", b"second")
    assert files.cat_file("private/slot") == b"second"
    assert files.cat_file("private/copy of slot") == b"first"
    assert {each["name"]: each["size"] for each in files.ls("private")}["private/slot"] == len(b"second")


def test_moving_is_linking_anew(files):
    files.pipe("private/moving/a", b"a")
    files.mv("private/moving/a", "private/moved/deeper/b")
    assert files.cat_file("private/moved/deeper/b") == b"a"
    assert files.ls("private/moving", detail=False) == []
    with pytest.raises(IsADirectoryError):
        files.mv("private/moved", "private/elsewhere")
    files.mv("private/moved", "private/elsewhere", recursive=True)
    assert files.find("private/elsewhere") == ["private/elsewhere/deeper/b"]


def test_a_capability_is_a_root_too(drive, files, options):
    files.pipe("private/shared/file", b"for a friend")
    reading = drive.ask("GET", "/vdrive/private/shared?t=readonly-uri")
    url = f"tahoe://{reading}/file"
    assert fsspec.open(url, **options).open().read() == b"for a friend"
    with pytest.raises(PermissionError):
        files.pipe_file(f"{reading}/new", b"no")


def test_what_goes_wrong_is_said_as_python_says_it(files):
    files.pipe_file("private/a file", b"1")
    files.makedirs("private/full/inner", exist_ok=True)
    with pytest.raises(FileNotFoundError):
        files.cat_file("private/nothing")
    with pytest.raises(FileNotFoundError):
        files.mkdir("private/no/parent", create_parents=False)
    with pytest.raises(FileExistsError):
        files.mkdir("private/a file")
    with pytest.raises(NotADirectoryError):
        files.makedirs("private/a file/below")
    with pytest.raises(OSError, match="not empty"):
        files.rmdir("private/full")
    with pytest.raises(IsADirectoryError):
        files.rm("private/full")
    with pytest.raises(NotImplementedError):
        files.open("private/a file", "ab").close()
    with pytest.raises(ConnectionError, match="no gateway listens"):
        TahoeFileSystem(node_url="http://127.0.0.1:1/", skip_instance_cache=True).ls("private")


def test_tables_go_to_the_grid_and_come_back(options):
    table = pd.DataFrame({"servers": [10, 20], "nines": [6.5, 9.25]})
    table.to_parquet("tahoe://private/data.parquet", storage_options=options)
    assert pd.read_parquet("tahoe://private/data.parquet", storage_options=options).equals(table)


def test_the_roots_are_in_the_empty_path(files):
    assert "private" in files.ls("", detail=False)
    assert files.isdir("")


def test_times_are_those_of_links(files):
    files.pipe_file("private/timed", b"1")
    assert files.created("private/timed") <= files.modified("private/timed")
    with pytest.raises(OSError, match="nothing links to a root"):
        files.created("private")
