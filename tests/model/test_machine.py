"""How many processors and how much memory there are, with the limits of control groups."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from etgraph.model.machine import free_memory, processors

GIB = 1 << 30


@pytest.fixture(autouse=True)
def _eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of eight processors."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 8, raising=False)


def groups(root: Path, own: str, files: dict[str, str]) -> Path:
    """A file system with a process in some control groups."""
    for name, text in {"proc/self/cgroup": own, **{f"sys/fs/cgroup/{n}": t for n, t in files.items()}}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/", {}, 8),
        ("0::/", {"cpu.max": "max 100000"}, 8),
        ("0::/", {"cpu.max": "300000 100000"}, 3),
        ("0::/", {"cpu.max": "150000 100000"}, 2),
        ("0::/", {"cpu.max": "20000 100000"}, 1),
        ("0::/", {"cpu.max": "9000000 100000"}, 8),
        ("0::/", {"cpu.max": "0 0"}, 8),
        ("0::/", {"cpu.max": "nonsense"}, 8),
        # the group's own, and those around it
        ("0::/pod/main", {"pod/main/cpu.max": "500000 100000", "pod/cpu.max": "200000 100000"}, 2),
        ("0::/pod/main", {"pod/main/cpu.max": "max 100000", "other/cpu.max": "100000 100000"}, 8),
        # the path outside of a container, which is not there inside
        ("0::/docker/abc", {"cpu.max": "400000 100000"}, 4),
        ("0::/../../x", {"cpu.max": "400000 100000"}, 4),
        ("3:cpu,cpuacct:/a", {"cpu/a/cpu.cfs_quota_us": "200000", "cpu/a/cpu.cfs_period_us": "100000"}, 2),
        ("3:cpu,cpuacct:/a", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, 8),
        ("3:cpuset:/a\n1:memory:/a", {"cpuset/a/cpu.cfs_quota_us": "1", "cpuset/a/cpu.cfs_period_us": "1"}, 8),
        ("what is this", {}, 8),
    ],
)
def test_processors(tmp_path: Path, own: str, files: dict[str, str], expected: int) -> None:
    assert processors(groups(tmp_path, own, files)) == expected


def test_processors_that_the_process_is_bound_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5, 6}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert processors(tmp_path) == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert processors(tmp_path) == 8
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors(tmp_path) == 1


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/", {}, 64),
        ("0::/", {"memory.max": "max", "memory.current": str(GIB)}, 64),
        ("0::/", {"memory.max": str(9 * GIB), "memory.current": str(2 * GIB)}, 7),
        ("0::/a", {"a/memory.max": str(9 * GIB), "a/memory.current": str(2 * GIB),
                   "a/memory.stat": f"anon 5\ninactive_file {GIB}"}, 8),
        ("0::/", {"memory.max": str(GIB), "memory.current": str(2 * GIB)}, 0),
        ("4:memory:/a", {"memory/a/memory.limit_in_bytes": str(5 * GIB), "memory/a/memory.usage_in_bytes": "0"}, 5),
    ],
)  # fmt: skip
def test_free_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, files: dict[str, str], expected: int
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 64 * GIB}))
    assert free_memory(groups(tmp_path, own, files)) == expected * GIB


def test_this_machine() -> None:
    assert 1 <= processors() <= 8
    assert 0 < free_memory() <= psutil.virtual_memory().total
