"""Traces as tables: the list of a catalogue, and all that is known of one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from etgraph.cli.units import age, count, counted, duration, moment, percent, printable, ranges, size

if TYPE_CHECKING:
    from etgraph.cli.session import Diagnosis
    from etgraph.model import Report
    from etgraph.store import IterationInfo, TraceInfo

SHORT_ID = 12
SHORT_COMMIT = 8
ROOMY = 100
METADATA_SHOWN = 40
"""Characters that are shown of a value of a file's global metadata."""

KIND_MEANINGS = {
    "CTRL": "order that the source recorded",
    "DATA": "data that one produces and the other needs",
    "CALL": "one encloses the other",
    "THREAD": "next on the same thread",
    "LAUNCH": "a call starts work on the device",
    "STREAM": "next on the same device stream",
    "EVENT": "one stream waits for another",
    "SYNC": "a call waits for the device, or a thread",
    "SPAWN": "work given to another thread",
    "JOIN": "a thread waits for another",
    "OCCUPANCY": "another kernel held the device",
    "COMM": "a message from rank to rank",
    "COLLECTIVE": "ranks that meet in a collective",
}


def grid(*headers: str, right: Iterable[str] = ()) -> Table:
    """A table in the house's style; columns named in `right` hold numbers."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    numbers = set(right)
    for header in headers:
        table.add_column(
            header, justify="right" if header in numbers else "left", no_wrap=header in numbers, overflow="fold"
        )
    return table


def facts(rows: Sequence[tuple[str, str | Text]]) -> Table:
    """Names and values in two columns; rows without a value are left out."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        if value:
            table.add_row(name, value)
    return table


def name_of(info: TraceInfo) -> str:
    """How a reader would call a trace: its workload and tags, or its id."""
    if info.workload is None:
        return f"trace {info.id[:SHORT_ID]}"
    return printable("@".join([info.workload, *info.tags[:1]]))


def traces_table(traces: Sequence[TraceInfo], width: int) -> RenderableType:
    """One row a trace; what is missing from all of them, or has no room, is left out."""
    numbers: dict[str, Callable[[TraceInfo], str]] = {
        "ranks": lambda info: count(len(info.ranks)),
        "operators": lambda info: count(info.operators),
        "steps": lambda info: count(len(info.iterations)),
        "span": lambda info: duration(info.span_ns) if info.span_ns else "–",
    }
    if width < ROOMY:
        del numbers["span"]
    table = grid("id", "workload", "stored", *numbers, right=numbers)
    table.columns[0].no_wrap = table.columns[2].no_wrap = True
    table.columns[1].min_width = min(12, max((len(info.workload or "") for info in traces), default=0))
    about = [_about(info) for info in traces]
    if any(about):
        table.add_column("about", overflow="fold", min_width=min(14, max(map(len, about))))
    for info, words in zip(traces, about):
        cells = [info.id[:SHORT_ID], printable(info.workload or "–"), age(info.created)]
        table.add_row(*cells, *(text(info) for text in numbers.values()), *([words] if any(about) else []))
    return table


def _about(info: TraceInfo) -> str:
    """Tags, team, commit and labels of a trace in a few words."""
    words = [f"@{tag}" for tag in info.tags]
    words += [info.team] if info.team else []
    words += [info.commit[:SHORT_COMMIT]] if info.commit else []
    words += [f"{key}={value}" for key, value in info.labels.items()]
    return printable(" ".join(words))


def trace_view(info: TraceInfo) -> RenderableType:
    """All that is known of one trace."""
    parts: list[RenderableType] = [Text(name_of(info), style="bold"), Text(), facts(_facts(info)), Text()]
    if info.dependencies:
        parts += [_dependencies(info.dependencies), Text()]
    if info.iterations:
        parts += [_iterations(info.iterations), Text()]
    chakra = all(source.format.startswith("chakra") for source in info.sources)
    parts.append(_report(info.report, chakra=chakra))
    return Group(*parts)


def _facts(info: TraceInfo) -> list[tuple[str, str | Text]]:
    ranks = counted(len(info.ranks), "rank") + (f" ({ranges(info.ranks)})" if info.ranks else "")
    if info.world_size is not None and info.world_size != len(info.ranks):
        ranks += f" of {count(info.world_size)}"
    files = ", ".join(printable(f"{source.name} (rank {source.rank}, {source.format})") for source in info.sources[:4])
    if len(info.sources) > 4:
        files += f" and {len(info.sources) - 4} more"
    read = sum(source.bytes for source in info.sources)
    return [
        ("id", info.id),
        ("workload", printable(info.workload or "")),
        ("tags", printable(", ".join(info.tags))),
        ("team", printable(info.team or "")),
        ("commit", printable(" on ".join(filter(None, (info.commit, info.branch))))),
        ("labels", printable(", ".join(f"{k}={v}" for k, v in info.labels.items()))),
        (
            "stored",
            f"{moment(info.created)}, {size(info.bytes)} on disk" if info.created else "no, read from its files",
        ),
        ("recorded", "" if info.start_time is None else moment(info.start_time)),
        ("files", f"{files}; {size(read)}" if files else ""),
        ("metadata", _global_metadata(info)),
        ("ranks", ranks),
        ("device", printable(info.device_model or "")),
        ("span", duration(info.span_ns) if info.span_ns else ""),
        ("operators", count(info.operators)),
        ("collectives", count(info.collectives) if info.collectives else "none matched over the ranks"),
    ]


