"""What a prediction rests on: the total and its interval, shares by source, and what could not be predicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.sim.compute.intervals import total_interval
from etgraph.sim.compute.protocol import Predictions


@dataclass(frozen=True, slots=True)
class Unpredicted:
    """Operators of one name that no model could say anything of: how many, their time in ns, and what was assumed."""

    name: str
    count: int
    duration_ns: int
    assumption: str


@dataclass(frozen=True, slots=True)
class PredictionSummary:
    """The sum of predicted durations in ns with its 90 % interval, and what it rests on, as shares of it.

    `by_source` are the shares of models and assumptions, largest first. `extrapolated_share` lies outside of what the
    models were fitted on, `unknown_share` is assumed; `unpredicted` names the operators of that, longest first.
    """

    duration_ns: float
    low_ns: float
    high_ns: float
    by_source: Mapping[str, float]
    extrapolated_share: float
    unknown_share: float
    unpredicted: tuple[Unpredicted, ...]


def summary(trace: Trace, rows: Array, predictions: Predictions) -> PredictionSummary:
    """What the predictions of those rows rest on."""
    total, low, high = total_interval(predictions)
    shares = {text: share(predictions, predictions.source == at) for at, text in enumerate(predictions.sources)}
    return PredictionSummary(
        duration_ns=total,
        low_ns=low,
        high_ns=high,
        by_source=dict(sorted(((k, v) for k, v in shares.items() if v), key=lambda item: -item[1])),
        extrapolated_share=share(predictions, predictions.extrapolated),
        unknown_share=share(predictions, ~predictions.known),
        unpredicted=_unpredicted(trace, rows, predictions),
    )


def share(predictions: Predictions, chosen: Array) -> float:
    """The part of the predicted time that the chosen operators take; 0 where nothing is predicted."""
    total = float(predictions.duration_ns.sum())
    return float(predictions.duration_ns[chosen].sum()) / total if total else 0.0


def _unpredicted(trace: Trace, rows: Array, predictions: Predictions) -> tuple[Unpredicted, ...]:
    unknown = np.flatnonzero(~predictions.known)
    texts = trace.operators.texts("name")
    name, source = trace.operators["name"][rows[unknown]].astype(np.int64), predictions.source[unknown]
    key, of = np.unique(name * len(predictions.sources) + source, return_inverse=True)
    count, time = np.bincount(of, minlength=len(key)), np.bincount(of, predictions.duration_ns[unknown], len(key))
    found = []
    for at in np.argsort(-time, kind="stable").tolist():
        named, by = divmod(int(key[at]), len(predictions.sources))
        text, assumption = texts[named].as_py(), predictions.sources[by]
        found.append(Unpredicted(text, int(count[at]), int(time[at]), assumption))
    return tuple(found)
