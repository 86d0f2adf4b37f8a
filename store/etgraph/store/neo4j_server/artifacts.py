"""The jars of a release: fetched once by this machine's user and kept in the user's cache folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from xml.sax.saxutils import escape

from etgraph.store.neo4j_server import process
from etgraph.store.neo4j_server.errors import NoArtifacts, ServerError
from etgraph.store.neo4j_server.releases import Release

Say = Callable[[str], None]

FETCH_SECONDS = 1800
SERVICE = "META-INF/services/org.neo4j.server.startup.EntryPoint"
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>etgraph</groupId><artifactId>neo4j-server</artifactId><version>1</version>
  <dependencies>
{dependencies}
  </dependencies>
</project>
"""


def cache_folder() -> Path:
    """Where the jars of all releases are kept."""
    from platformdirs import user_cache_path

    return user_cache_path("etgraph", appauthor=False) / "neo4j"


def pom(coordinates: tuple[str, ...]) -> str:
    """A Maven project that depends on artifacts `group:name:version`."""
    rows = []
    for coordinate in coordinates:
        group, name, version = map(escape, coordinate.split(":"))
        rows.append(
            f"    <dependency><groupId>{group}</groupId><artifactId>{name}</artifactId>"
            f"<version>{version}</version></dependency>"
        )
    return POM.format(dependencies="\n".join(rows))


def are_here(release: Release) -> bool:
    """Whether the jars were fetched already."""
    return (cache_folder() / release.version).is_dir()


def jars(release: Release, say: Say | None = None) -> Path:
    """The folder of the release's jars, which are fetched where they are not here yet.

    One process fetches and others wait for it; a fetch that fails leaves nothing. Raises NoArtifacts.
    """
    from filelock import FileLock

    folder = cache_folder() / release.version
    if folder.is_dir():
        return folder
    cache_folder().mkdir(parents=True, exist_ok=True)
    with FileLock(cache_folder() / f"{release.version}.lock"):
        if not folder.is_dir():
            if say:
                say(f"fetching Neo4j {release.version}, about 130 MB, once")
            # The lock is ours, so what is left here is of a process that died.
            for left in cache_folder().glob(f".{release.version}-*"):
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=f".{release.version}-", dir=cache_folder()) as work:
                _fetch(release, Path(work))
                (Path(work) / "jars").rename(folder)
    return folder


def _fetch(release: Release, work: Path) -> None:
    """Bring the jars to `work/jars`, by jgo or by Maven, whichever is here and works."""
    target = work / "jars"
    failures = []
    for name, way in (("jgo", _by_jgo), ("mvn", _by_maven)):
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        problem = way(release, work, target) or _incomplete(release, target)
        if problem is None:
            return
        failures.append(f"{name}: {problem}")
    raise NoArtifacts(
        f"the jars of Neo4j {release.version} cannot be fetched; {'; '.join(failures)}",
        hint="pip install 'etgraph[neo4j-server]' brings jgo, which fetches them; it needs a way to Maven Central",
    )


def _by_jgo(release: Release, work: Path, target: Path) -> str | None:
    """Fetch with the Python package jgo; returns what went wrong."""
    if find_spec("jgo") is None:
        return "not installed"
    # A repository of its own: jgo writes files in place, and one cut short in the user's would stay there.
    environment = os.environ | {"M2_REPO": str(work / "repository"), "PYTHONWARNINGS": "ignore"}
    arguments = [sys.executable, "-m", "etgraph.store.neo4j_server.jgo_fetch", str(target), *release.coordinates]
    return _run(arguments, environment)


def _by_maven(release: Release, work: Path, target: Path) -> str | None:
    """Fetch with Maven; returns what went wrong."""
    maven = shutil.which("mvn")
    if maven is None:
        return "not on PATH"
    project = work / "pom.xml"
    project.write_text(pom(release.coordinates), "utf-8")
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={target}", "-DincludeScope=runtime"]
    return _run([maven, "--batch-mode", "--quiet", f"--file={project}", *goal], dict(os.environ))


def _run(arguments: list[str], environment: dict[str, str]) -> str | None:
    """Run a program; returns the end of what it printed where it failed."""
    try:
        done = process.output_of(arguments, seconds=FETCH_SECONDS, environment=environment)
    except subprocess.TimeoutExpired:
        return f"not done after {FETCH_SECONDS} s"
    except OSError as error:
        return error.strerror or str(error)
    if done.returncode == 0:
        return None
    words = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return " / ".join(words[-3:]) or f"exit code {done.returncode}"


def _incomplete(release: Release, folder: Path) -> str | None:
    """What is wrong with fetched jars: a file cut short, or an artifact that was asked for and is not there."""
    for path in folder.glob("*.jar"):
        if not zipfile.is_zipfile(path):
            return f"{path.name} came damaged"
    for coordinate in release.coordinates:
        _, name, version = coordinate.split(":")
        if not (folder / f"{name}-{version}.jar").is_file():
            return f"{name}-{version}.jar did not come"
    return None


def main_class(release: Release, folder: Path) -> str:
    """The class that starts the server, as the release itself names it."""
    with zipfile.ZipFile(folder / f"neo4j-{release.version}.jar") as archive:
        lines = archive.read(SERVICE).decode().splitlines()
    for line in lines:
        if name := line.partition("#")[0].strip():
            return name
    raise ServerError(f"neo4j-{release.version}.jar names no class in {SERVICE}")
