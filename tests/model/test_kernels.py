"""A kernel is one function in two modes: plain for small inputs, compiled for large ones."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etgraph.model import kernels
from etgraph.model.kernels import COMPILE_FROM, kernel


@kernel
def running_sum(values: Any, start: int) -> Any:
    """Sums up to each value."""
    total = start
    sums = np.empty(len(values), dtype=np.int64)
    for i in range(len(values)):
        total += values[i]
        sums[i] = total
    return sums


def test_a_kernel_keeps_name_and_docstring() -> None:
    assert (running_sum.__name__, running_sum.__doc__) == ("running_sum", "Sums up to each value.")


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_both_modes_give_the_same(count: int) -> None:
    values = np.arange(count)
    assert running_sum.python(values, 5).tolist() == running_sum.compiled(values, 5).tolist()


def test_mapped_arrays_may_be_read_only() -> None:
    values = np.arange(10)
    values.flags.writeable = False
    assert running_sum.compiled(values, 0)[-1] == 45


def test_arguments_may_be_named() -> None:
    assert running_sum.compiled(start=1, values=np.arange(3)).tolist() == [1, 2, 4]
    assert running_sum(start=1, values=np.arange(3)).tolist() == [1, 2, 4]


@pytest.mark.parametrize(("count", "mode"), [(COMPILE_FROM - 1, "python"), (COMPILE_FROM, "compiled")])
def test_the_longest_argument_decides(count: int, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = kernel(running_sum.python)
    monkeypatch.setattr(asked, mode, lambda *args, **kwargs: mode)
    assert asked(np.zeros(count, dtype=np.int64), 0) == mode
    assert asked(start=0, values=np.zeros(count, dtype=np.int64)) == mode


def test_compiling_needs_no_writable_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    with kernels._compile_lock():
        pass


def test_a_small_graph_does_not_import_numba() -> None:
    script = """
        import sys
        import numpy as np
        from etgraph.model.graph import topological_order

        order, cycle = topological_order(3, np.array([0, 1]), np.array([1, 2]))
        print(order.tolist(), sorted({"numba", "pandas", "networkx", "msgspec"} & set(sys.modules)))
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout == "[0, 1, 2] []\n"
