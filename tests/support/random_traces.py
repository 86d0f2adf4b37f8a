"""Random small traces: nested operators on threads, launches, streams that run in order, events and waits."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from etgraph.model import Trace
from etgraph.model.graph import event_graph, topological_order
from support.build import build


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """A trace of one rank that a real program could have left, small enough to be looked at."""
    return build("\n".join(_lines(draw)))


@st.composite
def distributed_traces(draw: st.DrawFn) -> Trace:
    """The same of two or three ranks that meet in collectives and send each other messages."""
    ranks = range(draw(st.integers(2, 3)))
    lines = [
        re.sub(r"\b((?:op|sync|k)\d+)\b", rf"\1r{rank}", line).replace("rank 0", f"rank {rank}")
        for rank in ranks
        for line in _lines(draw)
    ]
    free = {rank: draw(st.integers(0, 60)) for rank in ranks}
    for number in range(draw(st.integers(1, 4))):
        begin = {rank: free[rank] + draw(st.integers(0, 50)) for rank in ranks}
        if draw(st.booleans()):
            for rank in ranks:
                free[rank] = max(begin.values()) + draw(st.integers(0, 15))
                lines.append(f"rank {rank} | stream c | all_reduce 4KB  {begin[rank]}..{free[rank]}")
        else:
            free[0], free[1] = begin[0] + draw(st.integers(0, 15)), max(begin[0], begin[1]) + draw(st.integers(0, 15))
            lines.append(f"rank 0 | stream c | ncclSend  {begin[0]}..{free[0]} -COMM-> message{number}")
            lines.append(f"rank 1 | stream c | message{number}: ncclRecv  {begin[1]}..{free[1]}")
    return build("\n".join(lines))


def _lines(draw: st.DrawFn) -> list[str]:
    """What one rank does, in the notation of `build`."""
    lines: list[str] = []
    calls: list[tuple[int, int]] = []
    for thread in range(draw(st.integers(1, 3))):
        t = draw(st.integers(0, 20))
        for _ in range(draw(st.integers(1, 5))):
            t = _operator(draw, lines, calls, thread, t, depth=draw(st.integers(0, 2)))
            t += draw(st.integers(0, 30))
    _hand_over(draw, lines)
    free = dict.fromkeys(range(3), 0)
    done: list[tuple[int, str]] = []
    for number, (start, end) in enumerate(sorted(calls)):
        stream = draw(st.integers(0, 2))
        waits = draw(st.sampled_from([None, *done])) if done else None
        begin = max(start + draw(st.integers(0, 2 * (end - start) + 5)), free[stream], waits[0] if waits else 0)
        begin += draw(st.sampled_from([0, 1, 3, 6000]))
        finish = begin + draw(st.integers(0, 40))
        free[stream] = finish
        label = f"k{number}"
        lines.append(f"rank 0 | stream {stream} | {label}: kernel  {begin}..{finish}")
        launch = next(i for i, line in enumerate(lines) if f"cudaLaunchKernel  {start}..{end}" in line)
        lines[launch] += f" -> {label}"
        if waits:
            source = next(i for i, line in enumerate(lines) if f"| {waits[1]}: " in line)
            lines[source] += f" -EVENT-> {label}"
        done.append((finish, label))
    for line in list(lines):
        if "| sync" in line and done and draw(st.booleans()):
            name, begin, finish = _parts(line)
            ended = [label for end, label in done if begin < end <= finish]
            if ended:
                source = next(i for i, other in enumerate(lines) if f"| {ended[-1]}: " in other)
                lines[source] += f" -SYNC-> {name}"
    return lines


@st.composite
def crossing_traces(draw: st.DrawFn) -> Trace:
    """Intervals on threads that may cross each other, some of them calls that launch kernels."""
    moments, lengths = st.integers(0, 40), st.integers(0, 20)
    lines = []
    for number in range(draw(st.integers(1, 9))):
        start, length = draw(moments), draw(lengths)
        thread, name = draw(st.integers(0, 1)), draw(st.sampled_from("abc"))
        arrow = ""
        if draw(st.booleans()):
            begin = start + draw(lengths)
            arrow = f" -> k{number}"
            stream, kernel = draw(st.integers(0, 1)), draw(st.sampled_from("xy"))
            lines.append(f"rank 0 | stream {stream} | k{number}: {kernel} {begin}..{begin + draw(lengths)}")
        lines.append(f"rank 0 | thread {thread} | o{number}: {name} {start}..{start + length}{arrow}")
    return build("\n".join(lines))


def executable(trace: Trace) -> bool:
    """Whether nothing waits for itself; operators without length may be drawn to wait for each other."""
    graph = event_graph(trace.operators, trace.dependencies, trace.collectives)
    return not len(topological_order(graph.nodes, graph.sources, graph.targets)[1])


def chain(trace: Trace, row: int) -> list[int]:
    """An operator and those around it, innermost first."""
    found = []
    while row >= 0:
        found.append(row)
        row = int(trace.operators["parent"][row])
    return found


def _parts(line: str) -> tuple[str, int, int]:
    """Label, start and end of a line."""
    label, times = re.search(r"\| (\w+): \S+  (\S+)", line).groups()  # type: ignore[union-attr]
    start, end = times.split("..")
    return label, int(start), int(end)


def _hand_over(draw: st.DrawFn, lines: list[str]) -> None:
    """Work that one thread starts or finishes for another."""
    for source in range(len(lines)):
        for target in range(len(lines)):
            (_, a, b), (label, c, _) = _parts(lines[source]), _parts(lines[target])
            if source == target or lines[source].split("|")[1] == lines[target].split("|")[1]:
                continue
            if b <= c and draw(st.integers(0, 3)) == 0:
                lines[source] += f" -JOIN-> {label}"
            elif a < c < b and draw(st.integers(0, 3)) == 0:
                lines[source] += f" -SPAWN-> {label}"


def _operator(draw: st.DrawFn, lines: list[str], calls: list[tuple[int, int]], thread: int, t: int, depth: int) -> int:
    """One operator with its children; returns its end."""
    start = t
    row = len(lines)
    lines.append("")
    name = draw(st.sampled_from(["aten::op", "cudaLaunchKernel", "cudaDeviceSynchronize"])) if depth == 0 else "aten::f"
    if depth and draw(st.booleans()):
        name = "cudaDeviceSynchronize"
    if depth:
        for _ in range(draw(st.integers(0, 2))):
            t += draw(st.integers(0, 5))
            t = _operator(draw, lines, calls, thread, t, depth - 1)
    end = t + draw(st.integers(0, 25))
    if name == "cudaLaunchKernel":
        if (start, end) in calls or end == start:
            name = "aten::op"
        else:
            calls.append((start, end))
    label = f"sync{row}" if name == "cudaDeviceSynchronize" else f"op{row}"
    lines[row] = f"rank 0 | thread {thread} | {label}: {name}  {start}..{end}"
    return end
