"""What commands print, where they print it, and under which names."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from click.testing import Result

from etgraph.cli.output import Output
from etgraph.cli.progress import watched
from etgraph.cli.session import Diagnosis, Failure, Ingested
from etgraph.cli.settings import Settings
from etgraph.model import Trust
from etgraph.store import Check

Run = Callable[..., Result]

INGESTED = {"id", "revision", "created", "workload", "ranks", "operators", "dependencies", "collectives", "report"}
LISTED = INGESTED | {"worldSize", "deviceModel", "startTime", "spanNs", "tags", "iterations"}
REPORT = {
    "files", "hostOperators", "linkedOperators", "deviceOperators", "launchedDeviceOperators", "collectivesMatched",
    "collectivesUnmatched", "danglingDependencies", "warnings",
}  # fmt: skip
PATH = {"startNs", "endNs", "windowNs", "lengthNs", "byCategory", "byRank", "byIteration", "byOperator", "trust"}
MODEL = {"lengthNs", "measuredNs", "criticalCount", "bySlack", "byCategory", "byRank", "byOperator", "trust"}
LATE = {
    "index", "type", "group", "bytes", "ranks", "lastRank", "waitNs", "transferNs", "cause", "iteration", "lastNs",
    "waitedNs", "inheritedNs", "behind", "blamedNs",
}  # fmt: skip
TRUST = {"explainedShare", "unmatchedCollectives", "weakLinks", "warnings"}


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def check_trace(trace: dict[str, Any]) -> None:
    assert set(trace) >= LISTED
    assert isinstance(trace["id"], str)
    assert set(trace["report"]) >= REPORT
    assert set(trace["report"]["files"][0]) >= {"name", "format", "rank", "bytes", "sha256"}
    assert [set(i) for i in trace["iterations"]] == [{"index", "name", "startNs", "endNs"}] * 2


@pytest.mark.parametrize("command", [("ingest", "x.json"), ("ls",)])
def test_lists_of_traces_have_the_promised_names(run: Run, command: tuple[str, ...]) -> None:
    answer = document(run(*command, "--json"))
    assert set(answer) == {"traces"}
    check_trace(answer["traces"][0])


def test_show_has_the_promised_names(run: Run) -> None:
    answer = document(run("show", "gpt", "--json"))
    assert set(answer) == {"trace"}
    check_trace(answer["trace"])
    assert answer["trace"]["dependencies"] == {"CALL": 9000, "LAUNCH": 700, "COLLECTIVE": 12}
    assert answer["trace"]["iterations"][1] == {"index": 1, "name": "ProfilerStep#6", "startNs": None, "endNs": None}


def test_critical_path_has_the_promised_names(run: Run) -> None:
    answer = document(run("critical-path", "gpt", "--json"))
    assert set(answer) == PATH
    assert set(answer["trust"]) == TRUST
    assert set(answer["byCategory"][0]) >= {"category", "detail", "ns", "share"}


def test_segments_are_in_the_document_only_when_asked_for(run: Run) -> None:
    answer = document(run("critical-path", "gpt", "--json", "--segments"))
    assert set(answer) == PATH | {"segments"}
    assert answer["segments"][1] == {
        "rank": 0, "lane": None, "index": None, "name": None, "category": "idle", "detail": "unexplained",
        "startNs": 8_500, "endNs": 11_000, "via": None, "source": None,
    }  # fmt: skip


def test_the_model_has_the_promised_names_and_tables_only_when_asked_for(run: Run) -> None:
    answer = document(run("critical-path", "gpt", "--model", "--json"))
    assert set(answer) == MODEL
    assert answer["bySlack"][-1] == {"fromNs": 10**9, "toNs": None, "count": 1}
    assert set(answer["byOperator"][0]) == {"name", "kind", "count", "ns", "share", "iterations"}
    answer = document(run("critical-path", "gpt", "--model", "--json", "--segments"))
    assert set(answer) == MODEL | {"segments", "operators"}
    assert set(answer["segments"][0]) == {"rank", "lane", "index", "name", "kind", "startNs", "endNs", "via"}
    assert answer["operators"] == [
        {
            "rank": 0, "index": 4, "nodeId": "18446744073709551615", "name": "[gemm]", "earliestStartNs": 0,
            "earliestEndNs": 3_000, "latestStartNs": 0, "latestEndNs": 3_000, "slackNs": 0,
        }
    ]  # fmt: skip


def test_stragglers_have_the_promised_names(run: Run) -> None:
    answer = document(run("stragglers", "gpt", "--json"))
    assert set(answer) >= {"summary", "waitNs", "byRank", "patterns", "collectives", "trust"}
    assert len(answer["collectives"]) == 40
    assert set(answer["collectives"][1]) == LATE
    assert answer["collectives"][1]["waitNs"] == [
        {"rank": 0, "ns": 100, "startNs": 10_000}, {"rank": 7, "ns": 0, "startNs": 30_000},
    ]  # fmt: skip
    assert answer["collectives"][0]["cause"][1] == {
        "category": "idle", "detail": "host-gap", "name": None, "ns": 80, "excessNs": None,
    }  # fmt: skip
    assert set(answer["byRank"][0]) >= {"rank", "timesLast", "waitCausedNs"}
    assert set(answer["patterns"][0]) == {"pattern", "ranks", "waitNs", "share", "evidence"}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("rm", "gpt"), {"removed": [{"id": "1f0c9a" + "7" * 58, "workload": "gpt"}]}),
        (("tag", "gpt", "v1"), {"tagged": [{"id": "1f0c9a" + "7" * 58, "workload": "gpt", "name": "v1"}]}),
        (("untag", "gpt@v1"), {"untagged": [{"workload": "gpt", "name": "v1"}]}),
        (
            ("label", "gpt", "a=b"),
            {"labelled": [{"id": "1f0c9a" + "7" * 58, "workload": "gpt", "labels": {"gpus": "8", "a": "b"}}]},
        ),
        (("doctor",), {"checks": [{"name": "store", "ok": True, "detail": "in order"}]}),
    ],
)
def test_every_command_answers_with_one_document(run: Run, command: tuple[str, ...], expected: Any) -> None:
    assert document(run(*command, "--json")) == expected


def test_messages_go_to_stderr_and_are_silent_when_quiet(run: Run) -> None:
    told = run("tag", "gpt", "v1")
    assert (told.stdout, told.stderr) == ("", "gpt@v1 now means 1f0c9a777777\n")
    assert run("tag", "gpt", "v1", "-q").output == ""


def test_quiet_lists_print_ids(run: Run) -> None:
    for command in (("ls",), ("ingest", "x.json")):
        result = run("-q", *command)
        assert (result.stdout, result.stderr) == ("1f0c9a" + "7" * 58 + "\n", "")


def test_an_empty_list_says_so_beside_the_answer(run: Run) -> None:
    result = run("ls", "--workload", "nothing")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "no trace" in result.stderr
    assert document(run("ls", "--workload", "nothing", "--json")) == {"traces": []}


def test_the_list_is_readable(run: Run) -> None:
    shown = run("ls").stdout
    for word in ("1f0c9a777777", "gpt", "12,345", "45.6 ms", "baseline", "ads", "gpus=8"):
        assert word in shown
    assert max(map(len, shown.splitlines())) <= 100
    assert "\x1b" not in shown


def test_show_tells_all_that_is_known(run: Run) -> None:
    shown = run("show", "gpt").stdout
    for word in ("gpt@baseline", "4 ranks (0–3) of 8", "NVIDIA H100", "LAUNCH", "a call starts work on the device",
                 "ProfilerStep#5", "20.0 ms", "11 collectives matched", "99.6%", "! 4 of 8 ranks"):  # fmt: skip
        assert word in shown


@pytest.mark.parametrize("width", [80, 120])
def test_stragglers_are_readable(session: Any, width: int) -> None:
    from rich.console import Console

    from etgraph.cli.views.stragglers import rendezvous_lines, stragglers_view

    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(stragglers_view(session.answers["stragglers"], "Stragglers of gpt", width))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    lines = shown.splitlines()
    assert lines[:2] == ["Stragglers of gpt", "Rank 7 is last in 5 of 8 rendezvous at which ranks waited."]
    assert (
        "40 rendezvous: 10.0 ms of waiting, 80.0% of the 12.5 ms that ranks spent in communication; 2 not judged"
        in " ".join(shown.split())
    )
    assert "\x1b" not in shown
    assert max(map(len, lines)) <= width
    assert sum("█" in line for line in lines) == 10
    assert any("54 more" in line and "7.16 ms" in line for line in lines)
    assert any("… 32 more" in line for line in lines)
    assert sum("(+12 ns)" in line for line in lines) == 8
    listed = list(rendezvous_lines(session.answers["stragglers"], width))
    assert len(listed) == 42
    assert listed[-1].endswith(" 900 ns (+12 ns)")
    assert not any("\x1b" in line for line in listed)


def test_stragglers_list_all_only_when_asked(run: Run, session: Any) -> None:
    assert "came last at" not in run("stragglers", "gpt").stdout
    assert session.asked[-2][2]["explain"] == "costliest"
    shown = run("stragglers", "gpt", "--all", "--rank", "7").stdout.splitlines()
    assert session.asked[-2] == (
        "stragglers", "gpt", {"save": False, "rank": 7, "iteration": None, "window": "annotation", "explain": "all"},
    )  # fmt: skip
    assert shown[0] == "Stragglers of gpt, rank 7"
    assert shown[-1] == "trust: 75.0% explained; 4 of 8 ranks are recorded"


def test_the_critical_path_ends_with_its_trust(run: Run) -> None:
    lines = run("critical-path", "gpt#1", "--rank", "0", "--iteration", "1").stdout.splitlines()
    assert lines[0] == "Critical path of gpt#1, rank 0, iteration 1"
    assert lines[1].startswith("window 10.0 µs, from 1.00 µs to 11.0 µs")
    assert "█" * 54 + "·" * 18 in lines
    assert "█ computation 75.0%   · idle 25.0%" in lines
    assert any("kernel_9" in line for line in lines)
    assert not any("kernel_10" in line for line in lines)
    assert any("2 more operators" in line for line in lines)
    assert lines[-1] == "trust: 75.0% explained; 4 of 8 ranks are recorded"


def test_segments_are_lines_and_names_are_harmless(run: Run) -> None:
    shown = run("critical-path", "gpt", "--segments").stdout
    assert "[gemm]?[31m" in shown
    assert "+7.50 µs" in shown
    assert "train.py:12" in shown
    assert "\x1b" not in shown
    assert shown.splitlines()[-1].startswith("trust: ")


def test_the_model_tells_its_length_and_its_slack(run: Run) -> None:
    lines = run("critical-path", "gpt", "--model", "--iteration", "1").stdout.splitlines()
    assert lines[0] == "Model critical path of gpt, iteration 1"
    assert lines[1] == "length 8.00 µs, 80.0% of the 10.0 µs measured"
    assert lines[2] == "2 of 8 operators have no slack (25.0%)"
    bands = [line.strip().split("  ")[0] for line in lines[6:9]]
    assert bands == ["none", "under 10.0 µs", "1.00 s or more"]
    assert "█ computation 100.0%" in lines
    assert any(line.split() == ["1", "5.00", "µs", "62.5%"] for line in lines)
    assert any(line.startswith("[gemm]") for line in lines)
    assert lines[-1] == "trust: 4 of 8 ranks are recorded"


def test_the_models_chain_is_lines(run: Run, session: Any) -> None:
    shown = run("critical-path", "gpt", "--model", "--segments").stdout
    assert "+3.00 µs  5.00 µs     1            COMP  DATA  [gemm]?[31m" in shown
    assert "\x1b" not in shown
    empty = session.answers["slack"].segments.slice(0, 0)
    model = session.answers["slack"]
    session.answers["slack"] = replace(
        model, length_ns=0, measured_ns=None, segments=empty, by_slack=(), by_category=()
    )
    shown = run("critical-path", "gpt", "--model", "--segments").stdout
    assert "length 0 ns\n" in shown
    assert "the path has no length, and so no segments" in shown


def test_the_trust_is_one_line_however_long(run: Run, session: Any) -> None:
    long = Trust(warnings=("much to be said against it " * 10,))
    session.answers["critical-path"] = replace(session.answers["critical-path"], trust=long)
    assert run("critical-path", "gpt").stdout.splitlines()[-1] == f"trust: {long}".rstrip()


def test_an_encoding_without_drawing_characters(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii", errors="replace")
    monkeypatch.setattr("sys.stdout", stream)
    output = Output(json=False, quiet=False)
    output.show("█ kernel·µs…")
    output.document({"name": "µ"})
    stream.flush()
    assert stream.buffer.getvalue() == b'# kernel.us~\n{\n  "name": "\\u00b5"\n}\n'


def test_progress_is_for_somebody_who_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, quiet, seen in ((Terminal(), False, True), (Terminal(), True, False), (io.StringIO(), False, False)):
        monkeypatch.setattr("sys.stderr", stream)
        with watched(Settings(quiet=quiet)) as progress:
            progress("reading [rank0].json", 1, 3)
        assert ("reading [rank0].json" in stream.getvalue()) == seen


def test_a_partial_ingest_stores_what_it_can(run: Run, session: Any, bad_file_failure: Failure) -> None:
    session.ingested = Ingested((session.entry,), (bad_file_failure,))
    result = run("ingest", "runs", "--each", "--json")
    assert result.exit_code == 3
    answer = json.loads(result.stdout)
    assert [trace["id"] for trace in answer["traces"]] == [session.entry.id]
    assert answer["failures"] == [
        {
            "path": "runs/bad.json", "code": "BAD_INPUT", "hint": "look at it",
            "message": "runs/bad.json: byte 0: found a text, expected JSON",
        }
    ]  # fmt: skip
    assert "error: runs/bad.json: byte 0" in result.stderr
    assert "1 of 2 stored" in result.stderr


def test_an_ingest_of_nothing_else_is_its_error(run: Run, session: Any, bad_file_failure: Failure) -> None:
    session.ingested = Ingested((), (bad_file_failure,))
    result = run("ingest", "runs/bad.json")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith("error: runs/bad.json: byte 0: found a text, expected JSON\nhint: look at it\n")


def test_a_failed_check_is_visible_and_counts(run: Run, session: Any) -> None:
    session.diagnosis = Diagnosis((Check("python", True, "3"), Check("integrity", False, "a file is cut")), 3)
    result = run("doctor", "--verify")
    assert result.exit_code == 3
    assert ("doctor", True) in session.asked
    assert "FAIL  integrity" in result.stdout
    assert "1 of 2 checks failed" in result.stderr
