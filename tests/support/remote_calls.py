"""Calls of every command that asks a store, which are to give the same with a server in its place.

A command without calls here, and without a reason below, fails `test_remote.py`: a new one is tried by itself.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

WITHOUT_A_STORE: Final = MappingProxyType(
    {
        "demo": "reads bundled traces",
        "neo4j": "runs a server on this machine",
        "profile": "reads files; only `fit` takes traces, on this machine",
        "serve": "opens the store itself",
        "sweep": "runs on this machine",
    }
)
"""Commands that ask no server, and why."""

CALLS: Final = MappingProxyType(
    {
        "doctor": (),
        "ls": ("", "--workload gpt", "--team ads", "--label parallel=tp2_pp2", "--workload nothing", "-q"),
        "workloads": ("", "--team nlp", "--team nobody", "-q"),
        "show": ("dlrm", "gpt@base", "gpt#0", "gpt#1-3", "nothing", "dlrm#99", "nothing/there", "./nothing"),
        "breakdown": (
            "dlrm", "gpt --by family", "gpt@base --by scope", "gpt --each", "gpt#0,2 --each", "gpt#0,2", "gpt --rank 1",
            "gpt --rank 99", "gpt --iteration 1", "gpt --iteration 99", "gpt#0 --iteration 1", "gpt --window device",
            "dlrm --simulation SIMULATION", "dlrm --simulation ffffff", "nothing", "gpt@base --iteration 0 --rank 2",
        ),
        "hotspots": (
            "dlrm", "gpt@base --by group", "gpt --by size", "gpt --by scope", "dlrm --profile h100-sxm",
            "dlrm --profile FILE", "gpt --rank 0 --iteration 1", "dlrm --simulation SIMULATION",
        ),
        "comm-matrix": ("dlrm", "gpt@base", "gpt --rank 1", "gpt --iteration 0", "dlrm --simulation SIMULATION"),
        "critical-path": (
            "dlrm", "dlrm --segments", "gpt#0 --segments", "gpt@base --rank 3", "gpt --model", "dlrm --model --segments",
            "gpt#0,2 --model", "gpt --window launch", "dlrm --simulation SIMULATION --segments",
            "gpt --timeout 0.000001", "gpt --window device --model",
        ),
        "stragglers": ("dlrm", "gpt@base --all", "gpt --rank 1 --iteration 0", "dlrm --simulation SIMULATION"),
        "iterations": ("gpt", "gpt --every-rank", "dlrm", "gpt --rank 1", "gpt#0,2", "gpt --window device"),
        "device-use": ("dlrm", "gpt", "device", "device --phases"),
        "operators": (
            "dlrm", "gpt --by kind", "gpt@base --by scope --all", "gpt --by shape --lane host", "gpt --by source",
            "dlrm --profile FILE", "gpt --limit 3 --iteration 0", "dlrm --lane device", "device",
        ),
        "waterfall": (
            "gpt", "gpt gpt@base dlrm", "gpt#1", "dlrm --profile FILE", "dlrm --simulation SIMULATION", "gpt nothing",
        ),
        "memory": ("device", "device --by scope", "gpt"),
        "compare": (
            "gpt@base gpt", "gpt@base gpt --all", "gpt#0,2 gpt#1,3", "gpt gpt --by scope", "gpt gpt --by category",
            "gpt dlrm --by source", "gpt gpt --rank 0 --iteration 1", "gpt@base gpt --other gpt#2 --base gpt#1",
            "gpt nothing",
        ),
        "findings": ("gpt", "dlrm --threshold 0.05", "dlrm --profile h100-sxm", "gpt#1 --rank 0"),
        "whatif": (
            "gpt", "gpt --scale aten::mm=0.5", "gpt#1 --operators", "dlrm --remove *all_to_all* --seed 3 --draws 20",
            "gpt --scale aten::mm=x", "dlrm --profile epyc-9654-gloo-8", "gpt --rank 0 --by scope",
            "gpt --insert CHANGES", "dlrm --simulation SIMULATION",
        ),
        "simulate": (
            "dlrm", "gpt --replay", "dlrm --nodes", "gpt#1", "gpt@base --profile dgx-h100", "dlrm --profile FILE --nodes",
            "gpt#1 --save", "nothing", "nothing --save",
        ),
        "simulations": ("dlrm", "dlrm --operators", "dlrm --operators --limit 3", "gpt", "gpt#0", "dlrm -q", "dlrm --score"),
        "query": ("", "longest_operators --describe", "longest_operators --param trace=gpt", "nothing"),
        "cypher": ("RETURN_1", "RETURN_1 --param a=1"),
        "export": (),
        "ingest": (),
        "label": (),
        "rm": (),
        "tag": (),
        "untag": (),
    }
)  # fmt: skip
"""Calls that change nothing, without the command's name; others have tests of their own."""

ALL: Final = [f"{command} {call}".strip() for command, calls in CALLS.items() for call in calls]

__all__ = ["ALL", "CALLS", "WITHOUT_A_STORE"]