def _global_metadata(info: TraceInfo) -> str:
    """The global metadata of the first Chakra file in a few words."""
    document = next((s.document for s in info.sources if s.format.startswith("chakra")), {})
    words = [f"version {document['version']}"] if document.get("version") else []
    for attribute in document.get("attr", ()):
        if attribute.get("name", "") in ("", "etgraph"):
            continue
        value = next((v for k, v in attribute.items() if k.endswith(("_val", "_list"))), "")
        text = str(value.get("values", [])) if isinstance(value, dict) else str(value)
        words.append(f"{attribute.get('name', '')} {text[:METADATA_SHOWN]}{'…' if len(text) > METADATA_SHOWN else ''}")
    return printable(", ".join(words))


def _dependencies(kinds: dict[str, int]) -> Table:
    table = grid("dependencies", "count", "", right=("count",))
    for kind, number in sorted(kinds.items(), key=lambda item: -item[1]):
        table.add_row(kind, count(number), KIND_MEANINGS.get(kind, ""))
    return table


def _iterations(iterations: Sequence[IterationInfo]) -> Table:
    table = grid("iteration", "name", "start", "time", "", right=("iteration", "start", "time"))
    lengths = [_length(iteration) for iteration in iterations]
    longest = max((length for length in lengths if length is not None), default=0)
    for iteration, length in zip(iterations, lengths):
        bar = "█" * max(1, round(20 * length / longest)) if length and longest else ""
        table.add_row(
            str(iteration.index), printable(iteration.name), duration(iteration.start_ns), duration(length), bar
        )
    return table


def _length(iteration: IterationInfo) -> int | None:
    if iteration.start_ns is None or iteration.end_ns is None:
        return None
    return iteration.end_ns - iteration.start_ns


def _report(report: Report, *, chakra: bool = False) -> RenderableType:
    """How reading went, in words; warnings last. Chakra files do not tell launches apart."""
    lines = [counted(report.host_operators, "operator") + " of the host"]
    if report.linked_operators:
        recorded = report.counts.get("recordsOfHostFile", report.host_operators)
        lines.append(f"{_part(report.linked_operators, recorded)} operators of execution traces linked to timed ones")
    for identity in dict.fromkeys(report.pairs.values()):
        ranks = ranges(rank for rank, of in report.pairs.items() if of == identity)
        lines.append(f"files of host and device: {identity}, on ranks {ranks}")
    if report.device_operators and not report.launched_device_operators and chakra:
        lines.append(f"{counted(report.device_operators, 'operator')} of devices")
    elif report.device_operators:
        launched = _part(report.launched_device_operators, report.device_operators)
        lines.append(f"{counted(report.device_operators, 'operator')} of devices, {launched} with their launch")
    if report.collectives_matched or report.collectives_unmatched:
        lines.append(
            f"{counted(report.collectives_matched, 'collective')} matched over the ranks, "
            f"{count(report.collectives_unmatched)} not"
        )
    if report.dangling_dependencies:
        lines.append(f"{counted(report.dangling_dependencies, 'dependency', 'dependencies')} led nowhere")
    if report.ignored:
        first = report.ignored[0]
        shown = f" ({printable(first.name)}: {printable(first.reason)})"
        lines.append(f"{counted(len(report.ignored), 'other file')} left out{shown}")
    text = Text("how it was read\n", style="bold")
    text.append("".join(f"  {line}\n" for line in lines), style="not bold")
    for warning in report.warnings:
        text.append("  ! ", style="yellow")
        text.append(printable(warning) + "\n", style="not bold")
    text.rstrip()
    return text


def _part(number: int, whole: int) -> str:
    return f"{count(number)} ({percent(number / whole)})" if whole else count(number)


def diagnosis_view(diagnosis: Diagnosis) -> RenderableType:
    """One row a check."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for check in diagnosis.checks:
        mark = Text("ok", style="green") if check.ok else Text("FAIL", style="bold red")
        table.add_row(mark, printable(check.name), printable(check.detail))
    return table


def ingested_view(traces: Sequence[TraceInfo], width: int) -> RenderableType:
    """What an ingest stored: the list, and the warnings that came with it."""
    parts: list[RenderableType] = [traces_table(traces, width)]
    told: dict[str, list[str]] = {}
    for info in traces:
        for warning in info.report.warnings:
            told.setdefault(warning, []).append(info.id[:SHORT_ID])
    for warning, ids in told.items():
        whose = ids[0] if len(ids) == 1 else counted(len(ids), "trace")
        parts.append(Text.assemble(("! ", "yellow"), f"{whose}: {printable(warning)}"))
    return Group(*parts)
