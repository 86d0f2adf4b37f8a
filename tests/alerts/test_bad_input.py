"""What cannot be checked never passes: exit codes, one sentence for the reader of a log, and no half of a report."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from etgraph.cli.main import main
from etgraph.ingest import samples
from etgraph.store import connect
from support.steps import steps

GOOD = '[[rules]]\nid = "a"\nmetric = "breakdown.idleNs"\nbudget = {max = "60 s"}\n'
COMPARES = '[[rules]]\nid = "b"\nmetric = "sum(changes.added)"\nbudget = {max = 0}\n'
TEXTS = {
    "good.toml": GOOD,
    "compares.toml": COMPARES,
    "syntax.toml": "[[rules]",
    "question.toml": GOOD.replace("breakdown", "breakdwn"),
    "field.toml": GOOD.replace("idleNs", "idle"),
    "unit.toml": GOOD.replace("60 s", "1 MB"),
    "key.toml": GOOD.replace("budget", "budgets"),
    "twice.toml": GOOD + GOOD,
    "empty.toml": "",
    "change.toml": GOOD.replace('"breakdown.idleNs"', "'whatif(scale=\"a\").predictedNs'"),
    "cut/rank0.json": '{"traceEvents": [',
    "other/rank0.json": "{}",
    "nothing/rank0.json": "",
    "text/rank0.json": "no JSON at all",
    "junk": "no store",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trace, things that are none, rules, things that are none, and a store of one run."""
    folder = tmp_path_factory.mktemp("bad")
    for name, text in TEXTS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    (folder / "bytes.toml").write_bytes(b"\xff\xfe")
    for name in ("folder.toml", "none_in_here"):
        (folder / name).mkdir()
    (folder / "loop.toml").symlink_to(folder / "loop.toml")
    (folder / "trace").symlink_to(samples.path("dlrm_alltoall"), target_is_directory=True)
    (folder / "larger").symlink_to(samples.path("gpt_ddp_5steps"), target_is_directory=True)
    (folder / "short").mkdir()
    whole = next(samples.path("dlrm_alltoall").glob("kineto_rank0*"))
    (folder / "short" / whole.name).write_bytes(whole.read_bytes()[:5000])
    (folder / "bits").mkdir()
    (folder / "bits" / whole.name).write_bytes(gzip.compress(b"{}")[:-6] + b"\0" * 6)
    with connect(folder / "store") as store:
        store.publish(steps([100] * 3), workload="gpt", branch="main")
        store.tag("gpt", "baseline")
    return folder


def rules(name: str, *more: str) -> list[str]:
    """A check of the good trace by that file."""
    return ["trace", "--rules", f"{name}.toml", *more]


