"""What the pages about alerts show is so: commands run, outputs are theirs, rules and metrics mean something."""

from __future__ import annotations

import html
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result

from etgraph.alerts.language.meaning import metric
from etgraph.alerts.language.vocabulary import QUESTIONS
from etgraph.alerts.rules.reading import default_pack, loads
from etgraph.alerts.rules.trying import read_tests
from etgraph.cli.main import main
from etgraph.ingest import samples
from etgraph.store import connect
from support.steps import steps

ROOT = Path(__file__).resolve().parents[2]
PAGES = {path.name: path.read_text("utf-8") for path in sorted((ROOT / "docs" / "alerts").glob("*.md"))}
PAGES["cli.md"] = (ROOT / "docs" / "cli.md").read_text("utf-8").partition("\n## Alerts\n")[2].partition("\n## ")[0]
PAGES["README.md"] = (ROOT / "README.md").read_text("utf-8")
ACTION = yaml.safe_load((ROOT / "ci" / "github" / "action.yml").read_text("utf-8"))
TEMPLATE = yaml.safe_load((ROOT / "ci" / "gitlab" / "etgraph.yml").read_text("utf-8"))
ALERTS = ("check", "rules", "history")
LEFT_OUT = "…"
RULES = """
[[rules]]
id = "step-time"
metric = "iterations.durationNs"
regression = {max_increase = "3%"}
"""


