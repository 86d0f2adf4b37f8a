"""The rules of the house, each a function from a repository's root to the list of its violations.

They take the root as an argument, so that a test can plant a violation in an empty folder and see it found.
"""

from __future__ import annotations

import ast
import importlib.machinery
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

# Package -> the packages that it may import, itself aside.
MAY_IMPORT: dict[str, frozenset[str]] = {
    "model": frozenset(),
    "ingest": frozenset({"model"}),
    "store": frozenset({"model"}),
    "queries": frozenset({"model", "sim"}),
    "sim": frozenset({"model"}),
    "alerts": frozenset({"model", "ingest", "store", "queries", "sim"}),
    "api": frozenset({"model", "ingest", "store", "queries", "sim", "alerts"}),
    "cli": frozenset({"model", "ingest", "store", "queries", "sim", "alerts", "api"}),
}

# The one folder that is not named after its package: nothing of ours may be importable as `graphql`.
PACKAGE_OF_FOLDER = {"graphql": "api"}

NOT_OURS = {".git", ".venv", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache", "__pycache__", "dist"}
TEXT_SUFFIXES = {"", ".cfg", ".cypher", ".graphql", ".ini", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml"}

# Written in pieces, so that this file does not violate the rule that it states.
MACHINE_PATH = re.compile(r"(?<![\w.<})$-])/(?:" + "|".join(["work", "root", "tmp", "farm"]) + r")(?:/|\b(?!\.\w))")
TRACKER_WORD = re.compile(
    r"\b(?:(?:" + "|".join(["issue", "ticket", "pull request", "PR"]) + r")s? ?#|issue )\d", re.IGNORECASE
)


def source_roots(root: Path) -> list[str]:
    """Folders that hold a part of the namespace package, sorted."""
    return sorted(folder.parent.name for folder in root.glob("*/etgraph") if folder.is_dir())


def package_of(folder: str) -> str:
    """The package's name below `etgraph` that a source root holds."""
    return PACKAGE_OF_FOLDER.get(folder, folder)


def modules(root: Path) -> Iterator[tuple[str, Path]]:
    """Every Python file of the source roots, with the root that it lies in."""
    for folder in source_roots(root):
        for path in sorted((root / folder).rglob("*.py")):
            yield folder, path


def own_git_environment() -> dict[str, str]:
    """The environment without what git sets for its hooks, which would lead every call to the hook's repository."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def tracked_texts(root: Path) -> list[Path]:
    """Text files that are, or would be, under version control; every text file where there is no git."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = ""
    if shutil.which("git"):
        listed = subprocess.run(command, env=own_git_environment(), capture_output=True, text=True, check=False)
        names = listed.stdout if listed.returncode == 0 else ""
    if names:
        paths = [root / name for name in names.split("\0") if name]
    else:
        paths = [path for path in root.rglob("*") if not NOT_OURS & set(path.relative_to(root).parts)]
    return sorted(path for path in paths if path.suffix in TEXT_SUFFIXES and path.is_file())


def namespace_violations(root: Path) -> list[str]:
    """An `__init__.py` in a source root or its `etgraph` folder would hide every other root's packages."""
    places = [place for folder in source_roots(root) for place in (root / folder, root / folder / "etgraph")]
    return [
        f"{(place / '__init__.py').relative_to(root)} must not exist"
        for place in places
        if (place / "__init__.py").exists()
    ]


def layout_violations(root: Path) -> list[str]:
    """Each source root holds exactly its own package, which is typed."""
    found = []
    for folder in source_roots(root):
        package = package_of(folder)
        for child in sorted((root / folder / "etgraph").iterdir()):
            if child.name not in {package, "__pycache__"}:
                found.append(f"{child.relative_to(root)} does not belong to package etgraph.{package}")
        for name in ("__init__.py", "py.typed"):
            if not (root / folder / "etgraph" / package / name).is_file():
                found.append(f"{folder}/etgraph/{package}/{name} is missing")
    if (root / "tests" / "graphql").exists():
        found.append("tests/graphql would shadow graphql-core; name it tests/api")
    return found


def graphql_violations(root: Path, search_path: Sequence[str]) -> list[str]:
    """`import graphql` must find graphql-core, or nothing, but never a folder of ours."""
    spec = importlib.machinery.PathFinder.find_spec("graphql", list(search_path))
    if spec is None:
        return []
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or [])
    ours = root.resolve()
    return [
        f"graphql resolves to {place}"
        for place in map(Path, places)
        if place.resolve().is_relative_to(ours) and "site-packages" not in place.parts
    ]


def _imported(path: Path, source_root: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that a file imports, wherever in the file it does so."""
    package = list(path.relative_to(source_root).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"
        elif isinstance(node, ast.Call) and node.args:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            argument = node.args[0]
            if name in {"import_module", "__import__"} and isinstance(argument, ast.Constant):
                yield node.lineno, str(argument.value)


def import_violations(root: Path) -> list[str]:
    """Imports run only downward: a package imports what its row of `MAY_IMPORT` names, lazy imports included."""
    found = []
    for folder, path in modules(root):
        package = package_of(folder)
        if package not in MAY_IMPORT:
            found.append(f"{folder}/ holds etgraph.{package}, which has no row in MAY_IMPORT")
            continue
        for line, name in _imported(path, root / folder):
            parts = name.split(".")
            if parts[0] != "etgraph" or len(parts) < 2:
                continue
            if parts[1] != package and parts[1] not in MAY_IMPORT[package]:
                found.append(f"{path.relative_to(root)}:{line} imports etgraph.{parts[1]}")
    return found


def docstring_violations(root: Path) -> list[str]:
    """Every public module says in its docstring what it is for."""
    return [
        f"{path.relative_to(root)} has no docstring"
        for _, path in modules(root)
        if (path.name == "__init__.py" or not path.name.startswith("_"))
        and not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]


def declared_roots(root: Path) -> dict[str, list[str]]:
    """Each list of source roots in pyproject.toml, by the setting that holds it."""
    settings: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]
    packages: list[str] = settings["hatch"]["build"]["targets"]["wheel"]["packages"]
    beside = {"tests", "benchmarks"}
    return {
        "hatch dev-mode-dirs": settings["hatch"]["build"]["dev-mode-dirs"],
        "hatch wheel packages": [package.removesuffix("/etgraph") for package in packages],
        "mypy files": [name for name in settings["mypy"]["files"] if name not in beside],
        "mypy mypy_path": settings["mypy"]["mypy_path"],
        "pyright extraPaths": settings["pyright"]["extraPaths"],
        "pytest testpaths": [name for name in settings["pytest"]["ini_options"]["testpaths"] if name not in beside],
        "ruff src": [name for name in settings["ruff"]["src"] if name not in beside],
    }


def root_violations(root: Path) -> list[str]:
    """The source roots that exist and those that each tool is told of are the same."""
    existing = source_roots(root)
    found = []
    for setting, named in declared_roots(root).items():
        found += [f"{setting} lacks {folder}" for folder in existing if folder not in named]
        found += [f"{setting} names {folder}, which does not exist" for folder in named if folder not in existing]
    return found


def make_targets(root: Path) -> list[str]:
    """Targets that `make help` lists."""
    return re.findall(r"^([a-z][\w-]*):.*## ", (root / "Makefile").read_text("utf-8"), re.MULTILINE)


def make_violations(root: Path) -> list[str]:
    """The README tells of every make target."""
    readme = (root / "README.md").read_text("utf-8")
    return [
        f"README.md does not mention make {target}"
        for target in make_targets(root)
        if not re.search(rf"\bmake {re.escape(target)}\b", readme)
    ]


def text_violations(root: Path) -> list[str]:
    """The texts speak of the product: no path of one machine, no number of some tracker."""
    found = []
    for path in tracked_texts(root):
        for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), start=1):
            for what, pattern in (("a machine's path", MACHINE_PATH), ("a tracker's number", TRACKER_WORD)):
                if match := pattern.search(line):
                    found.append(f"{path.relative_to(root)}:{number} has {what}: {match.group().strip()}")
    return found


def link_violations(root: Path) -> list[str]:
    """Relative links of the Markdown files lead somewhere."""
    found = []
    for path in tracked_texts(root):
        if path.suffix != ".md":
            continue
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
            name = target.split("#")[0]
            if name and "://" not in name and not name.startswith("mailto:") and not (path.parent / name).exists():
                found.append(f"{path.relative_to(root)} links to {name}, which does not exist")
    return found


def commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command below a group with its words, as one types them after `etgraph`; hidden ones left out."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        words = f"{prefix} {name}".strip()
        if isinstance(command, click.Group):
            yield from commands(command, words)
        else:
            yield words, command


def command_violations(group: click.Group, text: str) -> list[str]:
    """The command reference names every command, and every option that it or the group takes.

    Options of a table stand in the section of a command that takes them, and code ends in the section it begins in.
    """
    found = []
    takers = {
        words: {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for words, command in commands(group)
    }
    for section in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        body = re.split(r"^## ", body, maxsplit=1, flags=re.MULTILINE)[0]
        if len(re.findall(r"^```", body, re.MULTILINE)) % 2:
            found.append(f"section {title}: a block of code does not end")
        named = [words for words in takers if re.search(rf"etgraph {re.escape(words)}(?![\w-])", title)]
        own = [words for words in takers if any(f"{words} ".startswith(f"{name} ") for name in named)]
        taken = {option for words in own for option in takers[words]}
        for row in re.findall(r"^\| `(--[^|]*)\|", body, re.MULTILINE) if named else ():
            others = [option for option in re.findall(r"--[\w-]+", row) if option not in taken]
            found += [f"section {title}: no option {option}" for option in others]
    described: list[tuple[str, click.Command]] = [("", group), *commands(group)]
    for words, command in described:
        if words and not re.search(rf"(?:etgraph |`|^#+ ){re.escape(words)}(?![\w-])", text, re.MULTILINE):
            found.append(f"etgraph {words} is not documented")
        for parameter in command.params:
            if not isinstance(parameter, click.Option) or parameter.hidden:
                continue
            for option in (*parameter.opts, *parameter.secondary_opts):
                if option.startswith("--") and not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text):
                    found.append(f"option {option} of etgraph {words} is not documented".replace("  ", " "))
    return found


def unknown_commands(group: click.Group, text: str) -> list[str]:
    """Commands that a text's code shows and that do not exist."""
    known = {words.split()[0] for words, _ in commands(group)}
    code = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    code += re.findall(r"`([^`\n]+)`", text)
    shown = re.findall(r"^(?:\$ )?(?:\.venv/bin/)?etgraph ([a-z][\w-]*)", "\n".join(code), re.MULTILINE)
    return [f"etgraph {name} does not exist" for name in shown if name not in known]
