"""What `doctor` says of a server, beside what it says of this machine."""

from __future__ import annotations

from collections.abc import Callable

from etgraph.cli.diagnosis import UNUSABLE, of_this_machine
from etgraph.cli.remote.http import Client
from etgraph.cli.session import Diagnosis
from etgraph.model.errors import EtgraphError, UsageError
from etgraph.store import Check


def diagnose(url: str, client: Callable[[], Client], verify: bool) -> Diagnosis:
    """All checks. A server that does not answer is a failed check, not an error."""
    if verify:
        raise UsageError(f"--verify reads the files of a store: run it where that of {url} is")
    checks = of_this_machine()
    try:
        found = client().graphql("{ serverInfo { version revision store } viewer { name team scopes } }", {})
        told, viewer = found["serverInfo"], found["viewer"]
        team = f" of team {viewer['team']}" if viewer["team"] else ""
        checks += [
            Check("server", True, f"{url}: etgraph {told['version']}, a {told['store']} store"),
            Check("viewer", True, f"{viewer['name']}{team}, who may {', '.join(viewer['scopes']) or 'do nothing'}"),
        ]
        return Diagnosis(tuple(checks))
    except EtgraphError as error:
        checks.append(Check("server", False, error.message + (f" ({error.hint})" if error.hint else "")))
        return Diagnosis(tuple(checks), UNUSABLE)


__all__ = ["diagnose"]
