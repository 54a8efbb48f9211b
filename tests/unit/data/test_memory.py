"""Free memory: of the machine, and of a container with a limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmdl.data import memory

GIB = 1 << 30


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 8 GiB available and no container around."""
    (tmp_path / "meminfo").write_text(
        f"MemTotal: {16 << 20} kB\nMemFree: {1 << 20} kB\nMemAvailable:   {8 << 20} kB\n"
    )
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    return tmp_path


def contain(system: Path, limit: str) -> None:
    (system / "memory.max").write_text(f"{limit}\n")
    (system / "memory.current").write_text(f"{3 * GIB}\n")
    (system / "memory.stat").write_text(f"anon 5\ninactive_file {GIB}\nactive_file 7\n")


def test_files_in_the_systems_cache_count_as_free(system: Path) -> None:
    assert memory.available_memory() == 8 * GIB


@pytest.mark.parametrize(
    ("limit", "free"), [("max", 8 * GIB), (str(100 * GIB), 8 * GIB), (str(4 * GIB), 2 * GIB), (str(GIB), 0)]
)
def test_a_containers_limit_counts(system: Path, limit: str, free: int) -> None:
    contain(system, limit)
    assert memory.available_memory() == free


def test_a_system_without_either(system: Path) -> None:
    (system / "meminfo").unlink()
    assert memory.available_memory() > 0


def test_this_machine() -> None:
    assert 0 < memory.available_memory() < 1 << 50
