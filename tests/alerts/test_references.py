"""What the name of a baseline means, in either store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from etgraph.alerts.references import Library, baseline_runs, check_references
from etgraph.alerts.rules import loads
from etgraph.alerts.runs import Run
from etgraph.model.errors import NotFound, UsageError
from etgraph.store import Store, connect
from support.steps import steps

RULE = """
[[rules]]
id = "operators"
metric = 'sum(changes[kind="operator"].added)'
budget = {max = 0}
"""


@pytest.fixture(params=["local", pytest.param("neo4j", marks=pytest.mark.neo4j)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store of each backend with the runs 100, 101, … of a workload, the odd ones of branch work."""
    opened = connect(tmp_path / "store") if request.param == "local" else request.getfixturevalue("new_neo4j_store")()
    with opened as store:
        for time in range(100, 105):
            branch = "work" if time % 2 else "main"
            store.publish(steps([time, 100]), workload="gpt", branch=branch, labels={"time": str(time)})
        yield store


def library_of(store: Store) -> Library:
    """What opens references of a store."""

    def opened(reference: str) -> Run:
        entry = store.find(reference)
        return Run(reference, store.load(entry.id), None, entry)

    return Library(opened, lambda workload: store.traces(workload=workload))


def times(runs: tuple[Run, ...]) -> list[int]:
    """The first step of every run."""
    return [int(run.trace.iterations["end_ns"][0] - run.trace.iterations["start_ns"][0]) for run in runs]


def test_baselines_are_earlier_runs_never_the_one_that_is_checked(store: Store) -> None:
    library = library_of(store)

    def found(name: str, run: str = "gpt@time=104") -> list[int]:
        return times(baseline_runs(name, [library.open(run)], library))

    assert found("gpt@time=102") == [102]
    assert found("last:2") == [102, 103]  # the oldest first
    assert found("last:9") == [100, 101, 102, 103]
    assert found("last:9:work") == [101, 103]
    assert found("last:9", "gpt@time=102") == [100, 101]
    assert found("branch:main") == [102]
    assert found("branch:work") == [103]
    assert found("branch:main", "gpt@time=101") == [104]  # the newest, whenever the run was
    for name, run in (("last:1", "gpt@time=100"), ("branch:other", "gpt"), ("last:3:other", "gpt")):
        with pytest.raises(NotFound, match="has no"):
            found(name, run)
    for name in ("last:0", "last:x", "last:", "last:1001"):
        with pytest.raises(UsageError, match="expected last:N"):
            found(name)


def test_the_workload_is_that_of_what_is_checked_or_the_one_that_is_named(store: Store) -> None:
    library = library_of(store)
    path = Run("file", steps([300]))
    with pytest.raises(UsageError, match="found no stored trace of a workload to check") as caught:
        baseline_runs("last:1", [path], library)
    assert "--workload" in str(caught.value.hint)
    assert times(baseline_runs("last:2", [path], library, "gpt")) == [103, 104]
    one = library.open("gpt")
    assert one.info is not None
    other = replace(one, info=replace(one.info, workload="dlrm"))
    with pytest.raises(UsageError, match="found traces of dlrm, gpt"):
        baseline_runs("last:1", [one, other], library)


def test_a_check_of_references(store: Store) -> None:
    store.publish(steps([100, 100], extra="aten::ones"), workload="gpt", branch="work")
    result = check_references(library_of(store), ["gpt"], loads(RULE), baseline=["last:3"])
    (finding,) = result.findings
    assert (result.status, finding.baseline_runs) == ("regressed", 3)
    assert [each.key for each in finding.responsible] == ["aten::ones"]
    assert len(result.baseline) == 3
    assert finding.command == f"etgraph compare {result.baseline[0]} gpt --base {' --base '.join(result.baseline[1:])}"


def test_a_run_that_is_named_twice_is_one_run(store: Store) -> None:
    library, rules = library_of(store), loads(RULE)
    one, other = "gpt@time=104", "gpt@time=101"
    (finding,) = check_references(library, [one, one], rules, baseline=["last:3", other, "gpt@time=102"]).findings
    assert (finding.runs, finding.baseline_runs) == (1, 3)


def test_steps_of_one_run_are_no_several_runs() -> None:
    trace = steps([100, 101, 102, 103])
    library = Library(lambda name: Run(name, trace, (int(name[-1]),)), lambda workload: ())
    with pytest.raises(UsageError) as caught:
        check_references(library, ["run#0"], loads(RULE), baseline=["run#1", "run#2"])
    assert "run#1 and run#2 are steps of one run" in str(caught.value)
