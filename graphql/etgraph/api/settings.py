"""What a server may be told: a TOML file and the environment, with all that is wrong about them at once.

The environment comes before the file: `limits.cost` is `ETGRAPH_SERVER_LIMITS_COST` there.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from etgraph.api.http.guard import LOOPBACK
from etgraph.api.jobs.rules import Rules
from etgraph.api.limits import Limits
from etgraph.api.limits.documents import KEPT_BYTES
from etgraph.api.shared import RESULTS_BYTES, TRACES_BYTES
from etgraph.model.errors import UsageError
from etgraph.model.settings.declaration import AtLeast, Items, Kind, Leaf, Record, declared
from etgraph.model.settings.document import Node, document, merged, text_of
from etgraph.model.settings.problems import FileProblems, Problem, near, one_of
from etgraph.model.settings.reading import MISSING, Reader
from etgraph.model.settings.units import SIZE, TIME

PREFIX: Final = "ETGRAPH_SERVER_"
FILE: Final = f"{PREFIX}CONFIG"
"""The variable that names the file."""
PORT: Final = 8321


class SettingsError(FileProblems):
    """The settings of a server cannot be used."""

    code = "BAD_SETTINGS"
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a server. Times are ns, sizes bytes; files write them with their units."""

    host: Annotated[str, "address to listen at; without authentication one of the loopback's"] = "127.0.0.1"
    port: Annotated[int, AtLeast(0), "port to listen at; 0 for any that is free"] = PORT
    authentication: Annotated[
        Literal["off", "tokens"], "`tokens`: who asks sends one; `off`: whoever reaches the server may do all"
    ] = "off"
    audit_days: Annotated[int, AtLeast(1), "days for which it is kept who wrote what"] = 90
    alert_days: Annotated[int, AtLeast(1), "days for which alerts, and what rules came to, are remembered"] = 90
    behind: Annotated[
        Literal["", "loopback"],
        "`loopback` where what forwards to another address, as a container's port, listens to the loopback alone",
    ] = ""
    hosts: Annotated[
        tuple[str, ...],
        "names under which the server may be asked, beside those of the loopback; with tokens and none named, any",
    ] = ()
    origins: Annotated[tuple[str, ...], "origins of pages elsewhere that may ask, such as `https://example.org`"] = ()
    prepare: Annotated[bool, "have everything imported and compiled before listening, so that no request waits"] = True
    threads: Annotated[int, AtLeast(1), "requests that are worked on at the same time"] = 8
    connections: Annotated[int, AtLeast(1), "connections that are open at the same time"] = 200
    idle_ns: Annotated[int, TIME, "for which a connection may say nothing"] = 30 * 10**9
    receive_ns: Annotated[int, TIME, "in which a request must be sent as a whole, and an answer be taken"] = 20 * 10**9
    grace_ns: Annotated[int, TIME, "that requests have to end after the server was told to stop"] = 30 * 10**9
    answers_bytes: Annotated[int, SIZE, "of answers kept to be sent again"] = 64 << 20
    results_bytes: Annotated[int, SIZE, "of answers to questions kept for requests that select other parts of them"] = (
        RESULTS_BYTES
    )
    traces_bytes: Annotated[int, SIZE, "of traces kept open"] = TRACES_BYTES
    documents_bytes: Annotated[int, SIZE, "of documents kept parsed and validated"] = KEPT_BYTES
    persisted_bytes: Annotated[int, SIZE, "of documents kept for clients that send their hash"] = 8 << 20
    mutations_bytes: Annotated[int, SIZE, "of answers kept for mutations that are sent again"] = 16 << 20
    idempotency_ns: Annotated[int, TIME, "for which answers of mutations are kept"] = 24 * 3600 * 10**9
    requests_a_second: Annotated[
        int, AtLeast(0), "GraphQL requests that a token may send, ten seconds' worth at once; 0 for any number"
    ] = 0
    cost_a_second: Annotated[
        int, AtLeast(0), "cost of GraphQL requests that a token may ask, ten seconds' worth at once; 0 for any"
    ] = 0
    limits: Annotated[Limits, "what one request may cost"] = field(default_factory=Limits)
    jobs: Annotated[Rules, "who runs jobs, and where uploads wait"] = field(default_factory=Rules)

    @property
    def asked_as(self) -> tuple[str, ...]:
        """Every name under which the server may be asked; none where it may be any.

        A page that reaches the server under a name of its own has no token.
        """
        if self.authentication == "tokens" and not self.hosts:
            return ()
        return tuple(dict.fromkeys(each.lower() for each in (*LOOPBACK, *self.hosts)))


