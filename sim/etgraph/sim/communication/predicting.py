"""The cost model of communication: from fits where there are some, else from the profile's tiers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from etgraph.model import CommType
from etgraph.model.arrivals import NULL
from etgraph.model.columns import Array
from etgraph.model.errors import UsageError
from etgraph.sim.communication.algorithms import MESSAGE, type_name
from etgraph.sim.communication.fitting import TRANSFERRED, factors, outermost, span_in, structure
from etgraph.sim.communication.levels import Span
from etgraph.sim.communication.libraries import AS_RECORDED, LIBRARIES, Library, Means, cheapest
from etgraph.sim.communication.transfers import Transfers
from etgraph.sim.compute import Predictions
from etgraph.sim.profiles import CollectiveFit, Profile

UNFITTED = 0.4
"""Log error of what comes from a profile's published figures alone."""
BEYOND = 2.0
"""How far outside of the sizes of a fit, as a factor, its use is still no extrapolation."""

_ALIKE = frozenset({"all_gather", "reduce_scatter", "reduce_scatter_block"})


@dataclass(frozen=True, slots=True)
class CommunicationModel:
    """Costs of collectives and messages on a profile; see `CommunicationCost`.

    A fit of the same type, group size, tier and library counts first; then one of another type or size, by the steps
    and bytes of the library's algorithms, with a wider interval; then the tiers, with the library's cheapest algorithm
    and protocol. `placement` gives the device of each rank (none: rank r is on device r), `means` another library than
    the recorded one, and algorithms, whose costs come from the tiers.
    """

    profile: Profile
    placement: tuple[int, ...] | None = None
    means: Means = AS_RECORDED

    @property
    def name(self) -> str:
        """How reports call the model."""
        return f"communication on {self.profile.name}"

    def predict(self, transfers: Transfers) -> Predictions:
        """Durations in ns, a row each. O(rows log rows), and one look at the fits for each type and group.

        What has no size counts as empty, what nothing is known of as nothing: `known` is False there. Raises UsageError
        for a rank that the profile's tiers do not reach.
        """
        count = len(transfers)
        duration, low, high = np.zeros(count), np.zeros(count), np.zeros(count)
        source, extrapolated = np.zeros(count, dtype=np.int32), np.zeros(count, dtype=bool)
        known, sources = transfers.bytes != NULL, _Words()
        bytes = np.where(known, transfers.bytes, 0)
        pairs, of = np.unique(np.stack([transfers.type, transfers.group]), axis=1, return_inverse=True)
        by_pair = np.split(np.argsort(of.ravel(), kind="stable"), np.cumsum(np.bincount(of.ravel()))[:-1])
        for (type_, group), rows in zip(pairs.T.tolist(), by_pair):
            library = LIBRARIES[self.means.library or transfers.libraries[group]]
            cost = self._cost(type_, transfers.groups[group], library, bytes[rows], sources)
            duration[rows], low[rows] = cost.duration, cost.duration * cost.low
            high[rows] = np.maximum(cost.duration * cost.high, cost.duration + cost.above_ns)
            source[rows], extrapolated[rows] = cost.source, cost.extrapolated
            known[rows] &= cost.known
        unsized = transfers.bytes == NULL
        if unsized.any():
            source[unsized] = sources["size not recorded: taken as empty"]
        return Predictions(_whole(duration), _whole(low), _whole(high), source, extrapolated, known, tuple(sources))

    def _cost(self, type: int, ranks: tuple[int, ...], library: Library, bytes: Array, sources: _Words) -> _Cost:
        if len(ranks) < 2:
            return _Cost(np.zeros(len(bytes)), 1, 1, sources["a single rank: nothing to send"], False)
        span = span_in(self.profile, ranks, self.placement)
        forced = self._forced(type, span)
        if forced is not None:
            library = replace(library, algorithms={type: (forced,)})
        # A fit is of what the library chose when it was measured.
        chosen = self._fit_for(type, span, library) if forced is None else None
        if chosen is not None:
            cost = self._by_fit(chosen, type, span, library, bytes, sources)
            if cost is not None:
                return cost
        modelled = cheapest(library, type, span, bytes) if self.profile.tiers else None
        if modelled is None:
            words = f"{type_name(type)} over {len(ranks)} ranks: no fit and no tiers, taken as nothing"
            return _Cost(np.zeros(len(bytes)), 1, 1, sources[words], True, known=False)
        over = ", ".join(level.name for level in span.levels)
        places = np.array([sources[f"tiers of {self.profile.name} ({over}): {way}"] for way in modelled.ways])
        low, high = factors(UNFITTED)
        return _Cost(modelled.duration_ns, low, high, places[modelled.way], True)

    def _forced(self, type: int, span: Span) -> str | None:
        """The algorithm that was asked for, if any."""
        if self.profile.tiers:
            return self.means.chosen(type, span)
        if self.means.algorithm is not None or self.means.algorithms:
            raise UsageError(f"{self.profile.name} has no tiers: nothing tells algorithms of communication apart")
        return None

    def _fit_for(self, type: int, span: Span, library: Library) -> CollectiveFit | None:
        """The fit that is closest: of the same type and size, then of the same size or type, then of most samples.

        Barriers tell nothing of what has bytes.
        """
        calibration, name, size = self.profile.calibration, type_name(type), span.ranks
        tier = outermost(self.profile, span)
        fits = [
            one
            for one in (calibration.collectives if calibration else ())
            if one.library in (library.name, "any") and one.tier in (tier, "")
            if one.largest > 0 or name in (one.type, "barrier")
        ]

        def closeness(one: CollectiveFit) -> tuple[bool, bool, bool, int]:
            alike = one.type in _ALIKE and name in _ALIKE
            return (one.type == name and one.size == size, one.size == size, one.type == name or alike, one.samples)

        return max(fits, key=closeness, default=None)

    def _by_fit(
        self, fit: CollectiveFit, type: int, span: Span, library: Library, bytes: Array, sources: _Words
    ) -> _Cost | None:
        """The cost by a fit, whose own type and size may be others; None where the algorithms do not tell."""
        same = fit.type == type_name(type) and fit.size == span.ranks
        alpha = fit.alpha_ns
        if fit.scale is not None:
            modelled = cheapest(library, type, span, bytes) if self.profile.tiers else None
            if modelled is None:
                return None
            duration = alpha + fit.scale * modelled.duration_ns
        else:
            wanted, had = structure(library, type, span.ranks), structure(library, _type_of(fit.type), fit.size)
            if not same and (wanted is None or had is None):
                return None
            if wanted is not None and had is not None:
                alpha *= wanted.latency_ns / had.latency_ns
            duration = alpha + fit.beta_ns_per_byte * bytes * (wanted.per_byte if wanted is not None else 1.0)
        what = f"{fit.samples} of {fit.type} over {fit.size} ranks"
        low, high = (fit.low, fit.high) if fit.high > 0 else factors(fit.log_error)
        if same:
            outside = (bytes < fit.smallest / BEYOND) | (bytes > fit.largest * BEYOND)
            return _Cost(duration, low, high, sources[f"fitted on {what}"], outside, above_ns=fit.above_ns)
        wider = factors(TRANSFERRED)
        words = f"by the algorithm's steps and bytes from {what}"
        above = fit.above_ns * wider[1]
        return _Cost(duration, low * wider[0], high * wider[1], sources[words], True, above_ns=above)


@dataclass(frozen=True, slots=True)
class _Cost:
    duration: Array
    low: float
    high: float
    source: Array | int
    extrapolated: Array | bool
    known: bool = True
    above_ns: float = 0.0


class _Words(dict[str, int]):
    """Texts and the position of each, in the order in which they were first asked for."""

    def __missing__(self, words: str) -> int:
        self[words] = len(self)
        return self[words]


def _whole(ns: Array) -> Array:
    return np.rint(ns).astype(np.int64)


def _type_of(name: str) -> int:
    return MESSAGE if name == "message" else int(CommType[name.upper()])


__all__ = ["CommunicationModel"]
