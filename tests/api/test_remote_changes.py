"""What changes a store does the same to a server's: names, saved answers, removals, uploads; and what it exports."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from etgraph.alerts.standing.naming import short
from etgraph.api.http.app import create_app
from etgraph.api.running.serving import the_schema
from etgraph.cli.main import main
from etgraph.ingest import samples
from etgraph.queries.questions import QUESTIONS
from etgraph.store import Store, connect
from support.api import serving
from support.uploading import kineto, working

MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d\.\d+Z)?")
PLACE = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
FILE = samples.path("dlrm_alltoall") / "kineto_rank0.json.gz"


def call(store: str, *arguments: str | Path) -> Result:
    """Call etgraph on a store."""
    return CliRunner().invoke(main, [*map(str, arguments), "--store", store], prog_name="etgraph")


@dataclass(frozen=True)
class Twins:
    """Two stores with the same in them: a folder, and one behind a server, whose jobs are done."""

    folder: str
    url: str
    served: Store

    def both(self, *arguments: str | Path) -> list[tuple[int, str, str]]:
        """What a call gives on each: first the folder's, then the server's."""
        found = [call(store, *arguments) for store in (self.folder, self.url)]
        return [
            (
                each.exit_code,
                MOMENT.sub("NOW", each.stdout),
                each.stderr.replace(self.url, "STORE").replace(self.folder, "STORE"),
            )
            for each in found
        ]


@pytest.fixture(scope="module")
def twins(samples_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    folder = tmp_path_factory.mktemp("twins")
    for name in ("here", "there"):
        shutil.copytree(samples_store.url.removeprefix("file://"), folder / name)
    with connect(folder / "there") as store, working(store), serving(create_app(store, the_schema())) as url:
        yield Twins(str(folder / "here"), url, store)


CHANGES = (
    "label gpt reviewed=yes", "label gpt reviewed=yes --json", "label gpt x", "label nothing a=b", "label gpt#0 a=b",
    "tag gpt newest", "tag gpt@base newest --json", "tag gpt 'no tag'", "tag nothing newest", "tag ./here.json newest",
    "untag gpt@newest", "untag gpt@newest --json", "untag gpt", "ls --json",
    "breakdown dlrm --save --json", "critical-path dlrm#0 --save --json", "waterfall dlrm --save --json",
    "workloads --json", "workloads", "breakdown ./nothing.json --save",
    "hotspots dlrm --save --profile h100-sxm --json",
    "whatif dlrm --scale aten::mm=0.5 --save --json", "simulate dlrm --profile dgx-h100 --save --json",
    "simulations dlrm --json", "simulations dlrm --score --json",
    "rm nothing", "rm gpt@base nothing", "rm gpt@base", "rm gpt@base", "ls --json", "rm dlrm#0", "rm gpt --json",
)  # fmt: skip


def test_changes_one_after_another(twins: Twins) -> None:
    for each in CHANGES:
        here, there = twins.both(*shlex.split(each))
        assert there == here, each
    kept = {artefact.kind for artefact in twins.served.artefacts(twins.served.find("dlrm").id)}
    assert {"breakdown", "critical-path", "waterfall", "hotspots", "whatif"} & set(QUESTIONS) <= kept


@pytest.mark.parametrize(
    "call",
    [
        "dlrm --format chrome", "dlrm#0 --format perfetto", "dlrm --format speedscope", "dlrm --format dot",
        "dlrm --format graphml", "dlrm --format networkx", "dlrm --format parquet", "dlrm --format chakra",
        "dlrm --format chakra-json", "dlrm --format chakra --for astra-sim", "nothing --format dot",
        "dlrm --format dot --for astra-sim", "dlrm dlrm --format dot",
    ],
)  # fmt: skip
def test_an_export_is_the_same(twins: Twins, tmp_path: Path, call: str) -> None:
    target = tmp_path / "export"
    said, held = [], []
    for store in (twins.folder, twins.url):
        found = CliRunner().invoke(main, ["export", *shlex.split(call), "-o", str(target), "--json", "--store", store])
        said.append((found.exit_code, found.stdout, found.stderr.replace(twins.url, "S").replace(twins.folder, "S")))
        files = [target] if target.is_file() else sorted(target.rglob("*"))
        held.append({file.name: file.read_bytes() for file in files if file.is_file()})
        if target.is_dir():
            shutil.rmtree(target)
        target.unlink(missing_ok=True)
    assert said[1] == said[0]
    assert held[1] == held[0]
    assert bool(held[0]) == (said[0][0] == 0)


def test_an_export_to_stdout(twins: Twins) -> None:
    here, there = twins.both("export", "dlrm", "--format", "dot", "-o", "-")
    assert there == here
    assert there[1].startswith("digraph")


def test_files_that_are_pushed_are_what_ingest_makes_of_them(twins: Twins, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "deep").mkdir(parents=True)
    for rank, place in enumerate(("rank0.json", "deep/rank1.json")):
        (run / place).write_bytes(kineto("aten::mm", rank, 2))
    options = ("--workload", "pushed", "--label", "a=b", "--commit", "abcdef0", "--branch", "main", "--json")
    here, there = twins.both("ingest", run, FILE, *options)
    assert there == here
    for command in ("push", "ingest"):
        again = call(twins.url, command, run, FILE, *options)
        assert (again.exit_code, MOMENT.sub("NOW", again.stdout)) == there[:2]
    assert [each.workload for each in twins.served.traces(workload="pushed")] == ["pushed", "pushed"]


def test_what_cannot_be_read_is_told_as_ingest_tells_it(twins: Twins, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    assert call(twins.url, "push", tmp_path / "bad.json").exit_code == 3
    both = call(twins.url, "push", tmp_path / "bad.json", FILE, tmp_path / "nothing", tmp_path / "empty", "--json")
    found = json.loads(both.stdout)
    assert both.exit_code == 3
    assert len(found["traces"]) == 1
    assert [each["code"] for each in found["failures"]] == ["BAD_INPUT", "NOT_FOUND", "BAD_INPUT"]
    assert call(twins.url, "ingest", FILE, "--team", "ads").exit_code == 2
    assert call(twins.folder, "push", FILE).exit_code == 2


def test_jobs_are_listed_told_and_waited_for(twins: Twins, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_bytes(kineto("aten::add"))
    pushed = json.loads(call(twins.url, "push", tmp_path / "one.json", "--no-wait", "--json").stdout)["jobs"]
    (job_id,) = (each["id"] for each in pushed)
    assert call(twins.url, "push", tmp_path / "one.json", "-q").exit_code == 0
    told = json.loads(call(twins.url, "jobs", job_id, "--json").stdout)["job"]
    assert (told["id"], told["state"], len(told["traceIds"])) == (job_id, "done", 1)
    assert job_id in call(twins.url, "jobs", "-q").stdout.split()
    behind = twins.served.url.removeprefix("file://")
    for arguments in (("jobs",), ("jobs", job_id), ("jobs", "--json"), ("jobs", "--state", "failed", "--limit", "1")):
        assert call(twins.url, *arguments).stdout == call(behind, *arguments).stdout
    assert told["traceIds"][0] in call(twins.url, "jobs", job_id).stdout
    assert json.loads(call(twins.url, "jobs", job_id, "--cancel", "--json").stdout)["job"]["state"] == "done"
    assert call(twins.url, "jobs", "0" * 24).exit_code == 3
    assert call(twins.url, "jobs", "--cancel").exit_code == 2


def test_what_runs_on_this_machine_alone_says_so(twins: Twins, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text('base = ["h100-sxm"]\n')
    for arguments in (
        ("compare", "dlrm", FILE), ("simulate", "dlrm", "--import", tmp_path / "x.csv"),
        ("profile", "fit", "dlrm", "-o", tmp_path / "p.toml"),
        ("export", "dlrm", "--format", "neo4j-csv", "-o", tmp_path / "csv"),
        ("cypher", "CREATE ()", "--write"),
    ):  # fmt: skip
        found = call(twins.url, *arguments)
        assert found.exit_code == 2, (arguments, found.stderr)
    assert (
        call(twins.url, "compare", FILE, FILE, "--json").stdout
        == call(twins.folder, "compare", FILE, FILE, "--json").stdout
    )
    assert call(twins.url, "breakdown", FILE).stdout == call(twins.folder, "breakdown", FILE).stdout


def test_a_picture_is_drawn_of_a_servers_answer(twins: Twins, tmp_path: Path) -> None:
    for store, name in ((twins.folder, "here"), (twins.url, "there")):
        found = call(store, "critical-path", "dlrm", "--json", "--plot", tmp_path / f"{name}.html")
        assert found.exit_code == 0, found.stderr
    here, there = (PLACE.sub("", (tmp_path / f"{name}.html").read_text()) for name in ("here", "there"))
    assert there == here


ALERTING = (
    "rules list", "alerts evaluate dlrm -q", "rules push nightly RULES --workload 'd*' --team ads --json",
    "rules push nightly RULES --team ads", "rules push own RULES", "rules push own default --json", "rules list --json",
    "alerts list --json", "alerts evaluate dlrm", "alerts evaluate dlrm --json",
    "alerts list --json", "alerts list -q", "alerts list", "alerts show ALERT --json", "alerts show ALERT",
    "alerts acknowledge ALERT --note 'looking into it' --json", "alerts acknowledge ALERT",
    "alerts silence --rule 'o*' --reason known --for 3d --team ads --json", "alerts list --state silenced --json",
    "alerts silence --workload dlrm --reason known --until 2020-01-01 --from 2020-01-01", "alerts silences",
    "alerts silences --remove SILENCE", "alerts silences --json", "alerts silences --expired -q",
    "rules remove nightly", "alerts list --state resolved --json", "rules remove nightly --team ads",
    "rules remove own --json", "alerts acknowledge ALERT --note late",
)  # fmt: skip
REFUSED = {
    "alerts evaluate dlrm -q", "alerts silence --workload dlrm --reason known --until 2020-01-01 --from 2020-01-01",
    "rules remove nightly --team ads", "alerts acknowledge ALERT --note late",
}  # fmt: skip
OF_ONE_CHECK = re.compile(r'"durationNs": \d+|\b[0-9a-f]{14}(?=[0-9a-f]{18}\b)')
"""How long it took, and the moment in names."""
FEW = """
[[rules]]
id = "operators"
metric = "sum(structure.operators.count)"
budget = {max = 1}
"""


def test_rules_and_alerts_one_after_another(twins: Twins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "local")  # what a server calls who reaches it on its own machine
    (tmp_path / "rules.toml").write_text(FEW)
    silences: dict[str, str] = {twins.folder: "none", twins.url: "none"}
    alert = ""

    def said(store: str, line: str) -> tuple[int, str, str]:
        words = {"RULES": str(tmp_path / "rules.toml"), "ALERT": alert, "SILENCE": silences[store]}
        found = call(store, *(words.get(word, word) for word in shlex.split(line)))
        for silence in call(store, "alerts", "silences", "-q").stdout.split():
            silences[store] = silence
        texts = []
        for text in (found.stdout, found.stderr.replace(store, "STORE")):
            for told in (silences[store], short(silences[store])):
                text = text.replace(told, "SILENCE") if told else text
            texts.append(OF_ONE_CHECK.sub("", MOMENT.sub("NOW", text)))
        return found.exit_code, texts[0], texts[1]

    refused = []
    for line in ALERTING:
        here, there = (said(store, line) for store in (twins.folder, twins.url))
        assert there == here, line
        refused += [line] if here[0] else []
        if line == "alerts list -q":
            (alert,) = call(twins.folder, "alerts", "list", "-q").stdout.split()
    assert refused == [each for each in ALERTING if each in REFUSED]
