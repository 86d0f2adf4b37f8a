"""The GitHub action and the GitLab template: their form, and their steps really executed, by stand-ins for a runner."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from lxml import etree

from etgraph.ingest import samples
from support.report_readers import annotations

CI = Path(__file__).resolve().parents[2] / "ci"
ACTION: dict[str, Any] = yaml.safe_load((CI / "github" / "action.yml").read_text())
TEMPLATE: dict[str, Any] = yaml.safe_load((CI / "gitlab" / "etgraph.yml").read_text())[".etgraph check"]
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
RULES = (
    "[[rules]]\nid = 'no-more-collectives'\nmetric = 'sum(changes[kind=\"collective\"].added)'\nbudget = {max = 0}\n"
)
REAL = f'#!/bin/sh\nexec {sys.executable} -m etgraph.cli "$@"\n'
NOTES = f"""#!{sys.executable}
import json, os, pathlib, sys
with open("called.jsonl", "a") as file:
    file.write(json.dumps([sys.argv[1:], os.environ.get("ETGRAPH_TOKEN")]) + "\\n")
for word in sys.argv:
    if word.startswith(("json=", "github=")):
        path = pathlib.Path(word.partition("=")[2])
        path.write_text('{{"status": "ok"}}' if word.startswith("json") else "")