def load(path: Path | None, environment: Mapping[str, str]) -> Settings:
    """The settings of a file (`ETGRAPH_SERVER_CONFIG` where none is given, else no file) under an environment.

    Raises NotFound for a file that is not there, SettingsError with all problems of file and environment.
    """
    path = path or (Path(environment[FILE]).expanduser() if environment.get(FILE) else None)
    file = str(path) if path else "settings"
    text = text_of(path, "settings of a server are a TOML file: docs/api/running.md") if path else ""
    root = document(text, file, SettingsError)
    reader = Reader()
    root = merged(root, Node(_tree(environment, reader), file))
    found = reader.value(root, declared(Settings), ())
    if reader.problems:
        raise SettingsError(sorted(reader.problems, key=lambda problem: (problem.file != file, problem.line or 0)))
    assert found is not MISSING
    assert isinstance(found, Settings)
    return checked(found)


def checked(settings: Settings) -> Settings:
    """The settings, if they go together. Raises UsageError for an address that other machines reach.

    An address of a container is none where its port is published on the loopback alone, which only its user can know.
    """
    if settings.authentication == "off" and settings.host not in LOOPBACK and settings.behind != "loopback":
        raise UsageError(
            f"host: found {settings.host!r}, expected one of {', '.join(LOOPBACK)} without authentication",
            hint='set authentication = "tokens", and make the first token: etgraph token create --scope admin …; '
            'in a container whose port is published on 127.0.0.1 alone, set behind = "loopback"',
        )
    if settings.host == "":
        raise UsageError("host: found an empty name, expected an address; 0.0.0.0 is any of this machine's")
    if settings.port > 65_535:
        raise UsageError(f"port: found {settings.port}, expected 0 to 65535")
    return settings


def with_address(settings: Settings, host: str | None, port: int | None) -> Settings:
    """The settings with another address, where one is given. Raises what `checked` raises."""
    return checked(
        replace(
            settings,
            host=settings.host if host is None else host,
            port=settings.port if port is None else port,
        )
    )


def variables() -> dict[str, tuple[tuple[str, ...], Kind]]:
    """Every variable of the environment that is a setting: where it belongs in the file, and what it holds."""
    return dict(_variables(declared(Settings), ()))


def _variables(record: Record, above: tuple[str, ...]) -> Iterator[tuple[str, tuple[tuple[str, ...], Kind]]]:
    for key, each in record.fields.items():
        keys = (*above, key)
        if isinstance(each.kind, Record):
            yield from _variables(each.kind, keys)
        else:
            yield PREFIX + "_".join(keys).upper(), (keys, each.kind)


def _tree(environment: Mapping[str, str], reader: Reader) -> dict[str, Node]:
    """The environment as a file would say it; each value knows its variable."""
    known = variables()
    tree: dict[str, Node] = {}
    for name in sorted(name for name in environment if name.startswith(PREFIX) and name != FILE):
        if name not in known:
            hint = near(name, known)
            reader.problems.append(Problem("environment", None, name, "an unknown setting", one_of(tuple(known)), hint))
            continue
        keys, kind = known[name]
        inside = tree
        for key in keys[:-1]:
            inside = inside.setdefault(key, Node({}, name)).table
        inside[keys[-1]] = _node(environment[name], kind, name)
    return tree


def _node(text: str, kind: Kind, name: str) -> Node:
    """The value of a variable: texts as they are, items between commas, numbers and truth values as TOML has them."""
    if isinstance(kind, Items):
        return Node([Node(each.strip(), name) for each in text.split(",") if each.strip()], name)
    assert isinstance(kind, Leaf)
    value: Any = text
    if kind.type is not str and kind.quantity is None:
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except ValueError:
            value = text
    return Node(value, name)


__all__ = ["FILE", "PORT", "PREFIX", "Settings", "SettingsError", "checked", "load", "variables", "with_address"]
