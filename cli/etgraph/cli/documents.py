"""What `--json` prints: results and catalogue entries under the names that every interface shares."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from etgraph.model.results import camel_case, to_json

if TYPE_CHECKING:
    from etgraph.cli.session import Diagnosis, Failure
    from etgraph.model import Report, Source
    from etgraph.model.results import Result
    from etgraph.store import TraceInfo


def trace_document(info: TraceInfo) -> dict[str, Any]:
    """One trace. `created`, `workload`, `team` and `bytes` are null for a trace that is not stored."""
    return {
        "id": info.id,
        "revision": info.revision,
        "created": info.created,
        "workload": info.workload,
        "team": info.team,
        "commit": info.commit,
        "branch": info.branch,
        "labels": dict(info.labels),
        "tags": list(info.tags),
        "ranks": list(info.ranks),
        "worldSize": info.world_size,
        "deviceModel": info.device_model,
        "startTime": info.start_time,
        "spanNs": info.span_ns,
        "operators": info.operators,
        "dependencies": dict(info.dependencies),
        "collectives": info.collectives,
        "bytes": info.bytes,
        "iterations": [to_json(iteration) for iteration in info.iterations],
        "report": report_document(info.report, info.sources),
    }


def report_document(report: Report, sources: tuple[Source, ...]) -> dict[str, Any]:
    """How the files became a graph. `counts` holds what only some formats have."""
    return {
        "files": [
            {
                "name": source.name,
                "format": source.format,
                "rank": source.rank,
                "rankFrom": source.rank_from,
                "bytes": source.bytes,
                "sha256": source.sha256,
            }
            | ({"metadata": source.document} if source.format.startswith("chakra") else {})
            for source in sources
        ],
        "hostOperators": report.host_operators,
        "linkedOperators": report.linked_operators,
        "deviceOperators": report.device_operators,
        "launchedDeviceOperators": report.launched_device_operators,
        "collectivesMatched": report.collectives_matched,
        "collectivesUnmatched": report.collectives_unmatched,
        "danglingDependencies": report.dangling_dependencies,
        "pairs": {str(rank): identity for rank, identity in sorted(report.pairs.items())},
        "counts": dict(report.counts),
        "warnings": list(report.warnings),
        "ignored": [{"name": ignored.name, "reason": ignored.reason} for ignored in report.ignored],
    }


def failure_document(failure: Failure) -> dict[str, Any]:
    """A path that could not be ingested."""
    error = failure.error
    return {"path": failure.path, "code": error.code, "message": error.message, "hint": error.hint}


def result_document(result: Result, *, leave_out: Collection[str] = ()) -> dict[str, Any]:
    """The answer of a question, without those of its fields; tables may have many thousand rows."""
    assert is_dataclass(result)
    names = [field.name for field in fields(result) if field.name not in leave_out]
    return {camel_case(name): to_json(getattr(result, name)) for name in names}


def diagnosis_document(diagnosis: Diagnosis) -> dict[str, Any]:
    """What `doctor` found."""
    return {"checks": [to_json(check) for check in diagnosis.checks]}
