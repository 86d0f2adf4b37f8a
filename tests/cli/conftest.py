"""A session without a store, so that tests see what the commands themselves do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from etgraph.cli.main import main
from etgraph.cli.session import Diagnosis, Failure, Ingested
from etgraph.cli.settings import Settings
from etgraph.model import Report, Source, Trust
from etgraph.model.errors import InputError
from etgraph.model.progress import Progress
from etgraph.queries import Simulations, library
from etgraph.queries.critical_path import CategoryShare, CriticalPath, IterationShare, OperatorShare, RankShare
from etgraph.queries.lateness_patterns import Pattern
from etgraph.queries.slack import Slack, SlackBand
from etgraph.queries.stragglers import Arrival, Cause, LateRendezvous, RankLateness, Stragglers
from etgraph.sim.simulation import Simulation
from etgraph.store import Check, IterationInfo, TraceInfo
from etgraph.store.protocol import CypherResult
from support.build import build
from support.predictions import predicted

STORED = TraceInfo(
    id="1f0c9a" + "7" * 58,
    revision=1,
    created="2026-01-05T12:30:00+00:00",
    workload="gpt",
    team="ads",
    commit="abcdef0123456789",
    branch="main",
    labels={"gpus": "8"},
    tags=("baseline",),
    ranks=(0, 1, 2, 3),
    operators=12_345,
    dependencies={"CALL": 9000, "LAUNCH": 700, "COLLECTIVE": 12},
    collectives=12,
    world_size=8,
    device_model="NVIDIA H100",
    start_time="2026-01-05T12:00:00+00:00",
    span_ns=45_600_000,
    iterations=(IterationInfo(0, "ProfilerStep#5", 0, 20_000_000), IterationInfo(1, "ProfilerStep#6", None, None)),
    report=Report(
        host_operators=11_000, device_operators=1_345, launched_device_operators=1_340, collectives_matched=11,
        collectives_unmatched=1, counts={"flows": 3}, warnings=("4 of 8 ranks are recorded",),
    ),
    sources=(Source("rank0.json.gz", "kineto", 0, 2_500_000, "ab" * 32, "file name"),),
    bytes=1_200_000,
)  # fmt: skip


PATH = CriticalPath(
    start_ns=1_000,
    end_ns=11_000,
    window_ns=10_000,
    length_ns=10_000,
    by_category=(
        CategoryShare("computation", "kernel", 7_500, 0.75),
        CategoryShare("idle", "unexplained", 2_500, 0.25),
    ),
    by_rank=(RankShare(0, 10_000),),
    by_iteration=(IterationShare(None, 10_000, 1.0, 1_000, 11_000),),
    by_operator=tuple(OperatorShare(f"kernel_{number}", "COMP", 1, 100, 0.01) for number in range(12)),
    segments=pa.table(
        {
            "rank": [0, 0],
            "lane": ["stream 7", None],
            "index": [4, None],
            "name": ["[gemm]\x1b[31m", None],
            "category": ["computation", "idle"],
            "detail": ["kernel", "unexplained"],
            "start_ns": [1_000, 8_500],
            "end_ns": [8_500, 11_000],
            "via": ["STREAM", None],
            "source": ["train.py:12", None],
        }
    ),
    trust=Trust(explained_share=0.75, warnings=("4 of 8 ranks are recorded",)),
)


SLACK = Slack(
    length_ns=8_000,
    measured_ns=10_000,
    critical_count=2,
    by_slack=(SlackBand(0, 1, 2), SlackBand(1_000, 10_000, 5), SlackBand(10**9, None, 1)),
    by_category=(CategoryShare("computation", "kernel", 8_000, 1.0),),
    by_rank=(RankShare(0, 3_000), RankShare(1, 5_000)),
    by_operator=(OperatorShare("[gemm]", "COMP", 2, 8_000, 1.0),),
    segments=pa.table(
        {
            "rank": [0, 1],
            "lane": ["stream 7", None],
            "index": [4, 6],
            "name": ["[gemm]\x1b[31m", "[gemm]\x1b[31m"],
            "kind": ["COMP", "COMP"],
            "start_ns": [0, 3_000],
            "end_ns": [3_000, 8_000],
            "via": [None, "DATA"],
        }
    ),
    operators=pa.table(
        {
            "rank": [0],
            "index": [4],
            "node_id": ["18446744073709551615"],
            "name": ["[gemm]"],
            "earliest_start_ns": [0],
            "earliest_end_ns": [3_000],
            "latest_start_ns": [0],
            "latest_end_ns": [3_000],
            "slack_ns": [0],
        }
    ),
    trust=Trust(warnings=("4 of 8 ranks are recorded",)),
)


STRAGGLERS = Stragglers(
    summary="Rank 7 is last in 5 of 8 rendezvous at which ranks waited",
    wait_ns=10_000_000,
    communication_ns=12_500_000,
    wait_share=0.8,
    judged=40,
    unjudged=2,
    by_rank=tuple(RankLateness(rank, rank, 5_000 * rank, 1_000, 0, 8) for rank in range(64)),
    patterns=(Pattern("same-rank", (7,), 75_000, 0.75, "rank 7\x1b[31m is last in 5 of 8"),),
    collectives=tuple(
        LateRendezvous(
            number, "ALL_REDUCE", "tp\x1b[31m", 4_000_000, 1, (0, 7), 7, 30_000 + number,
            (Arrival(0, 100, 10_000), Arrival(7, 0, 30_000)), 100, 25_000, 40, number - 1 if number else None,
            60 + number,
            (
                Cause("computation", "cpu-kernel", "aten::a_name_that_has_no_room_in_a_table_of_eighty", 900, 12),
                Cause("idle", "host-gap", None, 80, None),
            ),
        )
        for number in range(40)
    ),
    trust=Trust(explained_share=0.75, warnings=("4 of 8 ranks are recorded",)),
)  # fmt: skip


ROWS = CypherResult(
    ("name", "ns", "part"),
    (["[gemm]\x1b[31m", "größe", None], [1_500, None, 2], [[1, {"a": None}], True, 0.25]),
    warnings=("label does not exist",),
)


ANSWER = library.Answer(
    library.load("longest_operators"),
    ([0, 1], [4, 7], ["[gemm]\x1b[31m", "add"], ["COMP", "COMP"], ["KERNEL", "KERNEL"], [1_000, None], [2_500_000, 812],
     ["model/layer", None]),
)  # fmt: skip


@dataclass
class FakeSession:
    """Remembers what it was asked, answers with one stored trace, or raises `error`."""

    entry: TraceInfo = STORED
    answers: dict[str, Any] = field(
        default_factory=lambda: {"critical-path": PATH, "slack": SLACK, "stragglers": STRAGGLERS}
    )
    rows: CypherResult = ROWS
    answer: library.Answer = ANSWER
    simulation: Simulation = field(default_factory=lambda: predicted(build("rank 0 | stream 7 | gemm 0..10")))
    error: BaseException | None = None
    diagnosis: Diagnosis = field(default_factory=lambda: Diagnosis((Check("store", True, "in order"),)))
    ingested: Ingested | None = None
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    url: str = "fake://store"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.asked.append(("close",))

    def _ask(self, *question: Any) -> None:
        self.asked.append(question)
        if self.error is not None:
            raise self.error

    def ingest(self, paths: Sequence[Path], *, progress: Progress | None = None, **options: Any) -> Ingested:
        self._ask("ingest", [str(path) for path in paths], options)
        return self.ingested or Ingested((self.entry,))

    def traces(self, **conditions: Any) -> list[TraceInfo]:
        self._ask("traces", conditions)
        return [] if conditions["workload"] == "nothing" else [self.entry]

    def workloads(self, team: str | None = None) -> Any:
        self._ask("workloads", team)
        return self.answers["workloads"]

    def show(self, reference: str) -> TraceInfo:
        self._ask("show", reference)
        return self.entry

    def find(self, reference: str) -> TraceInfo:
        self._ask("find", reference)
        return self.entry

    def remove(self, reference: str) -> TraceInfo:
        self._ask("remove", reference)
        return self.entry

    def tag(self, reference: str, name: str) -> TraceInfo:
        self._ask("tag", reference, name)
        return replace(self.entry, tags=(*self.entry.tags, name))

    def untag(self, workload: str, name: str) -> None:
        self._ask("untag", workload, name)

    def label(self, reference: str, labels: Mapping[str, str]) -> TraceInfo:
        self._ask("label", reference, dict(labels))
        return replace(self.entry, labels={**self.entry.labels, **labels})

    def ask(self, question: str, reference: str, **options: Any) -> Any:
        self._ask(question, reference, options)
        return self.answers[question]

    def ask_several(self, question: str, *references: Sequence[str], **options: Any) -> Any:
        self._ask(question, *references, options)
        return self.answers[question]

    def simulate(self, reference: str, simulator: str, /, *, save: bool = False, **inputs: Any) -> Simulation:
        self._ask("simulate", reference, simulator, save, inputs)
        return self.simulation

    def simulations(self, reference: str, *, operators: bool = False, score: bool = False) -> Simulations:
        self._ask("simulations", reference, operators, score)
        return Simulations(self.entry.id, (), (), None, Trust())

    def cypher(self, text: str, parameters: Mapping[str, Any] | None = None, **options: Any) -> CypherResult:
        self._ask("cypher", text, parameters, options)
        return self.rows

    def query(self, name: str, values: Mapping[str, Any], **options: Any) -> library.Answer:
        self._ask("query", name, values, options)
        return self.answer

    def doctor(self, verify: bool = False) -> Diagnosis:
        self._ask("doctor", verify)
        return self.diagnosis


@pytest.fixture
def session() -> FakeSession:
    """The session that `run` talks to."""
    return FakeSession()


@pytest.fixture
def run(session: FakeSession) -> Callable[..., Result]:
    """Call etgraph in this process on `session`."""

    def call(*args: str, **extra: Any) -> Result:
        settings = Settings(open_session=lambda settings: session)
        return CliRunner().invoke(main, args, obj=settings, prog_name="etgraph", **extra)

    return call


@pytest.fixture
def etgraph() -> Callable[..., Result]:
    """Call etgraph in this process on the real store that the arguments or the environment name."""

    def call(*args: str | Path, **extra: Any) -> Result:
        return CliRunner().invoke(main, [str(arg) for arg in args], prog_name="etgraph", **extra)

    return call


@pytest.fixture
def bad_file_failure() -> Failure:
    """A file that could not be read."""
    error = InputError("runs/bad.json", found="a text", expected="JSON", place="byte 0", hint="look at it")
    return Failure("runs/bad.json", error)
