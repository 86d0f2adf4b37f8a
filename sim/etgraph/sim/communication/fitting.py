"""α–β fits: the cost of a collective on a group size, two parameters, from how long transfers took.

Times of transfers are noisy to one side: a busy host or link makes some of them several times as long. So a fit
minimises the sum of absolute log errors, which is the median's criterion: half of the times lie above the line, half
below, however far. A line that does so passes through two of the points; the candidates are lines through the medians
of two sizes, those without a latency and those without a slope, with neither parameter below zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.model.columns import Array
from etgraph.sim.communication.algorithms import ALGORITHMS, Plan, type_name
from etgraph.sim.communication.levels import Span, flat_span, span_of
from etgraph.sim.communication.libraries import LIBRARIES, Library, cheapest
from etgraph.sim.communication.transfers import Measured
from etgraph.sim.profiles import CollectiveFit, Profile

SEPARABLE: Final = 2.0
"""Sizes must spread by this factor for latency and slope to be told apart; else the latency is an assumption."""
STEP_NS: Final = {"nccl": 1_000.0, "gloo": 100_000.0, "any": 10_000.0}
"""Assumed latency of a step where sizes tell nothing: NCCL's on NVLink by its tuning model, of LL with a share of its
start; gloo's on a host the median of 400 recorded barriers of two ranks (0.11 ms). Only the magnitude is meant."""
TRANSFERRED: Final = 0.4
"""Log error that is added where a cost comes from another type of collective or another group size."""

_MOST_SIZES = 32
_MOST_SAMPLES = 2_000
_RESAMPLES = 32
_PRIOR_ERROR: Final = {"nccl": 0.2, "gloo": 0.5, "any": 0.4}
_PRIOR_SAMPLES = 3


def factors(log_error: float) -> tuple[float, float]:
    """Ends of the 90 % interval of a normal log error, as factors."""
    return float(np.exp(-1.645 * log_error)), float(np.exp(1.645 * log_error))


@dataclass(frozen=True, slots=True)
class Line:
    """`alpha` + `slope` · work: the time, and the mean absolute log error of it."""

    alpha: float
    slope: float
    error: float

    def at(self, work: Array) -> Array:
        """Times of so much work."""
        return self.alpha + self.slope * work


