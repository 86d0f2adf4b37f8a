"""Project files, texts and documentation agree with the code that lies beside them."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from house import guards

ROOT = Path(__file__).resolve().parents[2]

PYPROJECT = """
[tool.hatch.build]
dev-mode-dirs = ["model"]
[tool.hatch.build.targets.wheel]
packages = ["model/etgraph"]
[tool.pytest.ini_options]
testpaths = ["tests", "model"]
[tool.mypy]
files = ["model"]
mypy_path = ["model"]
[tool.pyright]
extraPaths = ["model"]
[tool.ruff]
src = ["model"]
"""


def test_every_tool_knows_every_source_root() -> None:
    assert guards.root_violations(ROOT) == []


@pytest.mark.parametrize(
    ("folders", "violation"),
    [(["model"], None), ([], "names model, which does not exist"), (["model", "store"], "lacks store")],
)
def test_a_root_that_the_tools_do_not_share_is_found(folders: list[str], violation: str | None, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT, "utf-8")
    for folder in folders:
        (tmp_path / folder / "etgraph").mkdir(parents=True)
    settings = guards.declared_roots(tmp_path)
    expected = [f"{setting} {violation}" for setting in settings] if violation else []
    assert guards.root_violations(tmp_path) == expected


def test_the_installed_version_is_the_declared_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert version("etgraph") == project["version"]
    assert f"[{project['version']}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_every_make_target_is_in_the_readme() -> None:
    assert set(guards.make_targets(ROOT)) >= {"help", "demo", "test", "check", "bench"}
    assert guards.make_violations(ROOT) == []


def test_an_undocumented_make_target_is_found(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("demo: ## show\nfly: ## away\n", "utf-8")
    (tmp_path / "README.md").write_text("Type `make demo`.\n", "utf-8")
    assert guards.make_violations(tmp_path) == ["README.md does not mention make fly"]


def test_make_help_is_the_default() -> None:
    shown = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in guards.make_targets(ROOT):
        assert f"\n  {target} " in shown


def test_texts_name_no_machine_and_no_tracker() -> None:
    assert guards.tracked_texts(ROOT)
    assert guards.text_violations(ROOT) == []


# Written with | and ~ for the slash and the number sign, so that this file itself passes.
@pytest.mark.parametrize(
    "line",
    ["see |work|shared for more", "path = '|root'", 'open("|tmp|x.json")', "as issue ~3 asks", "done in PR ~12"],
)
def test_a_machine_or_a_tracker_in_a_text_is_found(line: str, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("first\n" + line.replace("|", "/").replace("~", "#") + "\n", "utf-8")
    (violation,) = guards.text_violations(tmp_path)
    assert violation.startswith("notes.md:2 has ")


@pytest.mark.parametrize(
    "line",
    ["a framework/root/tmp folder", "https://example.org/work/x", "gpt@baseline#3-7", "root/work.py", "issues 4 loads"],
)
def test_ordinary_words_are_no_violation(line: str, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text(line, "utf-8")
    assert guards.text_violations(tmp_path) == []


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_ignored_files_are_not_looked_at(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], env=guards.own_git_environment(), check=True)
    (tmp_path / ".gitignore").write_text("local.md\n", "utf-8")
    for name in ("local.md", "kept.md"):
        (tmp_path / name).write_text("|tmp|x".replace("|", "/"), "utf-8")
    assert [path.name for path in guards.tracked_texts(tmp_path)] == [".gitignore", "kept.md"]
    assert len(guards.text_violations(tmp_path)) == 1


def test_links_of_the_documents_lead_somewhere() -> None:
    assert guards.link_violations(ROOT) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("[b](b.md#part) [c](c.md) [d](https://example.org) [e](#here)\n", "utf-8")
    (tmp_path / "b.md").write_text("here\n", "utf-8")
    assert guards.link_violations(tmp_path) == ["a.md links to c.md, which does not exist"]


def etgraph_group() -> click.Group:
    from etgraph.cli.main import main

    assert isinstance(main, click.Group)
    return main


def test_every_command_and_option_is_documented() -> None:
    assert list(guards.commands(etgraph_group()))
    assert guards.command_violations(etgraph_group(), (ROOT / "docs" / "cli.md").read_text("utf-8")) == []


def test_the_readme_shows_only_commands_that_exist() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "etgraph critical-path" in readme
    assert guards.unknown_commands(etgraph_group(), readme) == []


def toy_group() -> click.Group:
    """A group of one documented and one undocumented command, the second with an option."""
    group = click.Group("toy", params=[click.Option(["--store"])])
    group.add_command(click.Command("show"))
    group.add_command(click.Command("show-all", params=[click.Option(["--deep/--flat"]), click.Argument(["name"])]))
    group.add_command(click.Command("secret", hidden=True))
    return group


def test_an_undocumented_command_or_option_is_found() -> None:
    assert (
        guards.command_violations(toy_group(), "`etgraph show` and `etgraph show-all --deep --flat`, `--store`") == []
    )
    assert guards.command_violations(toy_group(), "`etgraph show`, `--store`, --deeper") == [
        "etgraph show-all is not documented",
        "option --deep of etgraph show-all is not documented",
        "option --flat of etgraph show-all is not documented",
    ]


def test_an_option_in_the_section_of_another_command_is_found() -> None:
    """And a block of code that swallows the next heading, both as a merge can leave them."""
    right = "### `etgraph show`\n`--store`\n### `etgraph show-all`\n| `--deep` |\n| `--flat` |\n"
    assert guards.command_violations(toy_group(), right) == []
    wrong = "### `etgraph show`\n```sh\n`--store`\n| `--deep` |\n### `etgraph show-all`\n| `--flat` |\n"
    assert guards.command_violations(toy_group(), wrong) == [
        "section `etgraph show`: a block of code does not end", "section `etgraph show`: no option --deep",
    ]  # fmt: skip


def test_a_command_that_does_not_exist_is_found() -> None:
    text = "etgraph stores traces. Run `etgraph show` or\n```sh\netgraph fly --far\n```\netgraph asks.\n"
    assert guards.unknown_commands(toy_group(), text) == ["etgraph fly does not exist"]
