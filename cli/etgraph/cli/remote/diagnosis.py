"""What `doctor` says of a server and its store, beside what it says of this machine."""

from __future__ import annotations

from collections.abc import Callable

from etgraph.cli.diagnosis import UNUSABLE, exit_code_of, of_this_machine
from etgraph.cli.remote.asking import found_at
from etgraph.cli.remote.failures import Refused
from etgraph.cli.remote.http import Client
from etgraph.cli.remote.reading import read
from etgraph.cli.session import Diagnosis
from etgraph.model.errors import EtgraphError
from etgraph.store import Check


def diagnose(url: str, client: Callable[[], Client], verify: bool) -> Diagnosis:
    """All checks. A server that does not answer is a failed check, not an error."""
    checks = of_this_machine()
    try:
        found = client().graphql("{ serverInfo { version store } viewer { name team scopes } }", {})
        told, viewer = found_at(found, "serverInfo"), found_at(found, "viewer")
        team = f" of team {viewer['team']}" if viewer["team"] else ""
        checks += [
            Check("server", True, f"{url}: etgraph {told['version']}, a {told['store']} store"),
            Check("viewer", True, f"{viewer['name']}{team}, who may {', '.join(viewer['scopes']) or 'do nothing'}"),
        ]
        of_store = _of_store(client(), verify)
        return Diagnosis((*checks, *of_store), exit_code_of(of_store))
    except EtgraphError as error:
        checks.append(Check("server", False, error.message + (f" ({error.hint})" if error.hint else "")))
        return Diagnosis(tuple(checks), UNUSABLE)


def _of_store(client: Client, verify: bool) -> list[Check]:
    """Checks of the server's store, of which administrators are told alone. Raises Refused for others who verify."""
    try:
        document = "query ($verify: Boolean!) { storeChecks(verify: $verify) { name ok detail } }"
        return [read(Check, each) for each in found_at(client.graphql(document, {"verify": verify}), "storeChecks")]
    except Refused:
        if verify:
            raise
        return []


__all__ = ["diagnose"]