"""
"""A command that notes how it is called, and leaves what a check leaves."""


@dataclass
class Runner:
    """A machine that executes steps: its workspace, its commands, and what the steps so far have said."""

    folder: Path
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("bin", "work", "temp"):
            (self.folder / name).mkdir()
        self.work = self.folder / "work"
        self.command("python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')

    def command(self, name: str, text: str) -> None:
        """Have a command of this name."""
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def shell(self, words: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Execute a program in the workspace."""
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            words,
            cwd=self.work,
            env=os.environ | dict(environment) | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )

    def step(self, name: str) -> subprocess.CompletedProcess[str]:
        """Execute a step of the action as GitHub does, and keep its outputs."""
        step = STEPS[name]
        given = {key: str(each.get("default", "")) for key, each in ACTION["inputs"].items()} | self.inputs

        def meant(match: re.Match[str]) -> str:
            kind, *path = re.split(r"\.", match[1].split("||")[0].strip())
            if kind == "inputs":
                return given[path[0]]
            return self.outputs.get(path[0], {}).get(path[2], "") if kind == "steps" else "7"

        (self.folder / "script").write_text(step["run"])
        output = self.folder / "output"
        output.write_text("")
        environment = {key: re.sub(r"\$\{\{(.*?)\}\}", meant, value) for key, value in step["env"].items()}
        environment |= {
            "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
            "RUNNER_TEMP": str(self.folder / "temp"), "GITHUB_REPOSITORY": "team/gpt",
            "GITHUB_WORKFLOW_REF": "team/gpt/.github/workflows/perf.yml@refs/heads/change",
        }  # fmt: skip
        done = self.shell(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(self.folder / "script")], environment
        )
        said = dict(line.split("=", 1) for line in output.read_text().splitlines())
        self.outputs[step.get("id", name)] = said
        return done

    def job(self, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Execute the GitLab template's script as a runner does."""
        script = "set -eu\n" + "\n".join(TEMPLATE["script"])
        given = {key: str(value) for key, value in TEMPLATE["variables"].items()} | dict(variables)
        return self.shell(["sh", "-c", script], given | {"ETGRAPH_INSTALL": ""})

    def calls(self) -> list[tuple[list[str], str | None]]:
        """How the command that notes its calls was called."""
        return [tuple(json.loads(line)) for line in (self.work / "called.jsonl").read_text().splitlines()]


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("github/action.yml", ["vendor.github-actions"]),
        ("gitlab/etgraph.yml", ["vendor.gitlab-ci", "--data-transform", "gitlab-ci"]),
    ],
)
def test_the_published_schema_takes_it(file: str, options: list[str]) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "check_jsonschema", "--builtin-schema", *options]
    done = subprocess.run([*command, str(CI / file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_step_has_an_expression_in_its_code() -> None:
    assert [name for name, step in STEPS.items() if "${{" in step.get("run", "")] == []


def test_every_input_is_used_and_every_output_is_made() -> None:
    text = (CI / "github" / "action.yml").read_text()
    used = set(re.findall(r"inputs\.([\w-]+)", text))
    assert used == set(ACTION["inputs"])
    made = set(re.findall(r'echo "(\w+)=', STEPS["Check"]["run"]))
    assert set(re.findall(r"steps\.check\.outputs\.(\w+)", text)) <= made


@pytest.mark.parametrize("code", [step["run"] for step in STEPS.values() if "run" in step], ids=lambda code: code[:20])
def test_bash_takes_the_code(code: str) -> None:
    subprocess.run(["bash", "-n"], input=code, text=True, check=True)


def test_the_action_fails_a_build_that_got_slower(runner: Runner) -> None:
    runner.command("etgraph", REAL)
    (runner.work / "perf.toml").write_text(RULES)
    runner.inputs = {
        "traces": f"{samples.path('gpt_ddp_regressed')}\n",
        "baseline": str(samples.path("gpt_ddp")),
        "rules": "perf.toml",
    }
    done = runner.step("Check")
    assert done.returncode == 0, done.stderr
    told = runner.outputs["check"]
    assert (told["status"], told["code"], told["made"]) == ("regressed", "1", "true")
    reports = Path(told["reports"])
    assert {path.name for path in reports.iterdir()} == {
        "report.json", "report.sarif", "junit.xml", "comment.md", "annotations.txt"
    }  # fmt: skip
    (annotation,) = annotations((reports / "annotations.txt").read_text())
    assert annotation.properties["file"] == "perf.toml"
    assert "ERROR no-more-collectives" in done.stdout
    assert "::error file=perf.toml,line=1,title=no-more-collectives" in done.stdout
    assert "no-more-collectives" in (runner.folder / "summary.md").read_text()
    assert runner.step("Conclude").returncode == 1


def test_the_action_says_when_the_check_could_not_be_made(runner: Runner) -> None:
    runner.command("etgraph", REAL)
    runner.inputs = {"traces": "nothing-here.json"}
    done = runner.step("Check")
    assert (runner.outputs["check"]["status"], runner.outputs["check"]["code"]) == ("error", "3")
    assert "::error title=etgraph::the check could not be made" in done.stdout
    assert runner.step("Conclude").returncode == 3


def test_inputs_are_words_and_not_code(runner: Runner) -> None:
    runner.command("etgraph", NOTES)
    (runner.work / "runs").mkdir()
    for name in ("a", "b c"):
        (runner.work / "runs" / name).touch()
    runner.inputs = {
        "traces": "runs/*\n  $(touch pwned)\n\n--help\n", "baseline": "`touch pwned`\nlast:3",
        "workload": "a; touch pwned", "rules": "x.toml",
        "server": "http://perf:8321", "token": "etg_1_secret", "fail-on-undecided": "true",
    }  # fmt: skip
    assert runner.step("Check").returncode == 0
    ((words, token),) = runner.calls()
    end = words.index("--")
    assert words[end + 1 :] == ["runs/a", "runs/b c", "$(touch pwned)", "--help"]
    named = [pair for pair in itertools.pairwise(words[:end]) if pair[0].startswith("--") and pair[0] != "--output"]
    assert named == [
        ("--rules", "x.toml"), ("--baseline", "`touch pwned`"), ("--baseline", "last:3"),
        ("--workload", "a; touch pwned"), ("--fail-on", "undecided"), ("--store", "http://perf:8321"),
    ]  # fmt: skip
    assert token == "etg_1_secret"
    assert not (runner.work / "pwned").exists()


GH = """#!/bin/sh
echo "$@" >>gh.log
case "$1 $2" in
  "run list") echo 42 ;;
  "run download") while [ "$1" != --dir ]; do shift; done; echo trace >"$2/kineto_rank0.json" ;;
esac
"""


def test_the_baseline_is_an_artifact_of_the_last_good_run(runner: Runner) -> None:
    runner.command("gh", GH)
    runner.command("etgraph", NOTES)
    runner.inputs = {"traces": "runs/new", "baseline-artifact": "baseline", "baseline-branch": "main"}
    assert runner.step("Restore the baseline").returncode == 0
    listed, downloaded = (runner.work / "gh.log").read_text().splitlines()
    assert "--workflow perf.yml --branch main --status success" in listed
    assert downloaded.startswith("run download 42 --repo team/gpt --name baseline --dir ")
    restored = runner.outputs["restore"]["folder"]
    runner.step("Check")
    runner.inputs["baseline-paths"] = "kineto*.json"
    runner.step("Check")
    whole, some = [words[words.index("--baseline") + 1] for words, _ in runner.calls()]
    assert (whole, some) == (restored, f"{restored}/kineto_rank0.json")


@pytest.mark.parametrize(("missing", "status", "code"), [("fail", "error", 3), ("warn", "no-baseline", 0)])
def test_without_that_artifact_the_check_fails_unless_told_otherwise(
    runner: Runner, missing: str, status: str, code: int
) -> None:
    runner.command("gh", "#!/bin/sh\nexit 0\n")
    runner.inputs = {"traces": "runs/new", "baseline-artifact": "baseline", "missing-baseline": missing}
    assert runner.step("Restore the baseline").returncode == 0
    done = runner.step("Check")
    assert (done.returncode, runner.outputs["check"]["status"]) == (0, status)
    assert f"::{'error' if code else 'warning'} title=etgraph::" in done.stdout
    assert runner.step("Conclude").returncode == code


@pytest.mark.parametrize("before", ["", "11\n12"])
def test_the_comment_is_made_once_and_then_updated(runner: Runner, before: str) -> None:
    runner.command("gh", f'#!/bin/sh\necho "$@" >>gh.log\ncase "$*" in *--paginate*) printf "%s" "{before}" ;; esac\n')
    runner.outputs["check"] = {"reports": "reports"}
    assert runner.step("Comment").returncode == 0
    _, *rest = (runner.work / "gh.log").read_text().replace("\n12", "").splitlines()
    where = "--method PATCH repos/team/gpt/issues/comments/11" if before else "repos/team/gpt/issues/7/comments"
    assert rest == [f"api --silent {where} -F body=@reports/comment.md"]


def test_gitlab_fails_a_pipeline_that_got_slower(runner: Runner) -> None:
    runner.command("etgraph", REAL)
    (runner.work / "perf.toml").write_text(RULES)
    done = runner.job(
        {
            "ETGRAPH_TRACES": f"{samples.path('gpt_ddp_regressed')}",
            "ETGRAPH_BASELINE": f"{samples.path('gpt_ddp')}",
            "ETGRAPH_RULES": "perf.toml",
        }
    )
    assert done.returncode == 1, done.stderr
    assert "ERROR no-more-collectives" in done.stdout
    junit = etree.parse(runner.work / TEMPLATE["artifacts"]["reports"]["junit"])
    assert junit.getroot().get("failures") == "1"
    quality = json.loads((runner.work / TEMPLATE["artifacts"]["reports"]["codequality"]).read_text())
    assert [(each["check_name"], each["location"]["path"]) for each in quality] == [
        ("no-more-collectives", "perf.toml")
    ]


@pytest.fixture
def artifacts() -> Iterator[tuple[HTTPServer, list[tuple[str, str | None]]]]:
    """A server that has the artifacts of one job."""
    asked: list[tuple[str, str | None]] = []
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("traces/kineto_rank0.json", "{}")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("JOB-TOKEN")))
            self.send_response(200 if "job=train" in self.path else 404)
            self.end_headers()
            self.wfile.write(archive.getvalue())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server, asked
        server.shutdown()
        thread.join()


def gitlab(server: HTTPServer, **variables: str) -> dict[str, str]:
    """What GitLab tells a job of itself."""
    url = f"http://127.0.0.1:{server.server_address[1]}/api/v4"
    return {
        "CI_API_V4_URL": url, "CI_PROJECT_ID": "5", "CI_DEFAULT_BRANCH": "main/x", "CI_JOB_TOKEN": "secret",
        "ETGRAPH_TRACES": "traces", **variables,
    }  # fmt: skip


def test_gitlab_takes_the_baseline_from_a_job(runner: Runner, artifacts: tuple[HTTPServer, list[Any]]) -> None:
    runner.command("etgraph", NOTES)
    done = runner.job(
        gitlab(artifacts[0], ETGRAPH_BASELINE_JOB="train", ETGRAPH_SERVER="http://perf", ETGRAPH_WORKLOAD="$(x)")
    )
    assert done.returncode == 0, done.stderr
    assert artifacts[1] == [("/api/v4/projects/5/jobs/artifacts/main%2Fx/download?job=train", "secret")]
    ((words, _),) = runner.calls()
    assert words[:7] == [
        "check",
        "--baseline",
        "etgraph-baseline/traces",
        "--workload",
        "$(x)",
        "--store",
        "http://perf",
    ]
    assert words[-2:] == ["--", "traces"]
    assert (runner.work / "etgraph-baseline" / "traces" / "kineto_rank0.json").read_text() == "{}"


@pytest.mark.parametrize(("missing", "code"), [("fail", 3), ("warn", 0)])
def test_gitlab_without_a_baseline_fails_unless_told_otherwise(
    runner: Runner, artifacts: tuple[HTTPServer, list[Any]], missing: str, code: int
) -> None:
    done = runner.job(gitlab(artifacts[0], ETGRAPH_BASELINE_JOB="other", ETGRAPH_MISSING_BASELINE=missing))
    assert done.returncode == code
    assert "no artifacts to compare with" in done.stdout
