"""Exports: µs an operator and dependency and growth of memory, beside networkx' own writers, whole-table Parquet,
Perfetto's builder of traces, and `json` for trace events."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.clock import seconds
from benchmarks.store import synthetic_trace
from etgraph.ingest.writers import WRITERS, write
from etgraph.model import Trace

OPERATORS = 300_000
PEER_OPERATORS = 20_000
_MEMORY = """
import sys
from pathlib import Path
from benchmarks.store import synthetic_trace
from etgraph.ingest.writers import write

def resident(line):
    return int(Path("/proc/self/status").read_text().split(line + ":")[1].split()[0]) * 1024

format, operators, target = sys.argv[1], int(sys.argv[2]), sys.argv[3]
write(synthetic_trace(8_000), target, format)
trace = synthetic_trace(operators)
Path("/proc/self/clear_refs").write_text("5")
before = resident("VmRSS")
write(trace, target, format)
print(resident("VmHWM") - before, len(trace) + len(trace.dependencies))
"""
"""Peak of an export above the trace in memory, in a process that has written before, so that libraries are loaded."""


def peers(trace: Trace, folder: Path) -> dict[str, Callable[[], Any]]:
    """What writes the same from what is in memory: networkx, Arrow, Perfetto's Python package, `json`."""
    import networkx as nx
    import pyarrow.parquet as pq

    graph: Any = nx.MultiDiGraph()
    document = json.loads(_text(trace, "networkx"))
    for node in document["nodes"]:
        key = node.pop("id")
        node.pop("parent", None)
        graph.add_node(tuple(key), **node)
    for edge in document["edges"]:
        graph.add_edge(tuple(edge.pop("source")), tuple(edge.pop("target")), edge.pop("key"), **edge)

    def node_link() -> None:
        with (folder / "peer.json").open("w") as stream:
            json.dump(nx.node_link_data(graph), stream)

    def parquet() -> None:
        for name, columns in trace.tables.items():
            pq.write_table(columns.to_arrow(), folder / f"peer-{name}.parquet", compression="zstd")

    slices = _slices(trace)
    events = json.loads(_text(trace, "chrome"))

    def chrome() -> None:
        with (folder / "peer-events.json").open("w") as stream:
            json.dump(events, stream)

    return {
        "networkx": node_link,
        "perfetto": lambda: _perfetto(slices, folder / "peer.pftrace"),
        "chrome": chrome,
        "graphml": lambda: nx.write_graphml(graph, folder / "peer.graphml"),
        "parquet": parquet,
    }


def _slices(trace: Trace) -> list[tuple[int, bool, int, str, list[int], list[int]]]:
    """Beginnings and ends of operators: moment, whether it begins, track, name, arrows that leave and that arrive."""
    o, out, into = trace.operators, trace.successors, trace.predecessors
    names = o.texts("name").take(o["name"]).to_pylist()
    lanes, starts, ends = o["lane"].tolist(), o["start_ns"].tolist(), trace.end_ns.tolist()
    found: list[tuple[int, bool, int, str, list[int], list[int]]] = []
    for row, name in enumerate(names):
        leave, arrive = (a.edges[a.offsets[row] : a.offsets[row + 1]].tolist() for a in (out, into))
        found += [(starts[row], True, lanes[row], name, leave, arrive), (ends[row], False, lanes[row], "", [], [])]
    return sorted(found, key=lambda event: event[0])


def _perfetto(slices: list[tuple[int, bool, int, str, list[int], list[int]]], target: Path) -> None:
    """Write the slices, without their values, as Perfetto's documentation shows."""
    from perfetto.trace_builder.proto_builder import StreamingTraceProtoBuilder

    with target.open("wb") as stream:
        builder = StreamingTraceProtoBuilder(stream)
        for time, begins, track, name, leave, arrive in slices:
            packet = builder.create_packet()
            packet.timestamp = time
            packet.trusted_packet_sequence_id = 1
            event = packet.track_event
            event.type = event.TYPE_SLICE_BEGIN if begins else event.TYPE_SLICE_END
            event.track_uuid = track + 1
            if begins:
                event.name = name
                event.flow_ids.extend(leave)
                event.terminating_flow_ids.extend(arrive)
            builder.write_packet(packet)


def _text(trace: Trace, format: str) -> bytes:
    stream = io.BytesIO()
    write(trace, stream, format)
    return stream.getvalue()


def memory(format: str, operators: int, target: Path) -> tuple[int, int]:
    """Bytes above the trace itself, and its operators and dependencies together (Linux)."""
    command = [sys.executable, "-c", _MEMORY, format, str(operators), str(target)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(out[0]), int(out[1])


def main() -> None:
    """Print the table."""
    trace, small = synthetic_trace(OPERATORS), synthetic_trace(PEER_OPERATORS)
    count, few = len(trace) + len(trace.dependencies), len(small) + len(small.dependencies)
    print(f"{len(trace):,} operators, {len(trace.dependencies):,} dependencies; peers on {len(small):,}")
    print(f"and {len(small.dependencies):,}, their graph in memory beforehand; µs and bytes for each of both\n")
    print(f"{'format':10} {'µs':>6} {'bytes':>6} {'peer µs':>8} {'ratio':>6} {'memory, MB':>11} {'growth, bytes':>14}")
    with tempfile.TemporaryDirectory(prefix="etgraph-export-") as name:
        folder = Path(name)
        beside = peers(small, folder)
        for format in WRITERS:
            target = folder / format
            ours = seconds(lambda t=target, f=format: write(trace, t, f), 2) / count * 1e6  # type: ignore[misc]
            size = write(trace, target, format).bytes / count
            theirs = seconds(beside[format], 2) / few * 1e6 if format in beside else None
            peer = f"{theirs:8.2f} {theirs / ours:5.1f}x" if theirs else f"{'–':>8} {'–':>6}"
            (low, less), (high, more) = (memory(format, n, target) for n in (OPERATORS, 3 * OPERATORS))
            growth = (high - low) / (more - less)
            print(f"{format:10} {ours:6.2f} {size:6.0f} {peer} {high / 1e6:11.1f} {growth:14.1f}")


if __name__ == "__main__":
    main()