def blocks(page: str, language: str, section: str = "") -> list[str]:
    """The blocks of a page, or of a section of it, in that language."""
    text = PAGES[page]
    if section:
        text = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^```([a-z]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for of, block in found if of == language]


def commands(script: str) -> Iterator[list[str]]:
    """The words of every call of etgraph in a shell script."""
    for line in script.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["etgraph"]:
            yield words[1:]


def _shown() -> Iterator[tuple[str, list[str]]]:
    for page in PAGES:
        for block in blocks(page, "sh"):
            for words in commands(block):
                if words[0] in ALERTS:
                    yield page, words


SHOWN = list(_shown())


def _linked(folder: Path, leads: Mapping[str, Path]) -> None:
    for name, path in leads.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(path, target_is_directory=True)


def _one_step(folder: Path, microseconds: int) -> None:
    """A run of one rank as a profiler writes it, with a step that takes so long."""
    folder.mkdir(parents=True)
    of = {"ph": "X", "pid": 1, "tid": 1, "ts": 0}
    events = [
        of | {"cat": "user_annotation", "name": "ProfilerStep#0", "dur": microseconds},
        of | {"cat": "cpu_op", "name": "aten::mm", "dur": microseconds - 1},
    ]
    document = {"schemaVersion": 1, "distributedInfo": {"rank": 0, "world_size": 1}, "traceEvents": events}
    (folder / "rank0.json").write_text(json.dumps(document), "utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples speak of: runs in folders, a file of rules, and a store with runs of a workload."""
    folder = tmp_path_factory.mktemp("documented")
    leads = {"runs/fast": samples.path("gpt_ddp"), "runs/slow": samples.path("gpt_ddp_regressed")}
    _linked(folder, leads | {"runs/ab": samples.path("gpt_ddp_5steps")})
    names = (
        "runs/before",
        "runs/after",
        "runs/new",
        "runs/a",
        "runs/b",
        "runs/new_1",
        "runs/new_2",
        "runs/old_1",
        "runs/old_2",
    )
    for number, name in enumerate((*names, "traces/new", "traces/main")):
        _one_step(folder / name, 1000 + number)
    (folder / "perf").mkdir()
    (folder / "perf" / "rules.toml").write_text(RULES, "utf-8")
    (folder / "rules.toml").write_text(blocks("rules.md", "toml")[0], "utf-8")
    with connect(folder / "store") as store:
        for number in range(8):
            store.publish(steps([100_000 + number] * 3), workload="gpt", branch="main")
            if number == 0:
                store.tag("gpt", "baseline")
    return folder


@pytest.fixture
def call(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Call etgraph there."""
    monkeypatch.chdir(folder)

    def call(*words: str) -> Result:
        return CliRunner().invoke(main, [*words, "--store", str(folder / "store")], prog_name="etgraph")

    return call


def test_the_pages_show_commands() -> None:
    assert {page for page, _ in SHOWN} >= {"rules.md", "reports.md", "statistics.md", "ci.md", "cli.md", "README.md"}
    assert len(SHOWN) >= 12


@pytest.mark.parametrize(("page", "words"), SHOWN, ids=[f"{page}: {' '.join(words)}" for page, words in SHOWN])
def test_a_command_that_is_shown_runs(call: Callable[..., Result], page: str, words: list[str]) -> None:
    if "-o" in words:  # which does not overwrite
        own = Path(words[words.index("-o") + 1])
        words = [str(own.with_stem("first")) if word == str(own) else word for word in words]
        own.with_stem("first").unlink(missing_ok=True)
    found = call(*words)
    assert found.exit_code in (0, 1), found.output
    assert "error:" not in found.output


# Outputs


def pattern(shown: str) -> re.Pattern[str]:
    """An output as a page shows it: whitespace may be other whitespace, `…` stands for anything that is left out."""
    parts = [r"\s+".join(map(re.escape, part.split())) for part in shown.split(LEFT_OUT)]
    return re.compile(".*?".join(rf"\s*{part}\s*" for part in parts), re.DOTALL)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Every report of the check that docs/alerts/reports.md shows, by its format."""
    out = tmp_path_factory.mktemp("reports")
    _linked(out, {"runs/before": samples.path("gpt_ddp"), "runs/after": samples.path("gpt_ddp_regressed")})
    formats = ("text", "junit", "gitlab", "markdown", "github")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(out)
        outputs = [f"--output={each}={out / each}" for each in formats]
        found = CliRunner().invoke(main, ["check", "runs/after", "--baseline", "runs/before", *outputs])
    assert found.exit_code == 1, found.output
    return {each: (out / each).read_text("utf-8") for each in formats}


@pytest.mark.parametrize(("section", "language", "format"), [
    ("Text", "", "text"), ("JUnit", "xml", "junit"), ("GitHub", "", "github"),
])  # fmt: skip
def test_a_report_is_as_it_is_shown(reports: Mapping[str, str], section: str, language: str, format: str) -> None:
    (shown,) = blocks("reports.md", language, section)
    assert pattern(html.unescape(shown)).search(html.unescape(reports[format])), reports[format]


def test_markdown_is_as_it_is_shown(reports: Mapping[str, str]) -> None:
    shown = "\n".join(re.findall(r"^> ?(.*)$", PAGES["reports.md"], re.MULTILINE))
    assert pattern(shown).search(reports["markdown"]), reports["markdown"]


def test_a_problem_of_gitlab_is_as_it_is_shown(reports: Mapping[str, str]) -> None:
    (block,) = blocks("reports.md", "json", "GitLab")
    shown = json.loads(block)
    (own,) = (each for each in json.loads(reports["gitlab"]) if each["check_name"] == shown["check_name"])
    assert pattern(shown.pop("description")).match(own.pop("description"))
    assert own == shown


# Rules, tests of them and metrics


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "toml")])
def test_rules_that_are_shown_are_rules(tmp_path: Path, page: str) -> None:
    for block in blocks(page, "toml"):
        if "[[tests]]" in block:
            (tmp_path / "tests.toml").write_text(block, "utf-8")
            assert len(read_tests(tmp_path / "tests.toml").tests) == block.count("[[tests]]")
        else:
            assert len(loads(block, file=page)) == block.count("[[rules]]") > 0


def test_tests_of_rules_that_are_shown_hold(call: Callable[..., Result], folder: Path) -> None:
    (tests,) = (block for block in blocks("rules.md", "toml") if "[[tests]]" in block)
    (folder / "shown.toml").write_text(tests.replace("rules.toml", "default"), "utf-8")
    found = call("rules", "test", "shown.toml")
    assert found.exit_code == 0, found.output


def test_metrics_that_are_shown_mean_something() -> None:
    found = [line for block in blocks("rules.md", "", "Metrics") for line in block.splitlines()]
    assert len(found) >= 6
    for line in found:
        metric(re.split(r"\s{2,}", line)[0])
    for span, name in re.findall(r"`((?:sum\()?([a-zA-Z]+)[^`\n]*\.[a-zA-Z]+\)?)`", PAGES["rules.md"]):
        if name in QUESTIONS:
            metric(span)


def test_the_rules_that_come_with_etgraph_are_listed_as_they_are() -> None:
    listed = dict(re.findall(r"^\| `([a-z-]+)` \| (error|warn) \|", PAGES["rules.md"], re.MULTILINE))
    text, _ = default_pack()
    assert listed == {placed.rule.id: placed.rule.level for placed in loads(text)}


# Pieces of Python


@pytest.mark.parametrize("page", ["statistics.md", "reports.md"])
def test_pieces_of_python_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from etgraph.alerts.findings import CheckResult

    monkeypatch.chdir(tmp_path)
    runs = [np.array([100.0, 101.0, 99.0]), np.array([103.0, 102.0, 101.0])]
    for block in blocks(page, "python"):
        exec(block, {"after": runs, "before": runs, "result": CheckResult("ok", ("a",), (), ())})


def test_the_test_that_is_shown_is_one() -> None:
    (block,) = blocks("ci.md", "python")
    given: dict[str, Any] = {}
    exec(block, given)
    assert [name for name in given if name.startswith("test_")] == ["test_the_step_is_as_quick_as_it_was"]


# Workflows


def parsed(words: list[str]) -> None:
    """Read a call of etgraph as the command line reads it, without doing anything. Raises click.UsageError."""
    group: Any = main
    with click.Context(main) as context:
        name, command, rest = group.resolve_command(context, words)
        if isinstance(command, click.Group):
            with click.Context(command) as inner:
                name, command, rest = command.resolve_command(inner, rest)
        command.make_context(name, list(rest))


def scripts(value: Any) -> Iterator[str]:
    """Every script of a workflow: what is under `run`, `script` and the like."""
    if isinstance(value, list):
        for each in value:
            yield from scripts(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key in ("run", "script", "before_script"):
                yield from [each] if isinstance(each, str) else each
            else:
                yield from scripts(each)


def uses(value: Any) -> Iterator[Mapping[str, str]]:
    """What is given to etgraph's action wherever it is used."""
    if isinstance(value, list):
        for each in value:
            yield from uses(each)
    elif isinstance(value, dict):
        if "etgraph/ci/github" in str(value.get("uses", "")):
            yield value["with"]
        for each in value.values():
            yield from uses(each)


WORKFLOWS = [yaml.safe_load(block) for block in blocks("ci.md", "yaml")]


def test_workflows_give_the_action_what_it_takes() -> None:
    given = list(uses(WORKFLOWS))
    assert len(given) == 2
    required = {name for name, each in ACTION["inputs"].items() if each.get("required")}
    for each in given:
        assert required <= set(each) <= set(ACTION["inputs"])
    documented = {
        name
        for row in re.findall(r"^\| (`.*?) \|", PAGES["ci.md"], re.MULTILINE)
        for name in re.findall("`(.*?)`", row)
    }
    assert set(ACTION["inputs"]) - {"github-token"} <= documented


def test_jobs_set_variables_that_the_template_has() -> None:
    (workflow,) = (each for each in WORKFLOWS if "performance" in each)
    job = workflow["performance"]
    assert job["extends"] in TEMPLATE
    assert set(job["variables"]) <= set(TEMPLATE[job["extends"]]["variables"])
    assert job["needs"] == [job["variables"]["ETGRAPH_BASELINE_JOB"]] == [name for name in workflow if name == "train"]


def test_workflows_call_etgraph_as_it_can_be_called() -> None:
    found = [words for script in scripts(WORKFLOWS) for words in commands(script)]
    assert [words[0] for words in found] == ["push"]
    for words in found:
        parsed(words)
    with pytest.raises(click.UsageError):
        parsed(["push", "traces/", "--branches", "main"])
    for span in re.findall(r"`etgraph ([^`]+)`", "".join(PAGES[page] for page in PAGES if page != "cli.md")):
        words = shlex.split(span)
        if words[0] in ALERTS and len(words) > (2 if words[0] == "rules" else 1):
            parsed(words)
