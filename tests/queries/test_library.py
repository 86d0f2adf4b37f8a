"""The files of the library and their headers, values for parameters, and the page that is made of them."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from etgraph.model import DEPENDENCIES, TABLES
from etgraph.model.errors import NotFound, UsageError
from etgraph.queries import library
from etgraph.queries.library.header import parse
from etgraph.queries.library.page import library_page
from etgraph.queries.library.running import UnexpectedAnswer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "queries" / "library.md"

GOOD = """\
// Longest operators.
//
// Those without a duration
// are left out.
//
// parameters:
//   $trace  trace                  the trace
//   $rank   integer?               only this rank
//   $share  float = 0.5            at least
//     this share
//   $limit  integer[1..9] = 3      no more rows
//
// columns:
//   rank        integer    -   rank
//   durationNs  integer?   ns  time
//   members     integers   -   its members
//
MATCH (t {id: $trace}) // $comment
WHERE t.x = '$text' AND t.rank = $rank AND $share < 1
RETURN t LIMIT $limit
"""


def test_a_header_is_read() -> None:
    query = parse("longest", GOOD, "longest.cypher")
    assert (query.summary, query.description) == ("Longest operators.", "Those without a duration\nare left out.")
    assert [(p.name, p.spelled, p.default, p.required) for p in query.parameters] == [
        ("trace", "trace", None, True), ("rank", "integer?", None, False), ("share", "float", 0.5, False),
        ("limit", "integer[1..9]", 3, False),
    ]  # fmt: skip
    assert query.parameters[2].meaning == "at least this share"
    assert [(c.name, c.type, c.nullable, c.unit) for c in query.columns] == [
        ("rank", "integer", False, ""), ("durationNs", "integer", True, "ns"), ("members", "integers", False, ""),
    ]  # fmt: skip
    assert query.traces == ("trace",)
    assert query.text.startswith("MATCH")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Longest operators.", "longest operators", "line 1: .* expected a summary"),
        ("// Longest operators.\n//\n", "// Longest operators.\n// More.\n", "line 2: .* expected an empty line"),
        ("// Those without a duration\n// are left out.\n", "", "line 3: found no description"),
        ("// columns:", "// column:", "0 lines '// columns:'"),
        ("$rank   integer?", "rank   integer?", r"line 8: .* expected \$name type"),
        ("$rank   integer?", "$rank   number?", "line 8: found the type number, expected one of trace, string"),
        ("$rank   integer?", "$Rank   integer?", "line 8: found the name Rank, expected camelCase"),
        ("$rank   integer?", "$trace   trace", "line 8: found trace again"),
        ("$trace  trace  ", "$trace  string  ", "line 7: .* expected type trace"),
        ("float = 0.5", "float = half", "line 9: found the default half, expected JSON"),
        ("float = 0.5", "float = true", "line 9: found the default true, expected a number"),
        ("float = 0.5", "float[0..1] = 0.5", "line 9: found bounds of the type float"),
        ("//   rank        integer    -", "//   rank        integer    m", "line 14: .* with a unit of -, B,"),
        ("durationNs  integer?   ns", "durationNs  integer?   -", "line 15: found durationNs in no unit"),
        ("//   members", "// members", "line 16: .* two spaces in"),
        ("LIMIT $limit", "LIMIT 3", r"line 18: found no \$limit, expected every declared"),
        ("t.rank = $rank", "t.rank = $rang", r"line 18: found \$rang in the query, expected a declared parameter"),
    ],
)
def test_a_fault_in_a_header_is_named_with_its_line(old: str, new: str, message: str) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(library.QueryFileError, match=rf"longest\.cypher.*{message}"):
        parse("longest", GOOD.replace(old, new), "longest.cypher")


def test_a_file_needs_a_name_and_a_query() -> None:
    with pytest.raises(library.QueryFileError, match="lower-case words"):
        parse("Longest-Ops", GOOD, "x")
    with pytest.raises(library.QueryFileError, match="found no Cypher"):
        parse("longest", GOOD[: GOOD.index("MATCH")], "x")


@pytest.mark.parametrize("name", library.names())
def test_every_query_of_the_library_is_well_formed(name: str) -> None:
    query = library.load(name)
    assert "trace" in query.traces or "state: 'ready'" in query.text
    for trace in query.traces:
        assert re.search(r"Trace {id: (\$" + trace + r"|side\[\d\]), state: 'ready'}", query.text)
    assert "ORDER BY" in query.text
    assert not re.search(r"\b(CREATE|MERGE|SET|DELETE|REMOVE)\b", query.text)


def test_every_kind_of_dependency_is_followed() -> None:
    stored = {d.neo4j for d in DEPENDENCIES.values()} - {"JOINS"}
    for name in ("neighbourhood", "path_between"):
        for followed in re.findall(r"\[:([A-Z_|\s]+)\*", library.load(name).text):
            assert set("".join(followed.split()).split("|")) == stored


def test_labels_and_relationships_are_those_of_the_schema() -> None:
    known = {t.neo4j for t in TABLES.values()} | {t.owned for t in TABLES.values()}
    known |= {c.neo4j for t in TABLES.values() for c in t.columns} | {d.neo4j for d in DEPENDENCIES.values()}
    known |= {"Trace", "Rank", "Workload", "Team", "CriticalPath", "HAS_RANK", "HAS_TRACE", "OWNS", "OF", "PASSES"}
    known |= {"Simulation", "PREDICTS", "VALIDATED_BY", "Artefact", "ArtefactRow", "HAS_ROW"}
    for name in library.names():
        text = re.sub(r"//.*|'[^']*'", "", library.load(name).text)
        used = set(re.findall(r"[(\[]\w*:([\w|\s]+)", text))
        for word in {word.strip() for names in used for word in names.split("|")}:
            assert word in known, f"{name}: {word}"


def test_the_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == library_page(), "python -m etgraph.queries.library > docs/queries/library.md"


# Values


QUERY = parse("longest", GOOD, "longest.cypher")


def test_values_are_completed_by_defaults() -> None:
    assert library.bind(QUERY, trace="gpt") == {"trace": "gpt", "rank": None, "share": 0.5, "limit": 3}
    assert library.bind(QUERY, trace="gpt", rank=np.int64(2), share=1)["rank"] == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "needs a value for the parameter trace"),
        ({"trace": 3}, "parameter trace: found 3, expected a trace"),
        ({"trace": "x", "rank": True}, "parameter rank: found True, expected an integer"),
        ({"trace": "x", "rank": 2**63}, "expected an integer of 64 bits"),
        ({"trace": "x", "share": "1"}, "parameter share: found '1', expected a number"),
        ({"trace": "x", "limit": 0}, "parameter limit: found 0, expected an integer from 1 to 9"),
        ({"trace": "x", "limti": 1}, "has no parameter 'limti'"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        library.bind(QUERY, **values)


def test_an_unknown_name_brings_up_near_ones() -> None:
    with pytest.raises(UsageError) as unknown:
        library.bind(QUERY, trace="x", limti=1)
    assert unknown.value.hint == "did you mean limit?"
    with pytest.raises(NotFound) as missing:
        library.load("longest-operator")
    assert missing.value.hint == "did you mean longest_operators?"


def test_texts_become_values() -> None:
    texts = {"trace": "12", "rank": "7", "share": "0.25"}
    assert library.from_texts(QUERY, texts) == {"trace": "12", "rank": 7, "share": 0.25}
    with pytest.raises(UsageError, match="parameter rank: found 'x', expected an integer"):
        library.from_texts(QUERY, {"rank": "x"})
    with pytest.raises(UsageError, match="no parameter 'depth'"):
        library.from_texts(QUERY, {"depth": "x"})


# Answers


class FakeStore:
    """Answers every query with the same columns."""

    def __init__(self, **columns: list[Any]) -> None:
        self.result = SimpleNamespace(columns=tuple(columns), data=tuple(columns.values()), truncated=False)
        self.asked: list[Any] = []

    def find(self, reference: str, /) -> Any:
        return SimpleNamespace(id=f"id of {reference}")

    def cypher(self, text: str, parameters: Any, /, *, timeout_s: float, limit: int) -> Any:
        self.asked.append((text, parameters, timeout_s))
        return self.result


MESSAGE = {
    "rank": [0], "index": [3], "peer": [1], "peerIndex": [4], "tag": [None], "bytes": [8], "startNs": [1],
    "endNs": [None], "lengthNs": [None], "lateNs": [2],
}  # fmt: skip


def test_a_reference_is_resolved_and_the_answer_is_typed() -> None:
    store = FakeStore(**MESSAGE)
    answer = library.run(store, "cross_rank_messages", trace="gpt", timeout_s=3)
    assert store.asked == [(answer.query.text, {"trace": "id of gpt", "limit": 100}, 3)]
    assert list(answer.rows()) == [[0, 3, 1, 4, None, 8, 1, None, None, 2]]
    arrow = answer.to_arrow()
    assert set(arrow.schema.types) == {pa.int64()}
    assert arrow.schema.field("lateNs").metadata[b"unit"] == b"ns"
    frame = answer.to_pandas()
    assert frame["endNs"].dtype == "Int64"
    assert frame.columns.tolist() == list(answer.columns)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bytes": ["8"]}, "row 0, column bytes: found '8', expected an integer"),
        ({"rank": [None]}, "column rank: found no value"),
        ({"more": [1]}, "found columns .*'more'"),
    ],
)
def test_an_answer_of_other_types_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UnexpectedAnswer, match=message):
        library.run(FakeStore(**MESSAGE | change), "cross_rank_messages", trace="gpt")
