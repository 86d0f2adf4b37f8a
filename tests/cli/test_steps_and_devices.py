"""What `iterations` and `device-use` print: names in JSON, readable tables at any width, many ranks."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from click.testing import Result
from rich.console import Console, RenderableType

from etgraph.cli.views.device_use import device_use_view
from etgraph.cli.views.iterations import MOST_STEPS, iterations_view
from etgraph.queries import DeviceUse, StepTimes, device_use, iterations
from support.build import build

Run = Callable[..., Result]
TRUST = {"explainedShare", "unmatchedCollectives", "weakLinks", "warnings"}


def steps(rank: int, lengths: list[int]) -> str:
    lines, at = [], 0
    for number, length in enumerate(lengths):
        lines.append(f"rank {rank} | thread 1 | iteration ProfilerStep#{number} {at}..{at + length}")
        lines.append(f"rank {rank} | thread 1 | aten::a_name_of_an_operator_that_goes_on_{number} {at}..{at + length}")
        at += length
    return "\n".join(lines)


def times(ranks: int = 2, count: int = 12) -> StepTimes:
    lengths = [5_000_000, *(1_000_000 + 1000 * (n % 3) for n in range(count - 2)), 1_900_000]
    return iterations(build("\n".join(steps(rank, lengths) for rank in range(ranks))))


DEVICE = """
    rank R | thread 1 | firstR: cudaLaunchKernel         0..10000     -> gemmR
    rank R | thread 1 | aten::item                   20000..1060000
    rank R | thread 1 | copyR: cudaMemcpyAsync       30000..1010000   -> MemcpyR
    rank R | thread 1 | secondR: cudaLaunchKernel  1900000..2000000   -> nextR
    rank R | stream 7 | gemmR                        10000..900000
    rank R | stream 7 | MemcpyR                     900000..1000000   -SYNC-> copyR
    rank R | stream 7 | nextR                      2000000..2100000
