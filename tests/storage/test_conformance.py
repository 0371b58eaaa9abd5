"""All stores keep the same contract."""

from __future__ import annotations

import pytest

from tahoe.storage.disk import DiskStore
from tahoe.storage.faulty import FaultyStore
from tahoe.storage.filesystem import RealFileSystem, VolatileFileSystem
from tahoe.storage.memory import MemoryStore
from tests.storage.conformance import StoreConformance


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def build(self):
        return MemoryStore


class TestDiskStore(StoreConformance):
    @pytest.fixture
    def build(self, tmp_path):
        return lambda options: DiskStore(RealFileSystem(tmp_path / "storage"), options).open()


class TestDiskStoreWithFewFilesOpen(StoreConformance):
    @pytest.fixture
    def build(self, tmp_path):
        return lambda options: DiskStore(RealFileSystem(tmp_path / "storage"), options, open_files=1).open()


class TestDiskStoreOnTheVolatileTwin(StoreConformance):
    @pytest.fixture
    def build(self):
        return lambda options: DiskStore(VolatileFileSystem(), options).open()


class TestFaultyStoreWithoutFaults(StoreConformance):
    @pytest.fixture
    def build(self):
        return lambda options: FaultyStore(MemoryStore(options))
