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
        "jobs": "has a test of its own in test_remote_changes.py",
        "push": "is about a server alone: test_remote_changes.py",
        "serve": "opens the store itself",
        "share": "is for who runs a server, on its store",
        "sweep": "runs on this machine",
        "token": "is for who runs a server, on its store",
        "worker": "opens the store itself",
    }
)
"""Commands that ask no server, and why."""

CALLS: Final = MappingProxyType(
    {
        "doctor": (),
        "ls": ("", "-q", "--workload gpt", "--team ads", "--label parallel=tp2_pp2", "--workload nothing"),
        "workloads": ("", "-q", "--team nlp", "--team nobody"),
        "show": ("dlrm", "gpt@base", "gpt#0", "gpt#1-3", "nothing", "dlrm#99", "nothing/there", "./nothing"),
        "breakdown": (
            "dlrm", "gpt --by family", "dlrm --by scope", "gpt --each", "gpt#0,2 --each", "gpt#0,2", "dlrm --rank 1",
            "dlrm --rank 99", "gpt --iteration 1", "gpt --iteration 99", "gpt#0 --iteration 1", "dlrm --window device",
            "dlrm --simulation SIMULATION", "dlrm --simulation ffffff", "nothing", "gpt@base --iteration 0 --rank 2",
        ),
        "hotspots": (
            "dlrm", "gpt@base --by group", "gpt --by size", "dlrm --by scope", "dlrm --profile h100-sxm",
            "dlrm --profile FILE", "gpt --rank 0 --iteration 1", "dlrm --simulation SIMULATION",
        ),
        "comm-matrix": ("dlrm", "gpt@base", "gpt --rank 1", "gpt --iteration 0", "dlrm --simulation SIMULATION"),
        "critical-path": (
            "dlrm", "dlrm --segments", "dlrm --model", "gpt#0", "gpt@base --rank 3", "dlrm --model --segments",
            "gpt#0,2 --model", "dlrm --window launch", "dlrm --simulation SIMULATION --segments",
            "gpt --timeout 0.000001", "gpt --window device --model",
        ),
        "stragglers": ("dlrm", "gpt@base --all", "gpt --rank 1 --iteration 0", "dlrm --simulation SIMULATION"),
        "iterations": ("gpt", "gpt --every-rank", "dlrm", "gpt --rank 1", "gpt#0,2", "gpt --window device"),
        "device-use": ("dlrm", "device", "device --phases"),
        "operators": (
            "dlrm", "device", "gpt --by kind", "dlrm --by scope --all", "dlrm --by shape --lane host",
            "dlrm --by source", "dlrm --profile FILE", "gpt --limit 3 --iteration 0", "dlrm --lane device",
        ),
        "waterfall": (
            "dlrm", "dlrm device", "gpt#1 --rank 0", "dlrm --profile FILE", "dlrm --simulation SIMULATION", "nothing",
        ),
        "memory": ("device", "device --by scope", "gpt"),
        "compare": (
            "gpt#0,2 gpt#1,3", "dlrm dlrm --all", "gpt#0 gpt#1 --by scope", "gpt#0 gpt#1 --by category",
            "dlrm device --by source", "gpt gpt --rank 0 --iteration 1", "gpt#0 gpt#3 --other gpt#2 --base gpt#1",
            "gpt nothing", "gpt#9 gpt",
        ),
        "check": (
            "dlrm device --rules default --rules RULES", "gpt#0,2 --baseline gpt#1,3", "dlrm --baseline gpt@base",
            "dlrm", "gpt --baseline last:1 --rules COMPARING", "dlrm --baseline branch:main", "nothing", "gpt#99",
            "dlrm --baseline nothing", "gpt --rules COMPARING", "gpt#0 --rules COMPARING --baseline gpt#1",
            "gpt --baseline last:x --rules COMPARING", "dlrm --baseline nothing --rules RULES",
            "gpt --timeout 0.000001", "RUN#1 --baseline RUN#0 --rules COMPARING", "RUN --rules COMPARING",
        ),
        "history": (
            "gpt iterations.durationNs", "gpt structure.operators.count --last 1", "gpt hotspots.totalNs",
            "gpt breakdown.idle", "gpt compare.differenceNs", "nothing iterations.durationNs", "gpt memory.peakBytes",
            "gpt iterations.durationNs --branch nothing",
        ),
        "rules": (
            "list", "show nightly", "explain waiting", "lint RULES", "test TESTS", "list -q", "show nothing",
            "show twice", "show twice --team ads", "remove nothing", "remove twice", "push no/name default",
            "push own CHANGES", "push own default --baseline last:x", "push own nothing.toml",
        ),
        "alerts": (
            "list", "show ALERT", "silences", "list --state resolved", "list -q", "list --workload D* --rule own",
            "list --rule 'o?n' --level error --limit 1", "list --level warn", "list --trace dlrm",
            "list --trace nothing", "list --state silenced --state acknowledged", "show SILENCED", "show nothing",
            "show ffffffffffff", "silences -q", "silences --expired", "silences --remove ffffffffffff",
            "acknowledge ALERT ffffffffffff", "silence --rule own --reason why --until 2020-01-01", "evaluate gpt",
            "evaluate nothing", "evaluate device#0",
        ),
        "findings": ("dlrm", "dlrm --threshold 0.05", "dlrm --profile h100-sxm", "gpt#1 --rank 0"),
        "whatif": (
            "dlrm", "dlrm --scale aten::mm=0.5", "dlrm --operators", "dlrm --remove *all_to_all* --seed 3 --draws 20",
            "dlrm --scale aten::mm=x", "dlrm --profile epyc-9654-gloo-8", "gpt#0 --rank 0 --by scope",
            "dlrm --insert CHANGES", "dlrm --simulation SIMULATION",
        ),
        "simulate": (
            "dlrm", "dlrm --replay", "gpt#1", "dlrm --profile dgx-h100", "dlrm --profile FILE --nodes",
            "gpt#1 --save", "nothing", "nothing --save",
        ),
        "simulations": (
            "dlrm", "dlrm -q", "dlrm --operators", "dlrm --operators --limit 3", "gpt", "gpt#0", "dlrm --score",
        ),
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

AS_JSON: Final = [f"{command} {call}".strip() + " --json" for command, calls in CALLS.items() for call in calls]
IN_A_TERMINAL: Final = [f"{command} {call}".strip() for command, calls in CALLS.items() for call in calls[:3]]

__all__ = ["AS_JSON", "CALLS", "IN_A_TERMINAL", "WITHOUT_A_STORE"]
