"""Replay: a measured trace run again from its dependencies, durations and constants, with the proof of its error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from etgraph.model import Trace, Trust
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData
from etgraph.sim.compute.protocol import Predictions
from etgraph.sim.engine import Program, Timeline, run
from etgraph.sim.engine.stuck import check_ended
from etgraph.sim.outcome import on_timeline, simulation_of, window_times
from etgraph.sim.proof import ENOUGH_SHARE, Proof
from etgraph.sim.replay.plan import Plan, plan_of, program_of
from etgraph.sim.replay.proof import mean_error, proof_of, unexplained_share
from etgraph.sim.replay.structure import Fitted, Structure, fitted, structure_of
from etgraph.sim.simulation import Simulation, WindowTimes

SIMULATOR = "etgraph replay"


def replay(trace: Trace) -> Simulation:
    """Run a measured trace again; its `proof` says how far that is from what was measured, and what that is worth.

    Starts follow from dependencies, measured durations (of communication what is left after the last peer has come),
    the host's own time within a thread, and constants fitted on this trace; never from recorded starts on devices, nor
    from how long an operator waited. Raises MissingData for a trace without times, Deadlock where one cannot go on.
    """
    s, c, program, timeline = _run(trace)
    found = simulation_of(trace, timeline.start_ns, timeline.end_ns, _as_measured(trace), simulator=SIMULATOR)
    proof = proof_of(trace, s, c, program, timeline, found.windows, _crossed(trace, s))
    return replace(found, proof=proof, trust=_trust(trace, proof))


def _run(trace: Trace) -> tuple[Structure, Fitted, Program, Timeline]:
    _check_times(trace)
    s = structure_of(trace)
    c = fitted(s)
    program = program_of(plan_of(trace, s, c))
    timeline = run(program)
    check_ended(trace, program, timeline)
    return s, c, program, timeline


def measured_plan(trace: Trace) -> Plan:
    """The plan of a measured trace, for edits: `etgraph.sim.edits`. Raises MissingData for a trace without times."""
    return judged_plan(trace)[0]


def judged_plan(trace: Trace) -> tuple[Plan, float]:
    """The plan of a measured trace, and the share of its windows that it leaves unexplained: `etgraph.sim.proof`."""
    _check_times(trace)
    s = structure_of(trace)
    c = fitted(s)
    return plan_of(trace, s, c), unexplained_share(trace, s, c, window_times(trace, trace))


def run_plan(plan: Plan) -> Trace:
    """The trace on the timeline of a plan. New steps are no operators of it: they show in the times of the others."""
    program = program_of(plan)
    timeline = run(program)
    check_ended(plan.trace, program, timeline)
    return on_timeline(plan.trace, timeline.start_ns, timeline.end_ns, SIMULATOR)


def _check_times(trace: Trace) -> None:
    if not trace.timed.any():
        raise MissingData(
            "the trace has no measured times to replay", hint="predict them: etgraph simulate REF --profile P"
        )


def _crossed(trace: Trace, s: Structure) -> float | None:
    """Mean absolute error of each half of the windows with the constants of the other half; None with one window.

    Halves are every second iteration or, where there is one, the earlier and the later half of the operators, whose
    error is then that of the whole window.
    """
    o = trace.operators
    steps = len(trace.iteration_indices) > 1
    if steps:
        iteration = np.maximum(o["iteration"], 0)
        first: Array = (o["iteration"] >= 0) & (trace.iterations["index"][iteration] % 2 == 0)
    else:
        first = o["start_ns"] < np.median(o["start_ns"][trace.timed])
    errors: list[WindowTimes] = []
    for fitted_on, judged in ((first, 1), (~first, 0)):
        c = fitted(s, fitted_on)
        timeline = run(program_of(plan_of(trace, s, c)))
        windows = window_times(trace, on_timeline(trace, timeline.start_ns, timeline.end_ns, SIMULATOR))
        errors += [w for w in windows if not steps or w.iteration is None or w.iteration % 2 == judged]
    return mean_error(tuple(errors)) if errors else None


def _as_measured(trace: Trace) -> Predictions:
    """The durations that a replay takes over, as predictions."""
    ns = np.where(trace.timed, trace.operators["duration_ns"], 0)
    n = len(trace)
    nowhere = np.zeros(n, dtype=bool)
    return Predictions(ns, ns, ns, np.where(trace.timed, 0, 1), nowhere, trace.timed, ("measured", "without times"))


def _trust(trace: Trace, proof: Proof) -> Trust:
    warnings = list(trace.metadata.report.warnings)
    if not proof.replayable:
        warnings.insert(0, proof.verdict)
    if proof.off_host_share < ENOUGH_SHARE:
        warnings.append("nearly all of the path is the host's own time: a small error proves little")
    return Trust(max(0.0, 1.0 - proof.unexplained_share), warnings=tuple(warnings))
