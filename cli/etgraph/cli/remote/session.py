"""A session with a server: traces are kept and asked there, and files on this machine are read and asked here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self

from etgraph.cli.local import LocalSession
from etgraph.cli.paths import as_path, explain_not_found, split, whole, with_steps
from etgraph.cli.remote import catalogue
from etgraph.cli.remote.asking import (
    Arguments,
    answered,
    arguments_of,
    ask_root,
    ask_trace,
    change,
)
from etgraph.cli.remote.http import Client, checked_url
from etgraph.cli.remote.simulations import simulations_of
from etgraph.cli.session import Diagnosis, Failure, Ingested
from etgraph.model.errors import EtgraphError, NotFound, StoreError, UsageError
from etgraph.model.progress import Progress, silent
from etgraph.model.results import camel_case
from etgraph.store import TraceInfo
from etgraph.store.protocol import CypherResult

if TYPE_CHECKING:
    from etgraph.alerts.findings import CheckResult
    from etgraph.alerts.history import History
    from etgraph.alerts.rules.reading import Placed
    from etgraph.alerts.standing.evaluation import Evaluation
    from etgraph.api.jobs.job import Job
    from etgraph.cli.remote.standing import RemoteAlerts
    from etgraph.ingest.writers import Written
    from etgraph.queries import Simulations, Workloads
    from etgraph.queries.library import Answer
    from etgraph.sim.profiles import Profile
    from etgraph.sim.simulation import Simulation
    from etgraph.sim.sweeps import Grid, Sweep

MOST_ROWS: Final = 10_000
"""Rows of a Cypher query's answer that a server gives."""
TYPES: Final[Mapping[str, str]] = {
    "base": "[SideInput!]!",
    "changes": "[Attributes!]",
    "choices": "Attributes",
    "labels": "[LabelInput!]!",
    "name": "String!",
    "other": "[SideInput!]!",
    "parameters": "Attributes",
    "profile": "String",
    "query": "String!",
    "question": "String!",
    "reference": "String!",
    "simulation": "ID",
    "team": "String",
    "workload": "String!",
}
"""Types of arguments that go as variables: texts of others, and what has a form of its own."""


