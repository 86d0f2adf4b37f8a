"""Results become JSON, and errors carry what programs need, in every process."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from etgraph.model import NodeType, Trust, errors, to_json
from etgraph.model.errors import CorruptStore, CycleError, EtgraphError, InputError, MissingData, StoreError, UsageError
from etgraph.model.results import camel_case


@dataclass(frozen=True, slots=True)
class Part:
    start_ns: int
    share: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    window_ns: int
    parts: tuple[Part, ...]
    by_rank: dict[int, Part]
    segments: pa.Table
    trust: Trust


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (float("-inf"), None),
        (0.5, 0.5),
        (True, True),
        (NodeType.COMP, "COMP"),
        (np.int64(7), 7),
        (np.float32("nan"), None),
        (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([1.0, np.inf]), [1.0, None]),
        ({0: "zero", NodeType.COMP: float("nan")}, {"0": "zero", "COMP": None}),
        (MappingProxyType({"kept_as_is": 1}), {"kept_as_is": 1}),
        (pa.table({"start_ns": [1, None]}), [{"startNs": 1}, {"startNs": None}]),
        (pa.array([1, None]), [1, None]),
        (frozenset(), []),
    ],
)
def test_a_value_as_json(value: Any, expected: Any) -> None:
    found = to_json(value)
    assert found == expected
    assert json.loads(json.dumps(found, allow_nan=False)) == expected


def test_a_result_as_json() -> None:
    segments = pa.table({"start_ns": [5], "share_of_all": [float("inf")]})
    answer = Answer(9, (Part(1, 0.5),), {3: Part(2, float("nan"))}, segments, Trust(0.9, warnings=("partial",)))
    assert to_json(answer) == {
        "windowNs": 9,
        "parts": [{"startNs": 1, "share": 0.5}],
        "byRank": {"3": {"startNs": 2, "share": None}},
        "segments": [{"startNs": 5, "shareOfAll": None}],
        "trust": {"explainedShare": 0.9, "unmatchedCollectives": 0, "weakLinks": 0, "warnings": ["partial"]},
    }


@pytest.mark.parametrize("value", [object(), b"bytes", 1j])
def test_what_has_no_json_form_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="has no JSON form"):
        to_json([value])


@pytest.mark.parametrize(("name", "expected"), [("window_ns", "windowNs"), ("p95_ns", "p95Ns"), ("count", "count")])
def test_names_in_json(name: str, expected: str) -> None:
    assert camel_case(name) == expected


def test_trust_in_words() -> None:
    assert str(Trust()) == "nothing against it"
    assert str(Trust(0.987, 2, 3, ("one rank missing",))) == (
        "98.7% explained; 2 collectives or messages without all their peers; 3 links of low confidence; "
        "one rank missing"
    )


# Errors


EXAMPLES: list[EtgraphError] = [
    EtgraphError("wrong", hint="do right"),
    UsageError("bad option"),
    InputError("a.json", found="[", expected="{", place="line 3", hint="look there"),
    CycleError("a cycle", ["start of a", "end of a"]),
    MissingData("no times"),
    CorruptStore("damaged"),
]


@pytest.fixture(scope="module")
def other_process() -> Any:
    """A pool of one process that shares no memory with this one."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


def fail_with(error: EtgraphError) -> None:
    raise error


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_crosses_processes_whole(error: EtgraphError, other_process: ProcessPoolExecutor) -> None:
    with pytest.raises(type(error)) as caught:
        other_process.submit(fail_with, error).result()
    assert caught.value is not error
    assert vars(caught.value) == vars(error)
    assert str(caught.value) == str(error)


def test_an_input_error_says_where_what_and_what_instead() -> None:
    error = InputError("a.json", found="[", expected="{", place="line 3")
    assert str(error) == "a.json: line 3: found [, expected {"
    assert str(InputError("a.json", found="[", expected="{")) == "a.json: found [, expected {"


@pytest.mark.parametrize(
    ("kind", "exit_code"), [(UsageError, 2), (InputError, 3), (MissingData, 3), (StoreError, 4), (CorruptStore, 3)]
)
def test_the_exit_code_says_whose_fault_it_is(kind: type[EtgraphError], exit_code: int) -> None:
    assert kind.exit_code == exit_code


def test_every_error_has_a_code_of_its_own() -> None:
    kinds = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, EtgraphError)]
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert all(400 <= kind.http_status < 600 for kind in kinds)
