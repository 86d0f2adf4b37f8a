"""Starting a Neo4j server on this machine, stopping it, and saying how it is."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from etgraph.store.neo4j_server import artifacts, process
from etgraph.store.neo4j_server.configuration import DEFAULT_MEMORY, HOST, Memory, configuration, parse_size, shares
from etgraph.store.neo4j_server.errors import ServerError
from etgraph.store.neo4j_server.java import Java, find_java, major
from etgraph.store.neo4j_server.releases import ADD_OPENS, DEFAULT, RELEASES, Release, release_of
from etgraph.store.neo4j_server.state import (
    USER,
    State,
    password_file,
    read_password,
    read_state,
    server_folder,
    write_private,
    write_state,
)

BOLT_PORT, HTTP_PORT = 7687, 7474
START_SECONDS, STOP_SECONDS = 180.0, 60.0
ADMIN_SECONDS = 3600.0
LOG_LINES = 12
ADMIN_CLASS = "org.neo4j.cli.AdminTool"
"""What `neo4j-admin` starts in a second process, which would not get the options that Java must be told."""
LICENCE = (
    "Neo4j Community Edition is licensed under the GPL, version 3, and OpenJDK under the GPL, version 2, with the "
    "Classpath Exception. They are fetched to this machine for you and are not part of etgraph."
)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Server:
    """How the server is. Of one that does not run, `state` is what was last noted, without a `pid`."""

    running: bool
    folder: Path
    state: State | None = None
    resident: int | None = None
    """Bytes of memory that the process holds now."""
    fresh: bool = False
    """Whether the call that returned this has started it."""

    @property
    def uri(self) -> str | None:
        """Where it speaks Bolt, as `--store` takes it."""
        return f"neo4j://{HOST}:{self.state.port}" if self.state else None

    @property
    def browser(self) -> str | None:
        """The address of Neo4j Browser."""
        return f"http://{HOST}:{self.state.http_port}" if self.state else None

    @property
    def user(self) -> str:
        """The user to log in as."""
        return USER

    @property
    def password_file(self) -> Path:
        """The file with the password of user `neo4j`."""
        return password_file(self.folder)

    @property
    def home(self) -> Path | None:
        """Where data and logs of its release lie."""
        return self.folder / self.state.release if self.state else None


def status(folder: Path | None = None) -> Server:
    """How the server of a folder is; without one, this user's."""
    folder = server_folder() if folder is None else folder
    state = read_state(folder)
    found = process.find(state, folder / state.release) if state else None
    if found is None:
        return Server(False, folder, replace(state, pid=None, pid_created=None) if state else None)
    import psutil

    try:
        resident = found.memory_info().rss
    except psutil.Error:
        resident = None
    return Server(True, folder, state, resident)


def start(
    release: str | None = None,
    *,
    port: int | None = None,
    http_port: int | None = None,
    memory: str | None = None,
    folder: Path | None = None,
    seconds: float = START_SECONDS,
    say: Say = lambda text: None,
    progress: Say = lambda text: None,
) -> Server:
    """Start the server and wait until it answers; one that runs already is left as it is.

    What is not given is as it was the last time, else release 5.26, the usual ports or free ones, and 2 GiB. `say` is
    told of the licences the first time; `progress` of each step. Raises ServerError, NoJava, NoArtifacts, UsageError.
    """
    folder = server_folder() if folder is None else folder
    wanted = release_of(release) if release else None
    size = parse_size(memory) if memory else None
    progress("waiting for another start or stop")
    with _alone(folder, seconds + artifacts.FETCH_SECONDS):
        now = status(folder)
        if now.running:
            _refuse_other(now, wanted, port, http_port)
            return now
        last = now.state
        chosen = wanted or (RELEASES.get(last.release) if last else None) or RELEASES[DEFAULT]
        home = folder / chosen.name
        bolt = _port(port, last.port if last else BOLT_PORT, "--port")
        http = _port(http_port, last.http_port if last else HTTP_PORT, "--http-port", taken=bolt)
        size = size or (last.memory if last else parse_size(DEFAULT_MEMORY))
        progress("looking for Java")
        java = find_java(chosen)
        tell_licence(home, chosen, say)
        jars = artifacts.jars(chosen, progress)
        _prepare(home, configuration(bolt, http, shares(size)))
        password = _password(folder, home, chosen, java, jars)
        progress(f"starting Neo4j {chosen.version}")
        command, environment = _command(chosen, java, jars, home, shares(size)), _environment(java, home)
        (home / "logs" / "neo4j.log").unlink(missing_ok=True)
        pid, created = process.spawn(command, log=home / "logs" / "console.log", folder=home, environment=environment)
        began = datetime.now(UTC).isoformat(timespec="seconds")
        state = State(chosen.name, chosen.version, bolt, http, size, str(java.path), began, pid, created)
        try:
            write_state(folder, state)
            _await(state, home, password, seconds)
        except BaseException:
            if found := process.find(state, home):
                process.end(found, 10)
            write_state(folder, replace(state, pid=None, pid_created=None))
            raise
        return replace(status(folder), fresh=True)