def line(work: Array, time: Array, *, alpha: float | None = None) -> Line:
    """The line of least absolute log error with neither parameter below zero; with `alpha` only the slope is sought.

    `work` and `time` (above zero) have one entry a sample. O(sizes² · samples), of many sizes 32 quantiles.
    """
    x, y = _medians(work, time)
    candidates = []
    if alpha is None:
        i, j = np.triu_indices(len(x), 1)
        slope = (y[j] - y[i]) / (x[j] - x[i])
        candidates += [np.stack([y[i] - slope * x[i], slope])]
        candidates += [np.array([[np.median(time)], [0.0]])]
        alpha = 0.0
    some = work > 0
    slopes = np.maximum(time[some] - alpha, 0.0) / work[some]
    candidates += [np.array([[alpha], [np.median(slopes) if len(slopes) else 0.0]])]
    lines = np.concatenate(candidates, axis=1)
    lines = lines[:, (lines >= 0).all(axis=0) & (lines.sum(axis=0) > 0)]
    if not lines.shape[1]:
        return Line(float(np.median(time)), 0.0, 0.0)
    thinned = slice(None, None, -(-len(work) // _MOST_SAMPLES))
    x, y = work[thinned], time[thinned]
    found = lines[0][:, None] + lines[1][:, None] * x[None, :]
    error = np.abs(np.log(np.maximum(found, 1e-9) / y[None, :])).mean(axis=1)
    best = int(np.argmin(error))
    return Line(float(lines[0, best]), float(lines[1, best]), float(error[best]))


def fit(found: Measured, profile: Profile | None = None) -> tuple[CollectiveFit, ...]:
    """Fits of all types, group sizes, outermost tiers and libraries that the measured transfers hold.

    Where the profile has tiers and the library protocols, the time that these give is tried beside the bytes moved,
    since protocols bend the line; what fits better is kept. Without tiers, groups are told apart by size alone.
    """
    found = found.take(found.usable)
    t = found.transfers
    if not len(t):
        return ()
    spans = [span_in(profile, group) for group in t.groups]
    pairs, of = np.unique(np.stack([t.type, t.group]), axis=1, return_inverse=True)
    keys = [
        (type_, spans[group].ranks, outermost(profile, spans[group]), t.libraries[group])
        for type_, group in pairs.T.tolist()
    ]
    code = {key: position for position, key in enumerate(sorted(set(keys)))}
    of = np.array([code[key] for key in keys])[of.ravel()]
    fits = []
    for (type_, size, tier, library), position in code.items():
        same = np.flatnonzero(of == position)
        time = np.maximum(found.transfer_ns[same], max(found.resolution_ns / 2, 1)).astype(np.float64)
        span = spans[t.group[same[0]]] if profile is not None and profile.tiers else None
        fits.append(_fit(type_, size, tier, LIBRARIES[library], t.bytes[same], time, span, found.resolution_ns))
    return tuple(fits)


def span_in(profile: Profile | None, ranks: tuple[int, ...], placement: tuple[int, ...] | None = None) -> Span:
    """What a group spans in a profile; a single level of its own where there are no tiers."""
    return span_of(profile.tiers, ranks, placement) if profile is not None and profile.tiers else flat_span(len(ranks))


def outermost(profile: Profile | None, span: Span) -> str:
    """The outermost tier that a span reaches; empty where the profile has none."""
    return span.levels[-1].name if profile is not None and profile.tiers and span.levels else ""


def structure(library: Library, type: int, ranks: int) -> Plan | None:
    """Steps and loads of the library's usual algorithm, as latency and time a byte of a network that has one of each.

    None where the library has no algorithm for the type and that many ranks.
    """
    plans = (ALGORITHMS[name](type, flat_span(ranks)) for name in library.algorithms.get(type, ()))
    return next((plan for plan in plans if plan is not None), None)


def _fit(
    type: int, size: int, tier: str, library: Library, bytes: Array, time: Array, span: Span | None, resolution: int
) -> CollectiveFit:
    plan = structure(library, type, size)
    moved = bytes * (plan.per_byte if plan is not None else 1.0)
    steps = plan.latency_ns if plan is not None else 1.0
    work, scaled = moved.astype(np.float64), False
    separated = bool(bytes.max() >= SEPARABLE * max(bytes.min(), 1)) or not bytes.any()
    alpha = None
    if not separated:
        # No more than half of the time, so that what is larger costs more.
        alpha = min(steps * STEP_NS[library.name], float(np.median(time)) / 2)
    chosen = line(work, time, alpha=alpha)
    modelled = cheapest(library, type, span, bytes) if span is not None and library.protocols else None
    if modelled is not None:
        # Where sizes do not tell the two apart, the protocols do: they know the latency, up to the scale.
        bent = line(modelled.duration_ns, time, alpha=None if separated else 0.0)
        if not separated or bent.error <= chosen.error + 1e-9:
            chosen, work, scaled = bent, modelled.duration_ns, True
            alpha = None if separated else 0.0
    alpha_error, slope_error = _errors(work, time, alpha)
    ratio = time / np.maximum(chosen.at(work), 1e-9)
    log_error = _log_error(ratio, _PRIOR_ERROR[library.name], resolution / float(np.median(time)))
    low, high, above = _interval(ratio, time - chosen.at(work), log_error)
    return CollectiveFit(
        type_name(type), size, chosen.alpha, 0.0 if scaled else chosen.slope, log_error, len(time),
        int(bytes.min()), int(bytes.max()), tier, library.name, chosen.slope if scaled else None, low, high,
        above, alpha_error, slope_error, "" if separated else "alpha",
    )  # fmt: skip


def _medians(work: Array, time: Array) -> tuple[Array, Array]:
    """Median time of each amount of work; of many amounts, of as many quantiles."""
    x, of = np.unique(work, return_inverse=True)
    if len(x) > _MOST_SIZES:
        of = of * _MOST_SIZES // len(x)
    order = np.lexsort((time, of))
    _, begin, count = np.unique(of[order], return_index=True, return_counts=True)
    middle = order[begin + (count - 1) // 2], order[begin + count // 2]
    y = (time[middle[0]] + time[middle[1]]) / 2
    x = np.array([np.median(work[order[b : b + c]]) for b, c in zip(begin.tolist(), count.tolist())])
    x, first = np.unique(x, return_index=True)
    return x, y[first]


def _errors(work: Array, time: Array, alpha: float | None) -> tuple[float, float]:
    """Standard errors of both parameters by resampling, that of the slope relative; 0 for what was given or cannot be.

    The same input gives the same errors.
    """
    if len(work) < 3:
        return 0.0, 0.0
    random = np.random.default_rng(0)
    most = min(len(work), _MOST_SAMPLES // 4)
    lines = [line(work[rows], time[rows], alpha=alpha) for rows in random.integers(0, len(work), (_RESAMPLES, most))]
    shrink = (most / len(work)) ** 0.5  # fewer drawn than there are: their spread is larger than the error
    alphas, slopes = np.array([one.alpha for one in lines]), np.array([one.slope for one in lines])
    middle = float(np.median(slopes))
    return float(alphas.std() * shrink), float(slopes.std() / middle * shrink) if middle else 0.0


def _log_error(ratio: Array, prior: float, resolution: float) -> float:
    """Spread of log errors: of few samples drawn towards what is usual, never below what the clock cannot see.

    From the median of absolute values (1.4826 of it is a normal's standard deviation), since tails are heavy. Two
    samples are used up by the two parameters.
    """
    spread, n = 1.4826 * float(np.median(np.abs(np.log(ratio)))), max(len(ratio) - 2, 0)
    return max(float(np.sqrt((n * spread**2 + _PRIOR_SAMPLES * prior**2) / (n + _PRIOR_SAMPLES))), resolution / 2)


def _interval(ratio: Array, excess: Array, log_error: float) -> tuple[float, float, float]:
    """The 90 % interval as factors and as ns above: quantiles where there are enough samples for them."""
    if len(ratio) < 20:
        return *factors(log_error), 0.0
    # Of n samples, the k-th is where a further one lies below with k / (n + 1).
    low, high = np.quantile(ratio, (0.05, 0.95), method="weibull")
    return min(float(low), 1.0), max(float(high), 1.0), max(float(np.quantile(excess, 0.95, method="weibull")), 0.0)


__all__ = [
    "SEPARABLE",
    "STEP_NS",
    "TRANSFERRED",
    "Line",
    "factors",
    "fit",
    "line",
    "outermost",
    "span_in",
    "structure",
    "type_name",
]