"""


def use(ranks: int = 1) -> DeviceUse:
    return device_use(build("\n".join(DEVICE.replace("R", str(rank)) for rank in range(ranks))))


def drawn(view: RenderableType, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False).print(view)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_iterations_have_the_promised_names(run: Run, session: Any) -> None:
    session.answers["iterations"] = times()
    answer = json.loads(run("iterations", "gpt", "--rank", "1", "--window", "launch", "--json").stdout)
    assert session.asked[0] == (
        "iterations", "gpt", {"rank": 1, "iteration": None, "window": "launch", "save": False}
    )  # fmt: skip
    assert set(answer) == {
        "count", "warmUpSteps", "outliers", "medianNs", "p95Ns", "minNs", "maxNs", "meanNs", "variation", "byRank",
        "rows", "trust",
    }  # fmt: skip
    assert set(answer["rows"][0]) == {
        "index", "rank", "name", "startNs", "durationNs", "excessNs", "warmUp", "outlier", "cause", "slowestRank",
        "spreadNs",
    }  # fmt: skip
    assert set(answer["rows"][0]["cause"]) == {"category", "detail", "ns", "name", "operatorNs"}
    assert set(answer["trust"]) == TRUST


def test_device_use_has_the_promised_names(run: Run, session: Any) -> None:
    session.answers["device-use"] = use()
    answer = json.loads(run("device-use", "gpt", "--json").stdout)
    assert set(answer) == {"devices", "phases", "stalls", "starved", "trust"}
    assert {
        "rank",
        "device",
        "windowNs",
        "busyNs",
        "busyShare",
        "hostNs",
        "starvedShare",
        "queueMean",
        "verdict",
    } < set(answer["devices"][0])
    assert set(answer["phases"][0]) == {"rank", "device", "kind", "startNs", "endNs", "busyNs"}
    assert set(answer["stalls"][0]) == {
        "call", "operator", "scope", "source", "ranks", "count", "blockedNs", "waitedNs", "stallNs", "gainNs"
    }  # fmt: skip
    assert set(answer["starved"][0]) == {"name", "count", "ns", "share"}
    answer = json.loads(run("device-use", "gpt", "--phases", "--json").stdout)
    assert set(answer["slices"][0]) == {"rank", "device", "startNs", "endNs", "busyShare", "depthMean"}


def test_steps_are_bars_with_marks_and_causes(run: Run, session: Any) -> None:
    session.answers["iterations"] = times()
    lines = run("iterations", "gpt", "--every-rank").stdout.splitlines()
    assert lines[0] == "Iterations of gpt"
    assert lines[1].startswith("12 steps: median 1.00 ms, 95th percentile 1.90 ms, from 1.00 ms to 1.90 ms, variation")
    assert lines[2] == "the first 1 step came before it had settled, and do not count"
    assert any("█" * 20 + "  warm-up" in line for line in lines)
    assert any(line.split()[:2] == ["11", "ProfilerStep#11"] and "outlier" in line for line in lines)
    assert any("computation, cpu-kernel" in line and "aten::a_name" in line for line in lines)
    assert sum(line.lstrip().startswith("11 ") for line in lines) == 5, (
        "a row, a cause, and a line for all and each rank"
    )
    assert lines[-1].startswith("trust: ")


def test_a_few_steps_are_not_judged() -> None:
    lines = drawn(iterations_view(iterations(build(steps(0, [100]))), "Iterations", 80), 80)
    assert lines[1:3] == ["1 step: median 100 ns", "too few steps to tell outliers"]


def test_devices_are_strips_with_causes_and_stalls(run: Run, session: Any) -> None:
    session.answers["device-use"] = use()
    lines = run("device-use", "gpt", "--phases").stdout.splitlines()
    assert lines[0] == "Device use of gpt"
    assert any(line.split()[:5] == ["0", "0", "2.10", "ms", "51.9%"] for line in lines)
    assert any("█████" in line and "░░░░░" in line for line in lines)
    assert any("█ device-bound" in line and "░ host-bound" in line for line in lines)
    assert any(line.split()[:4] == ["host", "900", "µs", "42.9%"] for line in lines)
    texts = [" ".join(line.split()) for line in lines]
    assert "cudaMemcpyAsync aten::item 1 980 µs 1.00 ms 970 µs" in texts
    assert any(line.startswith("between operators") for line in lines)
    assert "+1.00 ms 1.10 ms 9.1% rank 0, 0 host-bound" in texts
    assert lines[-1].startswith("trust: ")


@pytest.mark.parametrize("width", [80, 120])
def test_many_ranks_fit(width: int) -> None:
    lines = drawn(device_use_view(use(20), "Device use", width), width)
    assert max(map(len, lines)) <= width
    assert sum("device-bound" in line for line in lines) <= 18
    assert any("20 devices" in line for line in lines)
    lines = drawn(iterations_view(times(20, MOST_STEPS + 5), "Iterations", width), width)
    assert max(map(len, lines)) <= width
    assert any("… and 5 more steps" in line for line in lines)
    assert any("… and 4 faster ranks" in line for line in lines)
    assert any("ProfilerStep#44" in line and "outlier" in line for line in lines)


@pytest.mark.parametrize("width", [80, 100])
def test_the_verdict_on_a_device_stays_one_word(width: int) -> None:
    found = use()
    (device,) = found.devices
    long = replace(device, window_ns=123_456_789, queue_p50=1_234, queue_p95=12_345, verdict="communication-bound")
    lines = drawn(device_use_view(replace(found, devices=(long,)), "Device use", width), width)
    at = next(at for at, line in enumerate(lines) if "queue p50" in line)
    head, row = lines[at], lines[at + 2]
    assert row.split()[-1] == "communication-bound"
    assert "1,234" in row
    assert ("p95" in head.split(), "12,345" in row) == (width == 100, width == 100)
