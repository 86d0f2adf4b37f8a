"""A pytest plugin: the fixture `etgraph_trace` records a run, `assert_no_regression` checks it beside a baseline.

    from etgraph.alerts.pytest_plugin import assert_no_regression

    def test_step(etgraph_trace):
        with etgraph_trace("step", warmup=2, steps=5) as recording:
            for batch in batches:
                train(batch)
                recording.step()
        assert_no_regression(recording, baseline="gpt@baseline", rules="perf.toml")

pytest loads this module in every run of an environment that has etgraph. So it imports nothing that pytest has not
loaded already, and does nothing until a test asks for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from etgraph.ingest.record import Recording

    Reference = str | os.PathLike[str] | Recording
    """What can be checked: a path, a reference to a trace of the store, or what `etgraph_trace` has recorded."""

Record = Callable[..., AbstractContextManager["Recording"]]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where traces are kept; without it they go with pytest's temporary folders."""
    parser.getgroup("etgraph").addoption(
        "--etgraph-traces", metavar="DIR", help="keep what the fixture etgraph_trace records, a folder for each test"
    )


@pytest.fixture
def etgraph_trace(request: pytest.FixtureRequest) -> Record:
    """Record what a block runs: `etgraph_trace(name, **options)`, with the options of `etgraph.ingest.record.record`.

    The whole block is one step where neither `steps` nor anything else is said. Leaving the block raises RecordingError
    where nothing was recorded: a test that checks no trace must not pass.
    """
    kept = request.config.getoption("--etgraph-traces")
    if kept:
        # Ids of tests have slashes, brackets and what parameters hold.
        place = Path(kept) / re.sub(r"[^\w.-]+", "-", request.node.nodeid).strip("-")[-150:]
    else:
        place = request.getfixturevalue("tmp_path") / "etgraph-traces"

    @contextmanager
    def recording(name: str = "trace", **options: Any) -> Iterator[Recording]:
        from etgraph.ingest.record import record

        plan = {"wait": 0, "warmup": 0, "steps": 1, "overwrite": bool(kept)} | options
        with record(place / name, **plan) as recorded:
            yield recorded
        if recorded.error is not None:
            raise recorded.error

    return recording


def assert_no_regression(
    trace: Reference | Sequence[Reference],
    baseline: Reference | Sequence[Reference] = (),
    rules: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    *,
    workload: str | None = None,
    fail_on_undecided: bool = False,
    store: str | None = None,
) -> None:
    """Check runs by rules as `etgraph check` does: AssertionError with its report where they are broken.

    Several traces are runs of one side. Without `rules` those that come with etgraph apply, without `baseline` what
    needs none of them. What cannot be compared is an AssertionError too; a wrong rule, a trace that is missing or
    damaged and a store that cannot be used are a CheckError.
    """
    __tracebackhide__ = True
    from etgraph.alerts.calling import called

    report = called(
        _all(trace),
        baseline=_all(baseline),
        rules=_all(rules),
        workload=workload,
        fail_on_undecided=fail_on_undecided,
        store=store,
    )
    if report is not None:
        raise AssertionError(report)  # its first line is what pytest's summary shows


def _all(named: Any) -> list[str]:
    """References as the command line takes them."""
    if isinstance(named, (str, os.PathLike)) or hasattr(named, "folder"):
        named = [named]
    return [os.fspath(getattr(each, "folder", each)) for each in named]


__all__ = ["assert_no_regression", "etgraph_trace"]
