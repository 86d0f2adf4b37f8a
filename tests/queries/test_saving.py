"""Saved answers: one key for one question, computed once, and not used for what they do not answer."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from etgraph.ingest import read, samples
from etgraph.model import Trace, path_tables
from etgraph.model.cancelling import Cancellation, deadline
from etgraph.model.errors import Cancelled, CorruptStore, MissingData, StoreError, UsageError
from etgraph.model.results import annotations_of
from etgraph.queries import answer, artefact_of
from etgraph.queries.questions import QUESTIONS, Question, question
from etgraph.queries.saving import answer_in, place_of, type_of_answers
from etgraph.sim.profiles import dump, load, with_overrides
from etgraph.sim.profiles import loads as parsed
from etgraph.store import ArtefactInfo
from support.answers import values
from support.build import build

STEP = """
    rank 0 | thread 1 | iteration ProfilerStep#1   0..100
    rank 0 | thread 1 | iteration ProfilerStep#2 100..200
    rank 0 | thread 1 | aten::mm          0..20
    rank 0 | thread 1 | cudaLaunchKernel  5..10   -> gemm
    rank 0 | stream 7 | gemm             15..60
    rank 0 | thread 1 | aten::add       110..190
"""


@dataclass
class Shelf:
    """A store of one trace, in memory, that counts how often the trace is loaded."""

    trace: Trace = field(default_factory=lambda: replace(build(STEP), trace_id="a" * 64, revision=3))
    kept: dict[tuple[str, str], pa.Table] = field(default_factory=dict)
    loads: int = 0
    damaged: bool = False

    def find(self, reference: str) -> Any:
        return type("Found", (), {"id": self.trace.trace_id, "revision": self.trace.revision})

    def load(self, reference: str) -> Trace:
        self.loads += 1
        return self.trace

    def get_artefact(self, trace_id: str, kind: str, key: str) -> pa.Table | None:
        if self.damaged:
            raise CorruptStore("table.arrow: found 3 bytes, expected 5")
        return self.kept.get((kind, key))

    def artefacts(self, trace_id: str) -> list[ArtefactInfo]:
        return [ArtefactInfo(kind, key, "2026-01-05T12:30:00Z", 0) for kind, key in self.kept]

    def artefact_schema(self, trace_id: str, kind: str, key: str) -> pa.Schema | None:
        return self.kept[kind, key].schema if (kind, key) in self.kept else None

    def put_artefact(self, trace_id: str, kind: str, key: str, table: pa.Table, *, revision: int | None = None) -> None:
        if revision != self.trace.revision:
            raise StoreError("another revision")
        self.kept[kind, key] = table


# Keys


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"rank": None, "iteration": None, "window": "annotation"}),
        ({"iteration": 1}, {"iteration": (1,)}),
        ({"iteration": 1}, {"iteration": np.int64(1)}),
        ({"iteration": (3, 1, 2)}, {"iteration": [1, 2, 3, 3]}),
        ({"iteration": range(2), "rank": 1}, {"rank": np.int32(1), "iteration": (0, 1)}),
    ],
)
def test_one_question_has_one_key(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert place_of("critical-path", **one) == place_of("critical-path", **other)


def test_other_questions_have_other_keys() -> None:
    choices: list[dict[str, Any]] = [
        {}, {"rank": 0}, {"rank": 1}, {"iteration": 0}, {"iteration": (0, 1)}, {"window": "device"},
    ]  # fmt: skip
    places = {place_of("critical-path", **each) for each in choices} | {place_of("slack"), place_of("slack", rank=0)}
    assert len(places) == len(choices) + 2


def test_a_key_says_what_was_asked() -> None:
    kind, key = place_of("slack", iteration=(4, 3))
    assert (kind, key) == (path_tables.MODEL, '{"iteration":[3,4],"rank":null,"waiting":"work"}')


def test_a_choice_that_the_question_does_not_have() -> None:
    with pytest.raises(TypeError, match="colour"):
        place_of("slack", colour="red")
    with pytest.raises(UsageError, match="no question 'why'"):
        place_of("why")


@pytest.mark.parametrize("name", ["hotspots", "operators"])
def test_a_profile_is_known_by_its_name_and_its_content(name: str) -> None:
    one = load("dgx-h100")
    others = [None, one, replace(one, name="mine"), with_overrides(one, {"device.memory_bandwidth": "4 TB/s"})]
    assert len({place_of(name, profile=other) for other in others}) == 4
    assert place_of(name, profile=one) == place_of(name, profile=parsed(dump(one)))


def test_an_answer_of_another_profile_is_not_given() -> None:
    shelf, one = Shelf(), load("dgx-h100")
    for profile in (one, with_overrides(one, {"device.memory_bandwidth": "4 TB/s"})):
        found = answer(shelf, "gpt", "operators", profile=profile)
        assert values(found) == values(question("operators")(shelf.trace, profile=profile))
    assert (shelf.loads, len(shelf.kept)) == (2, 2)
    answer(shelf, "gpt", "operators", profile=one)
    assert shelf.loads == 2


# Computed once


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_answer_comes_back_equal(name: str) -> None:
    for trace in (read(samples.path("dlrm_alltoall")), build(STEP)):
        try:
            found = question(name)(trace, iteration=0)
        except MissingData:  # no device or no memory events, say
            continue
        _, _, table = artefact_of(name, found, revision=trace.revision, iteration=0)
        kept = answer_in(table, name, revision=trace.revision)
        assert kept is not None
        assert values(kept) == values(found)


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_type_of_an_answer_can_be_read_back(name: str) -> None:
    kind: Any = type_of_answers(name)
    for declared in fields(kind):
        try:
            msgspec.convert(
                object(), annotations_of(kind)[declared.name], str_keys=True, dec_hook=lambda kind, value: None
            )
        except msgspec.ValidationError:  # TypeError: a type that cannot be read at all
            pass


def test_an_answer_is_computed_once() -> None:
    shelf = Shelf()
    first = answer(shelf, "gpt", "critical-path", iteration=0)
    again = answer(shelf, "gpt", "critical-path", iteration=(0,), rank=None)
    assert again == first == question("critical-path")(shelf.trace, iteration=0)
    assert (shelf.loads, len(shelf.kept)) == (1, 1)
    assert answer(shelf, "gpt", "critical-path", iteration=1) != first
    assert (shelf.loads, len(shelf.kept)) == (2, 2)


def test_an_answer_is_kept_only_where_that_is_wanted() -> None:
    shelf = Shelf()
    answer(shelf, "gpt", "slack", save=False)
    assert shelf.kept == {}
    answer(shelf, "gpt", "slack")
    answer(shelf, "gpt", "slack", save=False)
    assert shelf.loads == 2


def test_an_answer_of_another_version_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    answer(shelf, "gpt", "slack")
    newer = {**QUESTIONS, "slack": Question(QUESTIONS["slack"].target, QUESTIONS["slack"].version + 1)}
    monkeypatch.setattr("etgraph.queries.saving.QUESTIONS", newer)
    for loads in (2, 2):
        answer(shelf, "gpt", "slack")
        assert (shelf.loads, len(shelf.kept)) == (loads, 1)


def test_an_answer_of_another_revision_is_replaced() -> None:
    shelf = Shelf()
    answer(shelf, "gpt", "slack")
    shelf.trace = replace(shelf.trace, revision=4)
    for loads in (2, 2):
        answer(shelf, "gpt", "slack")
        assert (shelf.loads, len(shelf.kept)) == (loads, 1)


def test_a_table_of_another_hand_is_no_answer() -> None:
    shelf = Shelf()
    answer(shelf, "gpt", "slack")
    ((place, right),) = shelf.kept.items()
    metadata = dict(right.schema.metadata)
    _, _, other = artefact_of("critical-path", question("critical-path")(shelf.trace), revision=3)
    wrong = [
        pa.table({"rank": [0]}),
        other,
        right.replace_schema_metadata({**metadata, b"etgraph.answer": b"{"}),
        right.replace_schema_metadata({**metadata, b"etgraph.fields": b"[]"}),
        right.replace_schema_metadata({**metadata, b"etgraph.fields": b'{"length_ns": "long"}'}),
        right.replace_schema_metadata({**metadata, b"etgraph.table.0": b"cut short"}),
        right.replace_schema_metadata({k: v for k, v in metadata.items() if k != b"etgraph.table.0"}),
    ]
    for table in wrong:
        shelf.kept[place] = table
        answer(shelf, "gpt", "slack")
        assert shelf.kept[place].equals(right)
    assert shelf.loads == 1 + len(wrong)


def test_a_damaged_answer_is_computed_anew() -> None:
    shelf = Shelf(damaged=True)
    assert answer(shelf, "gpt", "slack") == question("slack")(shelf.trace)
    shelf.damaged = False
    answer(shelf, "gpt", "slack")
    assert shelf.loads == 1


def test_a_question_without_an_answer_leaves_nothing() -> None:
    shelf = Shelf()
    with pytest.raises(MissingData, match="no rank 7"):
        answer(shelf, "gpt", "critical-path", rank=7)
    assert shelf.kept == {}


@pytest.mark.parametrize("name", QUESTIONS)
def test_what_was_stopped_leaves_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    with deadline(0), pytest.raises(Cancelled):
        answer(shelf, "gpt", name)
    with Cancellation() as work:
        monkeypatch.setattr(shelf, "load", lambda _: work.cancel() or shelf.trace)
        with pytest.raises(Cancelled):
            answer(shelf, "gpt", name)
    assert shelf.kept == {}


# Paths


def test_a_path_says_what_it_is_the_path_of() -> None:
    trace = build(STEP)
    for name, choices, told in (
        ("critical-path", {"iteration": (1,)},
         {"rank": None, "iteration": 1, "iterations": [1], "window": "annotation", "startNs": 100, "endNs": 200,
          "windowNs": 100, "lengthNs": 100}),
        ("critical-path", {"iteration": (0, 1), "rank": 0, "window": "launch"},
         {"rank": 0, "iteration": None, "iterations": [0, 1], "window": "launch", "startNs": 0, "endNs": 200,
          "windowNs": 200, "lengthNs": 200}),
        ("slack", {"iteration": 0}, {"rank": None, "iteration": 0, "iterations": [0], "window": None, "lengthNs": 45}),
        ("slack", {}, {"rank": None, "iteration": None, "iterations": [], "window": None, "lengthNs": 100}),
    ):  # fmt: skip
        _, _, table = artefact_of(name, question(name)(trace, **choices), revision=0, **choices)
        assert path_tables.facts_of(table.schema) == told