CASES: Sequence[tuple[list[str], int, str]] = [
    # what is said of rules
    (rules("syntax"), 2, "syntax.toml: line 1: found what is no TOML (expected ']]'"),
    (rules("question"), 2, "line 3, rules.a.metric: found no question 'breakdwn' at character 1"),
    (rules("field"), 2, "found no field 'idle' of breakdown"),
    (rules("unit"), 2, "line 4, rules.a.budget.max: found '1 MB', expected an amount such as \"2 ms\""),
    (rules("key"), 2, "line 4, rules.a.budgets: found an unknown key"),
    (rules("change"), 2, "found scale='a' at character 1"),
    (rules("twice"), 2, "line 5, rules.a.id: found a rule 'a' as in line 1, expected an id of its own"),
    (rules("good", "--rules", "good.toml"), 2, "good.toml: line 1, rules.a.id: found the file twice"),
    (rules("empty"), 2, "empty.toml: rules: found nothing, expected rows, each [[rules]]"),
    (rules("folder"), 2, "folder.toml: found a folder, expected a TOML file"),
    (rules("loop"), 2, "loop.toml: found what cannot be read (Too many levels of symbolic links)"),
    (rules("bytes"), 2, "bytes.toml: byte 0: found bytes that are no UTF-8"),
    (rules("none"), 2, "none.toml: there is no such file"),
    (["trace", "--rules", ""], 2, "--rules: found no name, expected a file"),
    # of the call
    ([], 2, "Missing argument 'REF...'"),
    ([""], 2, "found '', expected a reference"),
    (["trace", "--baseline", " "], 2, "found ' ', expected a reference"),
    (rules("good", "--baseline", "larger"), 2, "a baseline is named (larger), and none of the rules compares"),
    (rules("compares"), 2, "compares.toml: line 1: rule 'b' compares with a baseline, and none is named"),
    (["trace", "--fail-on", "never"], 2, "'never' is not 'undecided'"),
    (["trace", "--timeout", "0"], 2, "0.0 is not in the range"),
    (["trace", "--baseline", "branch:main"], 2, "say which: --workload NAME"),
    (["trace", "--baseline", "last:0", "--workload", "gpt"], 2, "baseline 'last:0': found '0', expected last:N"),
    (["gpt", "--store", "gopher://host"], 2, "found an unknown scheme"),
    # of where reports go
    (rules("good", "--output", "nope"), 2, "found format 'nope', expected one of text, json, junit"),
    (rules("good", "--output", "junit="), 2, "a file is missing after ="),
    (rules("good", "--output", "junit=out", "--output", "json=out"), 2, "both junit and json would go to out"),
    (rules("good", "--output", "junit=out", "--output", "json=./none_in_here/../out"), 2, "both junit and json"),
    (rules("good", "--output", "text", "--output", "json"), 2, "both text and json would go to stdout"),
    (rules("good", "--output", "junit=folder.toml"), 2, "folder.toml: cannot write the junit report: Is a directory"),
    (rules("good", "--output", "junit=junk/out"), 2, "junk/out: cannot write the junit report"),
    (rules("good", "--output", "junit=good.toml"), 2, "junit=good.toml: found a file that the check reads"),
    # of traces
    (["none"], 3, "no trace answers to 'none'"),
    (["trace#9"], 3, "trace#9: no iteration 9: the trace holds 0"),
    (["none_in_here"], 3, "none_in_here: found no file that may be a trace"),
    (["cut"], 3, "rank0.json: byte 17: found the end of the file, expected an object"),
    (["other"], 3, "other: found no file that may be a trace (rank0.json: a JSON object with no keys)"),
    (["nothing"], 3, "rank0.json: found an empty file, expected a trace"),
    (["text"], 3, "rank0.json"),
    (["short"], 3, "found a gzip file that is cut short"),
    (["bits"], 3, "found "),
    (["gpt@none"], 3, "no tag, commit or label of workload gpt answers to 'none'"),
    # of baselines
    (["trace", "--baseline", "none"], 3, "no trace answers to 'none'"),
    (["trace", "--baseline", "gpt@none"], 3, "no tag, commit or label of workload gpt answers to 'none'"),
    (["trace", "--baseline", "branch:none", "--workload", "gpt"], 3, "workload 'gpt' has no trace on branch 'none'"),
    (["gpt", "--baseline", "last:3"], 3, "workload 'gpt' has no earlier trace"),
    (["trace", "--baseline", "short"], 3, "found a gzip file that is cut short"),
    # of stores
    (["gpt", "--store", "junk"], 4, "found a file, expected a folder"),
    (["gpt", "--store", "http://127.0.0.1:9"], 4, "the server http://127.0.0.1:9 cannot be reached"),
    (["gpt", "--store", "bolt://127.0.0.1:9"], 4, "store bolt://127.0.0.1:9: no answer"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "told"), CASES, ids=[" ".join(words) or "nothing" for words, _, _ in CASES])
def test_what_is_wrong_is_said_in_a_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, told: str
) -> None:
    monkeypatch.chdir(folder)
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    store = [] if "--store" in words else ["--store", str(folder / "store")]
    output = [] if any(word.startswith("junit") for word in words) else ["--output", "json=report.json"]
    found = CliRunner().invoke(main, ["check", *words, *store, *output], prog_name="etgraph")
    assert found.exit_code == code, found.output
    assert found.stderr.startswith("error: ")
    assert told in found.stderr
    assert "Traceback" not in found.output
    assert all(len(line) < 400 for line in found.stderr.splitlines())
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["gpt", "--baseline", "gpt@baseline"], "gpt is on both sides, as gpt@baseline"),
        (["trace", "larger", "--baseline", "trace"], "ranks recorded: 0, 1 in larger, 0, 1, 2, 3 in trace"),
        (["trace", "--baseline", "./trace"], "trace is on both sides, as ./trace"),
        (["trace", "--baseline", "larger"], "ranks recorded: 0, 1, 2, 3 in trace, 0, 1 in larger"),
        (["larger#0,1", "--baseline", "larger#1,2"], "larger#0,1 is on both sides, as larger#1,2"),
    ],
)
def test_what_cannot_be_compared_is_reported_and_never_passes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], told: str
) -> None:
    monkeypatch.chdir(folder)
    given = ["--rules", "compares.toml", "--store", str(folder / "store")]
    found = CliRunner().invoke(main, ["check", *words, *given], prog_name="etgraph")
    assert found.exit_code == 3, found.output
    assert told in " ".join(found.output.split())


def test_a_file_that_may_not_be_read_is_no_empty_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another user, since nothing keeps root from reading; the system's answer is what counts."""
    from etgraph.model.errors import EtgraphError
    from etgraph.model.settings.document import text_of

    path = folder / "secret.toml"
    path.write_text(GOOD, "utf-8")
    path.chmod(0)

    def refused(*args: object, **more: object) -> str:
        raise PermissionError(13, os.strerror(13), str(path))

    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(EtgraphError, match=r"found what cannot be read \(Permission denied\), expected a TOML file"):
        text_of(path, "")
    path.unlink()
