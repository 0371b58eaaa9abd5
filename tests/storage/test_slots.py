"""All stores of slots keep the same contract."""

from __future__ import annotations

import pytest

from tahoe.storage.disk import DiskStore
from tahoe.storage.diskslots import DiskSlotStore
from tahoe.storage.filesystem import RealFileSystem, VolatileFileSystem
from tahoe.storage.memory import MemoryStore
from tests.storage.slotconformance import SlotStoreConformance


class TestMemorySlotStore(SlotStoreConformance):
    @pytest.fixture
    def build(self):
        return MemoryStore


class TestDiskSlotStore(SlotStoreConformance):
    @pytest.fixture
    def build(self, tmp_path):
        return lambda options: DiskStore(RealFileSystem(tmp_path / "storage"), options).open()


class TestDiskSlotStoreOnTheVolatileTwin(SlotStoreConformance):
    @pytest.fixture
    def build(self):
        return lambda options: DiskStore(VolatileFileSystem(), options).open()


class TestDiskSlotStoreThatRemembersLittle(SlotStoreConformance):
    @pytest.fixture
    def build(self, monkeypatch):
        monkeypatch.setattr(DiskSlotStore.__init__, "__defaults__", (20,))
        return lambda options: DiskStore(VolatileFileSystem(), options).open()