def stop(folder: Path | None = None, *, seconds: float = STOP_SECONDS) -> Server | None:
    """Stop the server and wait until it is gone; returns how it was, None where none ran."""
    folder = server_folder() if folder is None else folder
    if read_state(folder) is None:
        return None
    with _alone(folder, START_SECONDS + seconds):
        now = status(folder)
        if not now.running or now.state is None or now.home is None:
            return None
        if found := process.find(now.state, now.home):
            process.end(found, seconds)
        write_state(folder, replace(now.state, pid=None, pid_created=None))
    return now


def admin(
    *arguments: str,
    release: str | None = None,
    folder: Path | None = None,
    seconds: float = ADMIN_SECONDS,
    place: Path | None = None,
) -> str:
    """Run `neo4j-admin` with these arguments on the server's data and return what it prints.

    It runs in the folder `place`, from which relative paths are seen; without one, in that of the server's release.

    Raises ServerError with the end of its output when it fails. Most commands need a stopped server; that is for the
    caller to see to.
    """
    folder = server_folder() if folder is None else folder
    last = read_state(folder)
    chosen = release_of(release or (last.release if last else DEFAULT))
    home = folder / chosen.name
    java, jars = find_java(chosen), artifacts.jars(chosen)
    if not (home / "conf" / "neo4j.conf").is_file():
        _prepare(home, configuration(BOLT_PORT, HTTP_PORT, shares(parse_size(DEFAULT_MEMORY))))
    return _admin(arguments, chosen, java, jars, home, seconds, place)


@contextmanager
def _alone(folder: Path, seconds: float) -> Iterator[None]:
    """Hold the folder's lock, so that one start or stop goes on at a time."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with FileLock(folder / "lock", timeout=seconds):
            yield
    except Timeout:
        raise ServerError(f"another start or stop of the server in {folder} goes on for too long") from None


def _refuse_other(now: Server, wanted: Release | None, port: int | None, http_port: int | None) -> None:
    """Refuse to pass a running server off as the one that was asked for, where it is another one."""
    state = now.state
    assert state is not None
    asked = [
        f"{name} {value}"
        for name, value, present in (
            ("release", wanted.name if wanted else None, state.release),
            ("port", port, state.port),
            ("HTTP port", http_port, state.http_port),
        )
        if value is not None and value != present
    ]
    if asked:
        raise ServerError(
            f"Neo4j {state.version} runs already at {now.uri}, which is not what was asked for: {', '.join(asked)}",
            hint="'etgraph neo4j stop' stops it; its data stays",
        )


def _port(given: int | None, usual: int, option: str, taken: int | None = None) -> int:
    """The port that was asked for, else the usual one where it is free, else a free one."""
    if given is not None:
        if given == taken or not process.is_free(given):
            raise ServerError(
                f"port {given} of {HOST} is in use", hint=f"leave {option} out for a free port, or give another"
            )
        return given
    if usual != taken and process.is_free(usual):
        return usual
    return process.free_port()


def tell_licence(home: Path, release: Release, say: Say) -> None:
    """Name the licences of what is fetched, where it was not fetched or not used before."""
    if not home.is_dir() or not artifacts.are_here(release):
        say(LICENCE)


def _prepare(home: Path, text: str) -> None:
    """Make the folders that the server and its admin commands want, and write its settings."""
    for name in ("conf", "data", "import", "logs", "plugins", "run"):
        (home / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(home / "conf" / "neo4j.conf", text)


def _password(folder: Path, home: Path, release: Release, java: Java, jars: Path) -> str:
    """The password; where the server never ran, one is made and set."""
    path = password_file(folder)
    password = read_password(folder)
    new = not (home / "data" / "databases" / "system").exists()
    if password is None:
        if not new:
            raise ServerError(
                f"the password file {path} is missing, and the data in {home} needs it",
                hint="put the file back; or remove the folder, and the data with it",
            )
        password = secrets.token_hex(16)
        write_private(path, password + "\n")
    if new:
        # By a file: the arguments of a process can be read by everyone on the machine.
        _admin(("dbms", "set-initial-password", f"@{path}"), release, java, jars, home, ADMIN_SECONDS)
    return password


def _environment(java: Java, home: Path) -> dict[str, str]:
    """The environment of the server and of its admin commands."""
    theirs = {"JAVA_HOME": str(java.home), "NEO4J_HOME": str(home), "NEO4J_CONF": str(home / "conf")}
    return {**os.environ, **theirs}


def _options(release: Release, java: Java) -> list[str]:
    """What Java must be told for the server and for its admin commands."""
    options = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in ADD_OPENS]
    options += [f"--add-modules={','.join(release.modules)}"] if release.modules else []
    # Later ones warn on every start, and the warning would stand before what went wrong.
    options += ["--enable-native-access=ALL-UNNAMED"] if major(java.version) >= 22 else []
    options += ["--sun-misc-unsafe-memory-access=allow"] if major(java.version) >= 23 else []
    return options


def _command(release: Release, java: Java, jars: Path, home: Path, memory: Memory) -> list[str]:
    """The arguments of the server's process."""
    return [
        str(java.path),
        f"-Xms{min(memory.heap, 512)}m",
        f"-Xmx{memory.heap}m",
        f"-XX:MaxDirectMemorySize={memory.direct}m",
        "-XX:+UseG1GC",
        "-XX:+ExitOnOutOfMemoryError",
        "-Dfile.encoding=UTF-8",
        *_options(release, java),
        "-cp",
        f"{jars}{os.sep}*",
        artifacts.main_class(release, jars),
        process.home_argument(home),
        f"--config-dir={home / 'conf'}",
    ]