class RemoteSession:
    """Implements `Session` on a server, which is first asked when something is to be known of it."""

    def __init__(self, url: str, client: Callable[[str], Client] = Client) -> None:
        self.url = checked_url(url)
        self._make = client
        self._here = LocalSession(self.url)

    @cached_property
    def _client(self) -> Client:
        return self._make(self.url)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if "_client" in self.__dict__:
            self._client.close()

    def ingest(
        self,
        paths: Sequence[Path],
        *,
        each: bool = False,
        workload: str | None = None,
        team: str | None = None,
        labels: Mapping[str, str] | None = None,
        commit: str | None = None,
        branch: str | None = None,
        workers: int | None = None,
        resume: bool = False,
        progress: Progress | None = None,
    ) -> Ingested:
        """See `Session.ingest`. The server reads the files, as it sees fit, and the team is that of the token."""
        from etgraph.cli.remote.uploads import outcome_of, waited_for

        if team is not None or workers is not None or resume:
            option = "--team" if team is not None else "--workers" if workers is not None else "--resume"
            raise UsageError(f"{option} with a server: it reads files by itself, and its tokens have teams")
        stored: list[TraceInfo] = []
        failures: list[Failure] = []
        progress = progress or silent
        for path in paths:
            try:
                (job,) = self.push(
                    [path], each=each, workload=workload, labels=labels, commit=commit, branch=branch, progress=progress
                )
                traces, failed = outcome_of(self._client, waited_for(self._client, job, progress), path, workload)
            except (StoreError, UsageError):
                raise
            except EtgraphError as error:
                failed, traces = [Failure(str(path), error)], []
            stored += traces
            failures += failed
        progress("done", len(paths), len(paths))
        return Ingested(tuple(stored), tuple(failures))

    @property
    def is_remote(self) -> bool:
        """See `Session.is_remote`."""
        return True

    def push(
        self,
        paths: Sequence[Path],
        *,
        each: bool = False,
        workload: str | None = None,
        labels: Mapping[str, str] | None = None,
        commit: str | None = None,
        branch: str | None = None,
        progress: Progress | None = None,
    ) -> list[Job]:
        """See `Session.push`."""
        from etgraph.cli.remote.uploads import upload

        said = {"workload": workload, "commit": commit, "branch": branch, "each": "true" if each else None}
        details = [(name, value) for name, value in said.items() if value]
        details += [("label", f"{key}={value}") for key, value in (labels or {}).items()]
        return [upload(self._client, path, details, progress or silent) for path in paths]

    def jobs(self, *, state: str | None = None, limit: int = 50) -> list[Job]:
        """See `Session.jobs`."""
        from etgraph.cli.remote.uploads import jobs_of

        return jobs_of(self._client, state, limit)

    def job(self, job_id: str, *, cancel: bool = False) -> Job:
        """See `Session.job`."""
        from etgraph.cli.remote import uploads

        return (uploads.cancelled if cancel else uploads.job_of)(self._client, job_id)

    def traces(
        self, *, workload: str | None = None, team: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[TraceInfo]:
        """See `Session.traces`."""
        return catalogue.entries(self._client, workload, team, labels)

    def workloads(self, team: str | None = None) -> Workloads:
        """See `Session.workloads`."""
        from etgraph.queries import Workloads

        return answered(Workloads, ask_root(self._client, "workloadSummary", self._given(team=team)))

    def show(self, reference: str) -> TraceInfo:
        """See `Session.show`."""
        name, iterations = split(reference)
        if as_path(name) is not None:
            return self._here.show(reference)
        entry = self._entry(name)
        if iterations is None:
            return entry
        return replace(entry, **catalogue.part_of(self._client, entry.id, iterations))

    def find(self, reference: str) -> TraceInfo:
        """See `Session.find`."""
        return self._entry(whole(reference), stored=True)

    def remove(self, reference: str) -> TraceInfo:
        """See `Session.remove`."""
        entry = self.find(reference)
        change(self._client, "deleteTrace", self._given(reference=entry.id), "id")
        return entry

    def tag(self, reference: str, name: str) -> TraceInfo:
        """See `Session.tag`."""
        self.find(reference)
        return self._changed("tagTrace", reference=reference, name=name)

    def untag(self, workload: str, name: str) -> None:
        """See `Session.untag`."""
        change(self._client, "untagTrace", self._given(workload=workload, name=name), "name")

    def label(self, reference: str, labels: Mapping[str, str]) -> TraceInfo:
        """See `Session.label`."""
        self.find(reference)
        pairs = [{"key": key, "value": value} for key, value in labels.items()]
        return self._changed("labelTrace", reference=reference, labels=pairs)

    def remove_simulation(self, reference: str, name: str) -> str:
        """See `Session.remove_simulation`."""
        entry = self.find(reference)
        found = change(self._client, "removeSimulation", self._given(reference=entry.id, simulation=name), "id")
        return str(found["id"])

    def ask(
        self, question: str, reference: str, *, save: bool = False, simulation: str | None = None,
        without: Collection[str] = (), **choices: Any,
    ) -> Any:  # fmt: skip
        """See `Session.ask`."""
        from etgraph.queries.questions import field_of
        from etgraph.queries.saving import type_of_answers

        name, steps = split(reference)
        if as_path(name) is not None:
            return self._here.ask(question, reference, save=save, simulation=simulation, **choices)
        found = self._named(name)
        choices = _as_json(with_steps(reference, steps, choices))
        if save:
            told = self._given(reference=found, question=question, choices=choices, simulation=simulation)
            change(self._client, "keepAnswer", told, "trace { id }")
        given = self._given(**choices, simulation=simulation)
        return answered(
            type_of_answers(question), ask_trace(self._client, found, camel_case(field_of(question)), given), without
        )

    def ask_several(
        self, question: str, *references: Sequence[str], simulation: str | None = None,
        without: Collection[str] = (), **choices: Any,
    ) -> Any:  # fmt: skip
        """See `Session.ask_several`. Raises UsageError where files are to be asked with traces of the server."""
        from etgraph.queries.questions import field_of
        from etgraph.queries.saving import type_of_answers

        if self._all_here(*(one for side in references for one in side)):
            return self._here.ask_several(question, *references, simulation=simulation, **choices)
        sides = [[self._side(one) for one in side] for side in references]
        given = self._given(
            **dict(zip(("base", "other"), sides, strict=True)), simulation=simulation, **_as_json(choices)
        )
        return answered(
            type_of_answers(question), ask_root(self._client, camel_case(field_of(question)), given), without
        )

    def check(
        self,
        references: Sequence[str],
        rules: Sequence[Placed],
        *,
        baseline: Sequence[str] = (),
        workload: str | None = None,
        progress: Progress | None = None,
    ) -> CheckResult:
        """See `Session.check`. Raises UsageError where files are to be checked beside traces of the server."""
        from etgraph.alerts.checking import applicable
        from etgraph.alerts.references import is_of_a_catalogue, named_baselines
        from etgraph.cli.remote import alerts

        def is_here(name: str) -> bool:
            return not is_of_a_catalogue(name) and self._all_here(name)

        if self._all_here(*references) and all(map(is_here, named_baselines(rules, baseline))):
            return self._here.check(references, rules, baseline=baseline, workload=workload, progress=progress)
        for each in references:
            self._there(each)
        for each in named_baselines(rules, baseline):
            if not is_of_a_catalogue(each):
                self._there(each)
        (progress or silent)(f"checking on {self.url}")
        return alerts.check(self._client, references, applicable(rules, baseline), baseline, workload)

    def history(
        self,
        workload: str,
        metric: str,
        *,
        last: int = 50,
        branch: str | None = None,
        progress: Progress | None = None,
    ) -> History:
        """See `Session.history`."""
        from etgraph.cli.remote import alerts

        return alerts.history(self._client, workload, metric, last, branch)

    @cached_property
    def alerts(self) -> RemoteAlerts:
        """See `Session.alerts`."""
        from etgraph.cli.remote.standing import RemoteAlerts

        return RemoteAlerts(self._client)

    def evaluate(self, reference: str, *, progress: Progress | None = None) -> list[Evaluation]:
        """See `Session.evaluate`. A job of the server does it, which is waited for."""
        from etgraph.cli.alerting import rules_for

        entry = self.find(reference)
        rules_for(self.alerts, entry)
        return self.alerts.evaluate(entry.id, progress or silent)

    def simulate(self, reference: str, simulator: str, /, *, save: bool = False, **inputs: Any) -> Simulation:
        """See `Session.simulate`. Raises UsageError for a simulator that takes files."""
        from etgraph.sim.simulation import Simulation

        name, iterations = split(reference)
        if as_path(name) is not None:
            return self._here.simulate(reference, simulator, save=save, **inputs)
        if save:
            whole(reference)
        found = self._named(name, stored=save)
        if simulator not in ("replay", "predict"):
            raise UsageError(
                f"{simulator} takes files of this machine, and {name!r} is a trace of {self.url}",
                hint="give the trace as a path, or run this where the server's store is",
            )

        told = {"reference": found, "iterations": iterations, **_as_json(inputs)}
        if save:
            from etgraph.cli.remote.uploads import outcome_of, waited_for

            outcome = change(self._client, "simulate", self._given(save=True, **told), "job { id }")
            job = waited_for(self._client, self.job(outcome["job"]["id"]), silent)
            for failure in outcome_of(self._client, job, Path(name), None)[1]:
                raise failure.error

        def ask(selection: str) -> Mapping[str, Any]:
            outcome = change(self._client, "simulate", self._given(**told), f"simulation {selection}")
            simulated: Mapping[str, Any] = outcome["simulation"]
            return simulated

        return answered(Simulation, ask)

    def calibrate(self, references: Sequence[str], base: Profile | None = None, name: str | None = None) -> Profile:
        """See `Session.calibrate`. Raises UsageError for traces of the server."""
        self._only_here("a profile is fitted", references)
        return self._here.calibrate(references, base, name)

    def simulations(self, reference: str, *, operators: bool = False, score: bool = False) -> Simulations:
        """See `Session.simulations`."""
        found = self.find(reference)
        if score:
            change(self._client, "scoreSimulations", self._given(reference=reference), "trace { id }")
        return simulations_of(self._client, found.id, operators=operators)

    def sweep(
        self,
        reference: str,
        grid: Grid,
        *,
        workers: int | None = None,
        folder: Path | None = None,
        resume: bool = False,
        save: bool = False,
        progress: Progress | None = None,
    ) -> Sweep:
        """See `Session.sweep`. Raises UsageError for a trace of the server."""
        self._only_here("a sweep is run", [reference])
        return self._here.sweep(
            reference, grid, workers=workers, folder=folder, resume=resume, save=save, progress=progress
        )

    def cypher(
        self,
        text: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        write: bool = False,
        timeout_s: float = 60.0,
        limit: int = 100_000,
    ) -> CypherResult:
        """See `Session.cypher`. A server only lets read, and gives MOST_ROWS rows at most."""
        if write:
            raise UsageError(
                f"{self.url}: a server's graph can be read by Cypher, and not changed", hint="leave --write out"
            )
        given = self._given(
            query=text, parameters=dict(parameters or {}), timeout=timeout_s, limit=min(limit, MOST_ROWS)
        )
        return _rows(ask_root(self._client, "cypher", given))

    def query(self, name: str, values: Mapping[str, Any], *, timeout_s: float = 60.0) -> Answer:
        """See `Session.query`. The server gives MOST_ROWS rows at most."""
        from etgraph.queries import library

        given = self._given(name=name, parameters=dict(values), limit=MOST_ROWS)
        found = _rows(ask_root(self._client, "namedQuery", given))
        return library.Answer(library.load(name), found.data, found.truncated)

    def export(
        self,
        reference: str,
        target: Path | BinaryIO,
        format: str,
        *,
        workload_for: str | None = None,
        progress: Progress | None = None,
    ) -> Written:
        """See `Session.export`. The server writes it; formats of several files come as folders."""
        from etgraph.cli.remote.exports import export

        name, iterations = split(reference)
        if as_path(name) is not None:
            return self._here.export(reference, target, format, workload_for=workload_for, progress=progress)
        part = "" if iterations is None else f"#{','.join(map(str, iterations))}"
        return export(self._client, self._named(name) + part, target, format, workload_for, progress or silent)

    def export_for_neo4j(self, references: Sequence[str], target: Path, *, progress: Progress | None = None) -> Written:
        """See `Session.export_for_neo4j`. Raises UsageError for traces of the server."""
        self._only_here("files for neo4j-admin are written", references)
        return self._here.export_for_neo4j(references, target, progress=progress)

    def doctor(self, verify: bool = False) -> Diagnosis:
        """See `Session.doctor`: of this machine, and of the server and its store."""
        from etgraph.cli.remote.diagnosis import diagnose

        return diagnose(self.url, lambda: self._client, verify)

    def _entry(self, name: str, *, stored: bool = False) -> TraceInfo:
        return catalogue.entry_of(self._client, self._about(name, catalogue.ENTRY, stored=stored))

    def _named(self, name: str, *, stored: bool = False) -> str:
        """The id of a stored trace."""
        found: str = self._about(name, "id", stored=stored)["id"]
        return found

    def _about(self, name: str, selected: str, *, stored: bool) -> Mapping[str, Any]:
        try:
            return catalogue.entry(self._client, name, selected)
        except NotFound as error:
            explain_not_found(error, name, self.url, stored=stored)
            raise

    def _changed(self, field: str, **given: Any) -> TraceInfo:
        """The entry of a trace after a change of it."""
        success = f"trace {{ {catalogue.ENTRY} }}"
        return catalogue.entry_of(self._client, change(self._client, field, self._given(**given), success)["trace"])

    def _side(self, reference: str) -> dict[str, Any]:
        """A run of a comparison, as `SideInput` has it."""
        found, iterations = self._there(reference)
        steps = {} if iterations is None else {"iterations": list(iterations)}
        return {"reference": found, "name": reference, **steps}

    def _there(self, reference: str) -> tuple[str, tuple[int, ...] | None]:
        """The id of a trace of the server, and the iterations that are meant. Raises UsageError for a path."""
        name, iterations = split(reference)
        if as_path(name) is not None:
            raise UsageError(
                f"{name} is a file of this machine, and others are traces of {self.url}: they cannot be asked together",
                hint=f"'etgraph push {name}' puts it on the server",
            )
        return self._named(name), iterations

    def _all_here(self, *references: str) -> bool:
        return all(as_path(split(each)[0]) is not None for each in references)

    def _only_here(self, what: str, references: Iterable[str]) -> None:
        """Raise UsageError where one of the references is a trace of the server."""
        for each in references:
            if not self._all_here(each):
                self._named(split(each)[0])
                raise UsageError(
                    f"{each!r} is a trace of {self.url}: {what} of files of this machine, or where the store is",
                    hint="give a path, or the store itself with --store",
                )

    @staticmethod
    def _given(**choices: Any) -> Arguments:
        return arguments_of(choices, TYPES)


def _as_json(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Choices as the API takes them: a profile by its name or all of it, changes as rows, steps as a list."""
    found = {name: value for name, value in choices.items() if value is not None}
    if "profile" in found:
        found["profile"] = _named_or_whole(found["profile"])
    if "changes" in found:
        from etgraph.sim.what_if.writing import to_rows

        found["changes"] = to_rows(found["changes"])
    if "iteration" in found:
        found["iteration"] = list(found["iteration"]) if isinstance(found["iteration"], tuple) else [found["iteration"]]
    return found


def _named_or_whole(profile: Profile) -> str:
    from etgraph.sim.profiles import builtin_names, dump, load

    return profile.name if profile.name in builtin_names() and load(profile.name) == profile else dump(profile)


def _rows(ask: Callable[[str], Mapping[str, Any]]) -> CypherResult:
    found = ask("{ columns rows truncated warnings }")
    columns = tuple(found["columns"])
    data = tuple(map(list, zip(*found["rows"]))) if found["rows"] else tuple([] for _ in columns)
    return CypherResult(columns, data, found["truncated"], tuple(found["warnings"]))
