"""Cypher on a store: what it may do, what it gives back, and what it says when something is wrong."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from etgraph.model.errors import StoreError, UsageError
from etgraph.store import connect
from etgraph.store.neo4j.cypher.gate import check_plan, check_text
from etgraph.store.neo4j.cypher.running import run
from etgraph.store.protocol import CypherResult
from support.neo4j import Neo4jUnderTest

Ask = Callable[..., CypherResult]


@pytest.fixture
def ask(neo4j_releases: Neo4jUnderTest) -> Iterator[Ask]:
    """`ask(text, parameters, …)` on a server of each release."""
    import neo4j

    server = neo4j_releases
    with neo4j.GraphDatabase.driver(server.uri, auth=(server.user, server.password)) as driver:
        yield lambda text, parameters=None, **options: run(driver, "neo4j", text, parameters, **options)
        run(driver, "neo4j", "MATCH (n:CypherTest) DETACH DELETE n", write=True)


def one(result: CypherResult) -> list[Any]:
    (row,) = result.rows()
    return row


# Values


def test_values_become_plain_ones(ask: Ask) -> None:
    result = ask(
        """RETURN 1 AS a, 2.5 AS b, 'x' AS c, true AS d, null AS e, [1, [2]] AS f, {k: {l: 1}} AS g,
        date('2026-01-02') AS h, duration('P1DT2S') AS i, datetime('2026-01-02T03:04:05Z') AS j,
        point({x: 1, y: 2}) AS k, $bytes AS l, $nan AS m""",
        {"bytes": b"\x00\xff", "nan": float("nan")},
    )
    assert result.columns == tuple("abcdefghijklm")
    values = one(result)
    assert values[:7] == [1, 2.5, "x", True, None, [1, [2]], {"k": {"l": 1}}]
    assert values[7:9] == ["2026-01-02", "P1DT2S"]
    assert values[9].startswith("2026-01-02T03:04:05")
    assert values[10:] == [{"srid": 7203, "coordinates": [1.0, 2.0]}, "AP8=", None]


def test_elements_become_dictionaries(ask: Ask) -> None:
    text = "CREATE p = (a:CypherTest:Other {x: 1, y: [2]})-[r:KNOWS {since: 3}]->(b:CypherTest)"
    a, r, p, b = one(ask(f"{text} RETURN a, r, p, elementId(b)", write=True))
    assert (a["labels"], a["properties"]) == (["CypherTest", "Other"], {"x": 1, "y": [2]})
    assert (r["type"], r["properties"], r["start"], r["end"]) == ("KNOWS", {"since": 3}, a["id"], b)
    assert p == {"nodes": [a, {"id": b, "labels": ["CypherTest"], "properties": {}}], "relationships": [r]}


def test_the_result_is_a_table(ask: Ask) -> None:
    result = ask("UNWIND [[1, 'a'], [null, 'b']] AS row RETURN row[0] AS n, row[1] AS s")
    assert (len(result), list(result.rows())) == (2, [[1, "a"], [None, "b"]])
    assert result.to_arrow().schema.types == [pa.int64(), pa.string()]
    assert result.to_pandas()["n"].dtype == "Int64"
    with pytest.raises(UsageError, match="column x: found values of several types"):
        ask("UNWIND [1, 'a'] AS x RETURN x").to_arrow()


def test_a_query_without_rows_has_columns(ask: Ask) -> None:
    result = ask("MATCH (n:CypherTest) RETURN n.x AS x, n.y AS y")
    assert (result.columns, list(result.rows()), len(result)) == (("x", "y"), [], 0)
    assert any("CypherTest" in warning or "property" in warning for warning in result.warnings) or not result.warnings


# Limits


def test_rows_are_pulled_up_to_the_limit_only(ask: Ask) -> None:
    endless = "UNWIND range(1, 1000) AS a UNWIND range(1, 1000) AS b UNWIND range(1, 1000) AS c RETURN a + b + c AS sum"
    result = ask(endless, limit=3, timeout_s=20)
    assert (result.data, result.truncated) == (([3, 4, 5],), True)
    assert ask("RETURN 1 AS x", limit=1).truncated is False
    assert ask("RETURN 1 AS x", limit=0).truncated is True


def test_what_takes_too_long_is_ended(ask: Ask) -> None:
    slow = (
        "UNWIND range(1, 10000) AS a UNWIND range(1, 10000) AS b UNWIND range(1, 10000) AS c RETURN sum(a * b * c) AS x"
    )
    with pytest.raises(StoreError, match=r"longer than 0\.3 s") as ended:
        ask(slow, timeout_s=0.3)
    assert "--timeout" in (ended.value.hint or "")


@pytest.mark.parametrize(
    "option", [{"timeout_s": 0}, {"timeout_s": float("nan")}, {"timeout_s": float("inf")}, {"limit": -1}]
)
def test_limits_must_make_sense(ask: Ask, option: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="limit: found"):
        ask("RETURN 1", **option)


# Mistakes


@pytest.mark.parametrize(
    ("text", "line", "column", "shown"),
    [
        ("MATCH (n RETURN n", 1, 10, "  MATCH (n RETURN n\n           ^"),
        ("RETURN 1 AS x\nUNION RETURN y AS x", 2, 14, "  UNION RETURN y AS x\n               ^"),
        ("// what is it\nRETURN y", 2, 8, "  RETURN y\n         ^"),
        (f"RETURN {'1 + ' * 100}y", 1, 408, "1 + y\n"),
    ],
)
@pytest.mark.parametrize("write", [False, True])
def test_a_mistake_is_pointed_at(ask: Ask, write: bool, text: str, line: int, column: int, shown: str) -> None:
    with pytest.raises(UsageError) as wrong:
        ask(text, write=write)
    assert wrong.value.message.startswith(f"line {line}, column {column}: ")
    assert shown in wrong.value.message
    assert "EXPLAIN" not in wrong.value.message.partition("\n")[2]


@pytest.mark.parametrize(
    ("text", "parameters", "message"),
    [
        ("RETURN $x", {}, "x"),
        ("RETURN 1 / 0", {}, "by zero"),
        ("RETURN toInteger([1])", {}, "toInteger"),
        ("RETURN 1; RETURN 2", {}, "one statement"),
        ("", {}, "end of input"),
        ("RETURN $x", {"x": 2**64}, "parameters: .*too large"),
        ("RETURN $x", {"x": object()}, "parameters: .*not supported"),
    ],
)
def test_other_mistakes_are_told(ask: Ask, text: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ask(text, parameters)


def test_remarks_of_the_server_are_warnings(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        result = ask("MATCH (n:NoSuchLabelAnywhere) RETURN n.x AS x")
    assert any("NoSuchLabelAnywhere" in warning for warning in result.warnings)


# Reading only

WRITES = [
    "CREATE (:CypherTest)",
    "MATCH (n) SET n.x = 1",
    "UNWIND [1] AS x CALL (x) { CREATE (:CypherTest {x: x}) } IN TRANSACTIONS",
    "CALL () { CREATE (:CypherTest) } RETURN 1 AS x",
    "CREATE INDEX cypher_test IF NOT EXISTS FOR (n:CypherTest) ON (n.x)",
    "CREATE USER cypher_test SET PASSWORD 'cypher-test'",
    "ALTER CURRENT USER SET PASSWORD FROM 'a' TO 'b'",
    "DROP CONSTRAINT cypher_test IF EXISTS",
    "FOREACH (x IN [1] | CREATE (:CypherTest))",
    "UNWIND [1] AS x CALL (x) { CALL () { MERGE (:CypherTest) } RETURN 2 AS y } RETURN y",
    "CYPHER 5 CREATE (:CypherTest)",
    "CYPHER 5 runtime=slotted CREATE (:CypherTest)",
    "/* RETURN 1 */ USE neo4j CREATE (:CypherTest)",
    "SHOW DATABASES",
    "SHOW USERS",
    "SHOW SETTINGS",
    "SHOW SETTINGS YIELD name, value WHERE name CONTAINS 'auth' RETURN value",
    "SHOW TRANSACTIONS",
    "RETURN [x IN [1] | COLLECT { SHOW/**/TRANSACTION YIELD currentQuery RETURN currentQuery }] AS x",
    "RETURN [x IN [1] | COLLECT { SHOW SETTING 'server.jvm' YIELD value RETURN value }] AS x",
    "SHOW TRANSACTIONS YIELD transactionId, currentQuery, parameters",
    "CALL db.createLabel('CypherTest')",
    "CALL db.clearQueryCaches()",
    "CALL dbms.listConfig() YIELD name RETURN name",
    "CALL dbms . `killConnection`('bolt-0')",
    "CALL db.index.fulltext.awaitEventuallyConsistentIndexRefresh()",
    "OPTIONAL CALL db.createLabel('CypherTest')",
    "CALL () { CALL/**/`db` // x\n . `createLabel`('CypherTest') } RETURN 1",
    "RETURN COUNT { CALL dbms.listConnections() YIELD connectionId RETURN connectionId } AS x",
    "RETURN [x IN [1] | EXISTS { CALL `dbms`\u180e.\u2003listConnections() YIELD connectionId RETURN connectionId }]",
    "RETURN [x IN [1] | COLLECT { call //\rdbms.listConnections() YIELD connectionId RETURN connectionId }] AS x",
    "TERMINATE TRANSACTIONS 'neo4j-transaction-0'",
    "SHOW TRANSACTIONS YIELD transactionId AS id TERMINATE TRANSACTIONS id YIELD message RETURN message",
    "CYPHER 5 LOAD CSV FROM 'file:///etc/hostname' AS line RETURN line",
    "RETURN [x IN [1] | COLLECT { LOAD\u2029CSV WITH HEADERS FROM 'file:///x' AS line RETURN line }] AS x",
    "RETURN \"'\" AS `//`, [x IN [1] | COLLECT { load\tcsv FROM 'file:///x' AS line RETURN line }] AS x",
    "RETURN '/*' AS a, [x IN [1] | COLLECT { LOAD//\nCSV FROM 'file:///x' AS line RETURN line }] AS x, '*/' AS b",
    "LOAD CSV FROM 'file:///etc/hostname' AS line RETURN line",
    "RETURN [x IN [1] | COLLECT { LOAD /* that's */ CSV FROM 'file:///x' AS line RETURN line }] AS x",
    "RETURN [x IN [1] | COLLECT { CALL\n db.stats.clear('QUERIES') YIELD section RETURN section }] AS x",
    "RETURN '\\\\' + `a``'` AS x // '\nLOAD\u00a0CSV FROM '//' AS line RETURN line",
    r"L\u004FAD CSV FROM 'file:///x' AS line RETURN line",
]


@pytest.mark.parametrize("text", WRITES)
def test_only_reading_is_allowed(ask: Ask, text: str) -> None:
    with pytest.raises(UsageError, match="read"):
        ask(text)
    assert one(ask("MATCH (n:CypherTest) RETURN count(n) AS n")) == [0]


@pytest.mark.parametrize(
    "text",
    [
        "RETURN 'LOAD CSV' AS `CALL a.b()` // TERMINATE TRANSACTIONS",
        '/* LOAD CSV */ RETURN "CALL x.y()" AS x',
        "CALL db.labels() YIELD label RETURN count(label) AS x",
        "WITH 1 AS call RETURN call AS x",
        "WITH {load: 1} AS call RETURN call.load AS x",
        "UNWIND [1] AS x CALL (x) { RETURN x AS y } RETURN y",
        "SHOW INDEXES YIELD name RETURN count(name) AS x",
        "SHOW CONSTRAINTS YIELD name RETURN count(name) AS x",
        "SHOW FUNCTIONS YIELD name RETURN count(name) AS x",
        "SHOW PROCEDURES YIELD name RETURN count(name) AS x",
        "CYPHER 5 runtime=slotted RETURN 1 AS x;",
        "USE neo4j RETURN 1 AS explain, 2 AS profile",
        "MATCH (n:CypherTest) CALL (n) { RETURN n AS m } IN TRANSACTIONS RETURN count(m) AS x",
    ],
)
def test_what_only_looks_like_more_is_allowed(ask: Ask, text: str) -> None:
    assert len(ask(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "RETURN 1 AS x NEXT CREATE (:CypherTest)",
        "WHEN true THEN { CREATE (:CypherTest) RETURN 1 AS x } ELSE { RETURN 2 AS x }",
        "INSERT (:CypherTest)",
        "CALL () { SHOW SETTINGS YIELD name RETURN name } RETURN name",
        "SHOW INDEXES YIELD name RETURN name NEXT SHOW SETTINGS YIELD name RETURN name",
        "RETURN [x IN [1] | COLLECT { SHOW TRANSACTIONS YIELD currentQuery RETURN currentQuery }] AS x",
        "RETURN [x IN [1] | COLLECT { WHEN true THEN { LOAD CSV FROM 'file:///x' AS line RETURN line } }] AS x",
    ],
)
def test_only_reading_is_allowed_in_cypher_25(ask: Ask, text: str) -> None:
    with pytest.raises(UsageError, match=r"may only read|not a valid option for cypher version"):
        ask(f"CYPHER 25 {text}")
    assert one(ask("MATCH (n:CypherTest) RETURN count(n) AS n")) == [0]


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "EXPLAIN RETURN 1",
        " profile CREATE (:CypherTest)",
        "/* x */ CYPHER 5 runtime = slotted planner=cost\nPROFILE // y\n CREATE (:CypherTest)",
        "CYPHER EXPLAIN RETURN 1",
    ],
)
def test_a_query_that_asks_for_its_plan_is_refused(ask: Ask, text: str, write: bool) -> None:
    with pytest.raises(UsageError, match=r"found (EXPLAIN|PROFILE) before the query"):
        ask(text, write=write)
    assert one(ask("MATCH (n:CypherTest) RETURN count(n) AS n")) == [0]


@pytest.mark.parametrize("text", ["RETURN 1; CREATE (:CypherTest)", "; CREATE (:CypherTest)", "USE system SHOW USERS"])
def test_what_the_server_does_not_understand_does_nothing(ask: Ask, text: str) -> None:
    with pytest.raises(UsageError):
        ask(text)
    assert one(ask("MATCH (n:CypherTest) RETURN count(n) AS n")) == [0]


def test_writing_is_allowed_when_asked_for(ask: Ask) -> None:
    ask("UNWIND range(1, 5) AS x CALL (x) { CREATE (:CypherTest {x: x}) } IN TRANSACTIONS OF 2 ROWS", write=True)
    assert ask("UNWIND [7, 8] AS x CREATE (n:CypherTest {x: x}) RETURN n.x AS x", write=True, limit=1).data == ([7],)
    assert one(ask("MATCH (n:CypherTest) RETURN count(n) AS n")) == [7]


@pytest.mark.parametrize(
    "text", [text for text in WRITES if "dbms" in text or "CSV" in text or "TERM" in text or "COLLECT" in text]
)
def test_the_words_alone_are_found(text: str) -> None:
    with pytest.raises(UsageError):
        check_text(text)


def test_a_plan_tells_of_what_words_hide() -> None:
    def plan(operator: str, details: str = "") -> dict[str, Any]:
        inner = {"operatorType": f"{operator}@neo4j", "args": {"Details": details}}
        return {"operatorType": "ProduceResults@neo4j", "args": {}, "children": [inner]}

    check_plan("r", plan("NodeByLabelScan"))
    check_plan("r", plan("ProcedureCall", "db.labels() :: (label :: STRING)"))
    check_plan("r", plan("ShowIndexes"))
    for operator, details in (
        ("LoadCSV", "line"), ("TerminateTransactions", ""), ("ProcedureCall", "apoc.x(1) :: ()"),
        ("ShowTransactions", ""), ("ShowSettings", ""), ("ShowWhateverComes", ""),
    ):  # fmt: skip
        with pytest.raises(UsageError, match="may only read"):
            check_plan("r", plan(operator, details))
    for kind in ("w", "rw", "s", ""):
        with pytest.raises(UsageError, match="may only read"):
            check_plan(kind, None)


def test_a_local_store_says_how_to_get_cypher(tmp_path: Path) -> None:
    with connect(tmp_path / "store") as store, pytest.raises(UsageError, match="etgraph neo4j start"):
        store.cypher("RETURN 1")


def test_the_driver_prints_nothing(neo4j_server: Neo4jUnderTest) -> None:
    code = """if True:
        import sys
        from etgraph.model.errors import EtgraphError
        from etgraph.store import connect
        try:
            connect("neo4j://127.0.0.1:1")
        except EtgraphError as error:
            print(error.code)
        with connect(sys.argv[1]) as store:
            print(len(store.cypher("MATCH (n:NoSuchLabelAnywhere) RETURN n").warnings))
    """
    server = neo4j_server
    names = {"ETGRAPH_NEO4J_USER": server.user, "ETGRAPH_NEO4J_PASSWORD": server.password}
    done = subprocess.run(
        [sys.executable, "-c", code, server.uri], env=os.environ | names, capture_output=True, text=True, check=False
    )
    assert (done.stdout.split(), done.stderr) == (["STORE_UNAVAILABLE", "1"], "")
