"""What every operator of a trace takes by itself on a profile: computation by its models, communication by theirs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from etgraph.model import Category, DependencyKind, Trace
from etgraph.model.arrivals import communicates
from etgraph.model.columns import Array
from etgraph.sim.communication import AS_RECORDED, CommunicationModel, Means, measured
from etgraph.sim.communication.transfers import Transfers
from etgraph.sim.compute import Calibrated, CostModel, Predictions, Scaled
from etgraph.sim.compute.units import units_of
from etgraph.sim.profiles import Profile

AS_MEASURED = "measured: time of the host, or nothing that a model knows"
WITHOUT_TIME = "not measured and not modelled: taken as nothing"


@dataclass(frozen=True, slots=True)
class Costs:
    """Predictions for every operator, and which of them a model made. Of communication it is the transfer alone.

    `transfers` are the collectives and messages that were modelled, with rows of their operators in `member` and the
    number of the transfer of each in `transfer`; `latency_ns` is what one without bytes would take.
    """

    predictions: Predictions
    modelled: Array
    transfers: Transfers | None
    member: Array
    transfer: Array
    latency_ns: Array


@dataclass(frozen=True, slots=True)
class Costed:
    """What of a trace costs something, whatever the hardware: found once for all profiles.

    `computing` are rows of operators that a model of computation predicts; `transfers` are the collectives and
    messages, with rows of their operators in `member` and the number of the transfer of each in `transfer`.
    """

    trace: Trace
    computing: Array
    transfers: Transfers
    member: Array
    transfer: Array

    def on(
        self,
        profile: Profile,
        source: Profile | None = None,
        placement: tuple[int, ...] | None = None,
        means: Means = AS_RECORDED,
    ) -> Costs:
        """The costs on a profile.

        `source` is the profile of the device that the trace was measured on: with it, measured times of the device are
        scaled; without, they come from formulas. `placement` gives the device of each rank, `means` the library and
        the algorithms of communication. Host operators keep what they took. Raises UsageError where a rank is on no
        device of the profile, and for an algorithm that cannot do a collective.
        """
        o = self.trace.operators
        taken = ~o.is_null("duration_ns")
        found = _Filled(np.where(taken, o["duration_ns"], 0), np.where(taken, 0, 1), taken, [AS_MEASURED, WITHOUT_TIME])
        if len(self.computing):
            found.fill(self.computing, compute_model(profile, source).predict(self.trace, self.computing))
        if not len(self.transfers):
            nothing = np.zeros(0, dtype=np.int64)
            return Costs(found.predictions(), found.modelled, None, nothing, nothing, nothing)
        model = CommunicationModel(profile, placement, means)
        made = model.predict(self.transfers)
        empty = replace(self.transfers, bytes=np.zeros_like(self.transfers.bytes))
        latency = np.minimum(model.predict(empty).duration_ns, made.duration_ns)
        kept = made.known[self.transfer] | ~found.known[self.member]
        member, transfer = self.member[kept], self.transfer[kept]
        found.fill(member, made.take(transfer))
        return Costs(found.predictions(), found.modelled, self.transfers, member, transfer, latency)


def costed(trace: Trace) -> Costed:
    """What of a trace costs something. O(operators log operators)."""
    every = np.arange(len(trace))
    works = trace.operators["category"] >= int(Category.KERNEL)
    if not trace.timed.any():
        works |= units_of(trace).of >= 0  # what a host was to launch
    found = measured(trace)
    member, transfer = _members(trace, found.operator, found.collective)
    return Costed(trace, every[works & ~communicates(trace, every)], found.transfers, member, transfer)


def compute_model(profile: Profile, source: Profile | None) -> CostModel:
    """Times scaled from the source where it is known, by formulas otherwise."""
    if source is None:
        return Calibrated(profile.device, profile.calibration)
    return Scaled(source.device, profile.device, source.calibration, profile.calibration)


def _members(trace: Trace, operator: Array, collective: Array) -> tuple[Array, Array]:
    """All operators of those transfers, each with the number of its transfer."""
    o = trace.operators
    by_collective = np.full(len(trace.collectives) + 1, -1, dtype=np.int64)
    many = collective >= 0
    by_collective[collective[many]] = np.flatnonzero(many)
    by_collective[-1] = -1
    entry = by_collective[o["collective"]]
    entry[operator[~many]] = np.flatnonzero(~many)
    d = trace.dependencies
    messages = np.flatnonzero(d["kind"] == int(DependencyKind.COMM))
    send, receive = d["src"][messages], d["dst"][messages]
    entry[send] = entry[receive] = np.maximum(entry[receive], entry[send])
    rows = np.flatnonzero((entry >= 0) & communicates(trace, np.arange(len(o))))
    return rows, entry[rows]


class _Filled:
    """Predictions put together from those of several models."""

    def __init__(self, duration: Array, source: Array, known: Array, texts: list[str]) -> None:
        self.duration, self.low, self.high = duration.copy(), duration.copy(), duration.copy()
        self.source, self.known, self.texts = source.astype(np.int64), known.copy(), texts
        self.extrapolated = np.zeros(len(duration), dtype=bool)
        self.modelled = np.zeros(len(duration), dtype=bool)

    def fill(self, at: Array, made: Predictions) -> None:
        """Take the predictions of those rows."""
        offset = len(self.texts)
        self.texts += made.sources
        self.duration[at], self.low[at], self.high[at] = (
            made.duration_ns, made.low_ns, made.high_ns
        )  # fmt: skip
        self.source[at] = made.source + offset
        self.known[at], self.extrapolated[at] = made.known, made.extrapolated
        self.modelled[at] = True

    def predictions(self) -> Predictions:
        return Predictions(
            self.duration, self.low, self.high, self.source, self.extrapolated, self.known, tuple(self.texts)
        )
