"""Run all benchmarks, or those that are named: `python -m benchmarks [reading path slack export store startup …]`."""

from __future__ import annotations

import sys
from importlib import import_module

ALL = {
    "reading": "Kineto files into columns, beside json + pandas; memory",
    "linking": "host and device file of a rank into one draft, and DATA dependencies; right links with ids hidden",
    "inference": "dependencies inferred within a rank, what they leave unexplained, and what they cost an event",
    "communication": "collectives over ranks: time an operator, what is found where files say little",
    "path": "the path kernel, beside rustworkx and networkx",
    "engine": "the event engine, beside list scheduling with networkx; memory and growth",
    "replay": "replay of every recorded run: errors of windows, and what they are worth",
    "alignment": "two traces of 100,000 operators aligned, beside difflib and a tree diff by dynamic programming",
    "slack": "the model's critical path and every slack, beside rustworkx and networkx",
    "questions": "every question on 100,000 operators: asked again, and by a new process from the local store",
    "export": "exports of a whole trace, beside networkx' own writers",
    "chakra": "Chakra files into columns and back, beside protobuf objects; memory; the model's critical path",
    "store": "publishing and loading, beside Parquet and SQLite",
    "neo4j": "publishing to Neo4j and loading back, beside a plain loader; memory",
    "astra_sim": "ASTRA-sim's models in the compiled loop: nodes and messages a second, and memory",
    "startup": "etgraph --help, and the kernels' first compilation",
    "crash": "a publisher killed at random moments",
    "crash-jobs": "servers and workers killed at random moments under uploads",
    "collectives": "communication costs: fitted on half and checked on half, what-ifs from base steps, shared links",
    "waterfall": "lost time of recorded runs, in parts of what was measured",
    "whatif": "what-ifs predicted from base steps alone, beside the measured variants",
    "cross-hardware": "computation predicted from one device for another, beside predictors without a model; speed",
    "compare": "two traces compared, beside sums by name in pandas: time, and who names a known change first",
    "check": "a check of two traces of 100,000 operators, from files and from a store, beside reading them",
    "sweeps": "sweeps over hardware: points a second, in one process and in two, beside predicting each anew",
    "work": "flops and bytes of operators: the share of the computation they cover, and what estimating them takes",
    "alerts-statistics": "verdicts on simulated histories and recorded runs, beside plain tests: false alarms, power",
    "alerts-injected": "regressions put into recorded runs: how many are caught with the right one named, false alarms",
    "api": "the API under 50 requests a second from 50 clients: first, warm and kept answers; memory",
    "traces": "every trace of the collection: what was read, and how fast",
}
ASKED = {
    "reading-large": "a Kineto file of ten million events: time and memory",
    "chakra-large": "a Chakra file of ten million nodes: time, size and memory",
    "neo4j-traces": "every trace of the collection published to Neo4j, loaded back and compared",
    "soak": "ten minutes of good, bad and hostile requests to the API: what breaks, what leaks",
    "fuzz": "a million damaged inputs for all readers, for archives and for whole runs",
    "chain": "files read, linked and inferred, beside HTA's loading and mlc-chakra's linker, installed for it",
    "chakra-peer": "exported Chakra files opened with the standard's own package, installed for it",
    "api-neo4j": "the API on a trace in Neo4j, under the same load as on a local store",
    "breakdown-peer": "breakdown beside Holistic Trace Analysis, installed for it",
}
"""What needs more time, disk or packages than others, and runs only where it is named."""


def main() -> None:
    """Run the benchmarks in the order given."""
    chosen = sys.argv[1:] or list(ALL)
    known = ALL | ASKED
    unknown = [name for name in chosen if name not in known]
    if unknown:
        sys.exit(f"no benchmark {unknown[0]!r}; there are: {', '.join(known)}")
    for name in chosen:
        print(f"\n## {name}: {known[name]}\n", flush=True)
        import_module(f"benchmarks.{name.replace('-', '_')}").main()


main()
