from pathlib import Path

import pytest
from made_rows import DictRows

from groundtune.chunks.engines.store import RowStore
from groundtune.chunks.store import Store
from groundtune.chunks.store_lance import LanceStore
from groundtune.chunks.store_memory import MemoryStore
from groundtune.testing.store_contract import StoreContract


class TestMemoryStore(StoreContract):
    cases = 80

    @pytest.fixture(autouse=True)
    def _one(self) -> None:
        self.one = MemoryStore()

    def store(self) -> Store:
        return self.one


class TestRowStore(StoreContract):
    """Versions as numbers in rows, over a dictionary."""

    cases = 80

    @pytest.fixture(autouse=True)
    def _one(self) -> None:
        self.one = RowStore(DictRows())

    def store(self) -> Store:
        return self.one


class TestLanceStore(StoreContract):
    cases = 8

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def store(self) -> Store:
        return LanceStore(self.folder / "lance")

    def opener(self) -> str:
        return (
            "from pathlib import Path; from groundtune.chunks.store_lance import LanceStore\n"
            f"store = LanceStore(Path({str(self.folder / 'lance')!r}))"
        )
