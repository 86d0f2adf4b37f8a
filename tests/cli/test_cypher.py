"""`etgraph cypher` and `etgraph query`: what reaches the session, what is printed, what a store without Cypher says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from etgraph.model import errors
from etgraph.queries import library
from support.neo4j import Neo4jUnderTest

Run = Callable[..., Result]

SAMPLE = Path(__file__).resolve().parents[2] / "ingest" / "etgraph" / "ingest" / "samples" / "gpt_tp2_pp2"


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


# What reaches the session


def test_a_query_and_its_limits_reach_the_session(run: Run, session: Any) -> None:
    run("cypher", "RETURN $x", "--param", "x=7", "--write", "--timeout", "2.5", "--limit", "3")
    assert session.asked[0] == ("cypher", "RETURN $x", {"x": 7}, {"write": True, "timeout_s": 2.5, "limit": 3})
    run("cypher", "RETURN 1")
    assert session.asked[2] == ("cypher", "RETURN 1", {}, {"write": False, "timeout_s": 60.0, "limit": 100_000})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7), ("07", "07"), ("0.5", 0.5), ("true", True), ("null", None), ("gpt", "gpt"), ('"7"', "7"),
        ('[1, {"a": "b"}]', [1, {"a": "b"}]), ("NaN", "NaN"), ("a=b", "a=b"), ('""', ""),
    ],
)  # fmt: skip
def test_a_parameter_is_json_or_else_a_text(run: Run, session: Any, text: str, value: Any) -> None:
    assert run("cypher", "RETURN $x", "--param", f"x={text}").exit_code == 0
    assert session.asked[0][2] == {"x": value}


def test_a_query_may_be_a_file_or_stdin(run: Run, session: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.cypher"
    file.write_text("RETURN 'ä'\n", "utf-8")
    run("cypher", str(file))
    run("cypher", "-", input="RETURN 2\n")
    assert [question[1] for question in session.asked if question[0] == "cypher"] == ["RETURN 'ä'\n", "RETURN 2\n"]
    file.write_bytes(b"RETURN '\xff'")
    for name, code in ((str(file), 2), (str(tmp_path / "gone.cql"), 3)):
        result = run("cypher", name)
        assert (result.exit_code, result.stdout) == (code, "")
        assert name in result.stderr


def test_a_named_query_and_its_typed_values_reach_the_session(run: Run, session: Any) -> None:
    run("query", "longest_operators", "--param", "trace=12", "--param", "limit=5", "--timeout", "7")
    assert session.asked[0] == ("query", "longest_operators", {"trace": "12", "limit": 5}, {"timeout_s": 7.0})


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["cypher"], 2, "Missing argument"),
        (["cypher", "RETURN 1", "--timeout", "0"], 2, "--timeout"),
        (["cypher", "RETURN 1", "--limit", "-1"], 2, "--limit"),
        (["cypher", "RETURN 1", "--param", "x"], 2, "expected KEY=VALUE"),
        (["query", "--param", "trace=gpt"], 2, "which query?"),
        (["query", "--describe"], 2, "which query?"),
        (["query", "longest_operator"], 3, "did you mean longest_operators?"),
        (["query", "longest_operators", "--param", "limit=x"], 2, "found 'x', expected an integer of 1 or more"),
        (["query", "longest_operators", "--param", "depth=1"], 2, "no parameter 'depth'"),
    ],
)
def test_a_wrong_call_is_explained(run: Run, session: Any, args: list[str], code: int, words: str) -> None:
    result = run(*args)
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr
    assert not [question for question in session.asked if question[0] != "close"]


# What is printed


def test_rows_are_lines_under_their_columns(run: Run) -> None:
    result = run("cypher", "RETURN 1")
    assert result.stdout == (
        "name           ns  part\n"
        "───────────  ────  ────────────────\n"
        '[gemm]?[31m  1500  [1, {"a": null}]\n'
        "größe           –  true\n"
        "–               2  0.25\n"
    )
    assert result.stderr == "! label does not exist\n"
    assert run("cypher", "RETURN 1", "--quiet").stderr == ""


def test_rows_are_a_document(run: Run) -> None:
    assert document(run("cypher", "RETURN 1", "--json")) == {
        "columns": ["name", "ns", "part"],
        "rows": [["[gemm]\x1b[31m", 1500, [1, {"a": None}]], ["größe", None, True], [None, 2, 0.25]],
        "truncated": False,
        "warnings": ["label does not exist"],
    }


def test_what_was_left_out_is_told(run: Run, session: Any) -> None:
    session.rows = replace(session.rows, truncated=True)
    assert "more than 3 rows; --limit" in run("cypher", "RETURN 1", "--limit", "3").stderr
    assert document(run("cypher", "RETURN 1", "--limit", "3", "--json"))["truncated"] is True
    session.answer = replace(session.answer, truncated=True)
    assert "there are more rows" in run("query", "longest_operators", "--param", "trace=gpt").stderr


def test_long_texts_are_shortened_to_the_width(run: Run, session: Any) -> None:
    session.rows = replace(session.rows, data=(["n" * 300] * 3, [123_456_789] * 3, ["p" * 50] * 3))
    lines = run("cypher", "RETURN 1").stdout.splitlines()
    assert max(map(len, lines)) == 100
    assert all("123456789" in line and "…" in line for line in lines[2:])


def test_a_query_without_columns_prints_nothing(run: Run, session: Any) -> None:
    session.rows = replace(session.rows, columns=(), data=(), warnings=())
    assert run("cypher", "CREATE (:X)", "--write").output == ""


def test_an_answer_has_units_for_a_reader_and_none_in_its_document(run: Run) -> None:
    args = ("query", "longest_operators", "--param", "trace=gpt")
    shown = run(*args).stdout.splitlines()
    assert shown[0].split() == ["rank", "index", "name", "kind", "category", "startNs", "durationNs", "scope"]
    assert shown[2].split() == ["0", "4", "[gemm]?[31m", "COMP", "KERNEL", "1.00", "µs", "2.50", "ms", "model/layer"]
    answer = document(run(*args, "--json"))
    assert answer["columns"][:2] == ["rank", "index"]
    assert answer["rows"][1] == [1, 7, "add", "COMP", "KERNEL", None, 812, None]


def test_the_library_is_listed_and_described(run: Run, session: Any) -> None:
    shown = run("query").stdout
    assert all(name in shown for name in library.names())
    assert [query["name"] for query in document(run("query", "--json"))["queries"]] == list(library.names())
    shown = run("query", "neighbourhood", "--describe").stdout
    for words in ("What an operator waits for", "integer[1..6]", "how many dependencies away", "durationNs"):
        assert words in shown
    told = document(run("query", "neighbourhood", "--describe", "--json"))["query"]
    assert [p["name"] for p in told["parameters"] if p["required"]] == ["trace", "rank", "index"]
    assert told["columns"][0] == {
        "name": "side", "type": "string", "unit": "", "meaning": "before or after", "nullable": False,
    }  # fmt: skip
    assert not session.asked


def test_a_refusal_of_the_store_is_an_error(run: Run, session: Any) -> None:
    session.error = errors.UsageError("line 1, column 9: what?\n  MATCH (n\n          ^")
    result = run("cypher", "MATCH (n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "error: line 1, column 9: what?\n  MATCH (n\n          ^\n"


# On stores


@pytest.mark.parametrize("args", [("cypher", "RETURN 1"), ("query", "longest_operators", "--param", "trace=gpt")])
def test_a_local_store_says_how_to_get_a_server(etgraph: Run, tmp_path: Path, args: tuple[str, ...]) -> None:
    result = etgraph("--store", tmp_path / "s", *args)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert "'etgraph neo4j start'" in line
    assert "--store neo4j://" in line


def test_a_server_answers(etgraph: Run, neo4j_server: Neo4jUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETGRAPH_STORE", neo4j_server.uri)
    monkeypatch.setenv("ETGRAPH_NEO4J_USER", neo4j_server.user)
    monkeypatch.setenv("ETGRAPH_NEO4J_PASSWORD", neo4j_server.password)
    etgraph("ingest", SAMPLE / "kineto_rank0.json.gz", "--workload", "cli-cypher")
    (trace,) = document(etgraph("ls", "--workload", "cli-cypher", "--json"))["traces"]
    text = "MATCH (:Trace {id: $trace})-[:HAS_RANK]->(:Rank)-[:RAN]->(o:Operator) RETURN count(o) AS n"
    counted = document(etgraph("cypher", text, "--param", f"trace={trace['id']}", "--json"))
    assert counted["rows"] == [[trace["operators"]]]
    longest = document(etgraph("query", "longest_operators", "--param", "trace=cli-cypher", "--json"))
    assert len(longest["rows"]) == 20
    refused = etgraph("cypher", "MATCH (t:Trace) DETACH DELETE t")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--write" in refused.stderr
    path = etgraph("query", "longest_operators", "--param", f"trace={SAMPLE}")
    assert (path.exit_code, path.stdout) == (3, "")
    assert "this command takes traces of the store" in path.stderr
