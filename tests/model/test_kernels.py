"""A kernel is one function in two modes: plain for small inputs, compiled for large ones."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from etgraph.model import kernels
from etgraph.model.kernel_tables import bare
from etgraph.model.kernels import COMPILE_FROM, kernel, part


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


class Tables(NamedTuple):
    """A table of records and one of numbers."""

    accounts: Any
    numbers: Any


def tables() -> Tables:
    """Three accounts."""
    accounts = np.zeros(3, dtype=[("held", np.int64), ("moves", np.int32)]).view(np.recarray)
    return Tables(accounts, np.zeros(2, dtype=np.int16))


@part
def pay(all: Tables, account: int, amount: int) -> int:
    """Changes a record and a number, and reads both."""
    row = all.accounts[account]
    row.held += amount
    row.moves += 1
    all.numbers[1] -= 1
    return int(all.accounts[account].held + all.numbers[1] + len(all.accounts))


@part
def twice(all: Tables, account: int) -> int:
    """A part that calls another."""
    return pay(all, account, 5) + pay(all, account, 6)


@kernel
def pay_all(all: Tables) -> int:
    """Calls parts with bare tables."""
    each = bare(all)
    total = 0
    for account in range(len(each.accounts)):
        total += twice(each, account)
    return total


def test_parts_change_the_same_tables_in_both_modes() -> None:
    plain, compiled = tables(), tables()
    assert pay_all.run(False, plain) == pay_all.run(True, compiled) == pay_all(tables())
    assert plain.accounts.held.tolist() == compiled.accounts.held.tolist() == [11, 11, 11]
    assert plain.accounts.moves.tolist() == compiled.accounts.moves.tolist() == [2, 2, 2]
    assert plain.numbers.tolist() == compiled.numbers.tolist() == [0, -6]


def test_the_longest_table_of_a_tuple_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = kernel(pay_all.python)
    monkeypatch.setattr(asked, "compiled", lambda *args: "compiled")
    long = tables()._replace(numbers=np.zeros(COMPILE_FROM, dtype=np.int16))
    assert asked(long) == "compiled"


def test_a_changed_part_is_compiled_again(tmp_path: Path) -> None:
    (tmp_path / "its_kernel.py").write_text(
        "from etgraph.model.kernels import kernel\nfrom its_part import answer\n\n"
        "@kernel\ndef ask(values):\n    return answer(values) + 0\n"
    )
    script = "import numpy as np, its_kernel; print(its_kernel.ask.compiled(np.zeros(1)))"
    answers = []
    for number in (41, 1042):
        (tmp_path / "its_part.py").write_text(
            f"from etgraph.model.kernels import part\n\n@part\ndef answer(values):\n    return {number}\n"
        )
        run = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120, cwd=tmp_path
        )
        answers.append(int(run.stdout))
    assert answers == [41, 1042]