def _admin(
    arguments: tuple[str, ...],
    release: Release,
    java: Java,
    jars: Path,
    home: Path,
    seconds: float,
    place: Path | None = None,
) -> str:
    command = [str(java.path), *_options(release, java), "-cp", f"{jars}{os.sep}*", ADMIN_CLASS, *arguments]
    words = f"neo4j-admin {' '.join(arguments[:2])}"
    try:
        done = process.output_of(command, seconds=seconds, environment=_environment(java, home), folder=place or home)
    except subprocess.TimeoutExpired:
        raise ServerError(f"{words} was not done after {seconds:.0f} s") from None
    except OSError as error:
        raise ServerError(f"{words} could not be run: {error}") from error
    if done.returncode:
        raise ServerError(f"{words} failed with exit code {done.returncode}:\n{_last_lines(done.stdout)}")
    return done.stdout


def _await(state: State, home: Path, password: str, seconds: float) -> None:
    """Wait until the server answers with its password. Raises ServerError with what it wrote last."""
    until = time.monotonic() + seconds
    while True:
        if process.find(state, home) is None:
            raise _failed("ended before it answered", home / "logs")
        if process.answers(state.port) and process.answers(state.http_port) and _answers_bolt(state.port, password):
            return
        if time.monotonic() > until:
            raise _failed(f"did not answer within {seconds:.0f} s", home / "logs")
        time.sleep(0.1)


def _answers_bolt(port: int, password: str) -> bool:
    """Whether a query is answered. Raises ServerError where the password is not the server's."""
    from neo4j import GraphDatabase
    from neo4j.exceptions import AuthError, DriverError, Neo4jError

    try:
        with GraphDatabase.driver(f"bolt://{HOST}:{port}", auth=(USER, password), connection_timeout=5) as driver:
            driver.execute_query("RETURN 1", database_="neo4j")
    except AuthError as error:
        raise ServerError(
            "the server does not accept the password that was noted for it",
            hint="was it changed? write the new one into the password file",
        ) from error
    except (DriverError, Neo4jError, OSError):
        return False
    return True


def _failed(what: str, logs: Path) -> ServerError:
    """An error with the end of what the server wrote: to its log, and to the console where it came to no log."""
    text = ""
    for name in ("neo4j.log", "console.log"):
        try:
            text += (logs / name).read_text("utf-8", errors="replace")
        except OSError:
            continue
    return ServerError(f"the Neo4j server {what}; it wrote last:\n{_last_lines(text)}", hint=f"all of it is in {logs}")


def _last_lines(text: str) -> str:
    """The end of what a Java program wrote, without the places in its source."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not line.lstrip().startswith(("at ", "... "))]
    return "\n".join(f"  {line}" for line in lines[-LOG_LINES:]) or "  (nothing)"
