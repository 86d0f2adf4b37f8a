"""One sweep as it is worked on: the trace, its points, what each of them gives, and a key that tells them apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from etgraph.model import Trace
from etgraph.model.errors import Cancelled, EtgraphError
from etgraph.model.settings.document import split
from etgraph.sim.predict import Predictor
from etgraph.sim.profiles import Profile, fingerprint
from etgraph.sim.profiles.figures import leaf_at, value_at, with_values
from etgraph.sim.profiles.writing import written
from etgraph.sim.sweeps.carrying import carried
from etgraph.sim.sweeps.grid import CHOICES, Grid, Setting
from etgraph.sim.sweeps.measures import Measure
from etgraph.sim.sweeps.placements import Placement, placed
from etgraph.sim.sweeps.sweep import SweepPoint

_HOUR_NS = 3_600e9


@dataclass(frozen=True, slots=True)
class Outcome:
    """What comes of a point: see `SweepPoint`. `missing` are measures that the trace has no data for, and why."""

    makespan_ns: int | None = None
    step_ns: int | None = None
    measures: Mapping[str, float] = field(default_factory=dict)
    settled: bool = True
    missing: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class Study:
    """A trace, a grid and the measures that are asked of every point."""

    trace: Trace
    grid: Grid
    measures: tuple[Measure, ...] = ()

    @cached_property
    def predictor(self) -> Predictor:
        """Made once a process; see `Predictor`."""
        return Predictor(self.trace, self.grid.source)

    @cached_property
    def ranks(self) -> int:
        """How many ranks the job has, recorded or not."""
        return max(self.trace.metadata.world_size or 0, max(self.trace.ranks, default=0) + 1)

    def profile(self, setting: Setting) -> Profile:
        """The profile of a point; what was fitted on its base is carried over, but for fits that it names itself."""
        base = self.grid.profiles[setting.profile]
        fitted = {path: value for path, value in setting.figures.items() if split(path)[0] == "calibration"}
        measured = {path: value for path, value in setting.figures.items() if path not in fitted}
        changed = carried(with_values(base, measured), base) if measured else base
        return with_values(changed, fitted) if fitted else changed

    def placement(self, setting: Setting, profile: Profile) -> Placement | None:
        """The placement of a point. Raises UsageError where it has too few devices."""
        return placed(setting.choices.placement, self.grid.placements, profile, self.ranks)

    def evaluate(self, setting: Setting) -> Outcome:
        """Predict a point. What goes wrong is told in its `error`; raises Cancelled alone."""
        try:
            return self._evaluate(setting)
        except Cancelled:
            raise
        except EtgraphError as error:
            return Outcome(error=f"{error.message} ({error.hint})" if error.hint else error.message)
        except Exception as error:  # one point of thousands: the others are worth having
            return Outcome(error=f"{type(error).__name__}: {error}")

    def _evaluate(self, setting: Setting) -> Outcome:
        profile = self.profile(setting)
        found = self.predictor.run(
            profile, placement=self.placement(setting, profile), sharing=setting.choices.sharing,
            means=setting.choices.means,
        )  # fmt: skip
        makespan = found.makespan_ns
        timeline = found.on_timeline() if self.trace.timed.any() else None
        measures: dict[str, float] = {}
        missing = []
        for measure in self.measures:
            try:
                if timeline is None:
                    raise EtgraphError("the trace has no times on threads and streams")
                measures |= measure.function(timeline)
            except Cancelled:
                raise
            except EtgraphError as error:
                missing.append(f"no {measure.name}: {error.message}")
        step = step_ns(timeline) if timeline is not None else None
        return Outcome(makespan, makespan if step is None else step, measures, found.at_rest, tuple(missing))

    def point(self, number: int, setting: Setting, outcome: Outcome) -> SweepPoint:
        """The row of a point."""
        profile = self.profile(setting)
        device, step = profile.device, outcome.step_ns
        hourly = None if device.price_per_hour is None else device.price_per_hour * self.ranks
        watts = None if device.power_watts is None else device.power_watts * self.ranks
        shown = {path: _shown(profile, setting, path) for path in self.grid.parameters}
        return SweepPoint(
            number, setting.name, self.grid.profiles[setting.profile].name,
            {path: text for path, (text, _) in shown.items()},
            {path: value for path, (_, value) in shown.items()},
            self.ranks, device.memory_bandwidth, profile.tiers[-1].bandwidth if profile.tiers else None,
            outcome.makespan_ns, step, hourly,
            None if hourly is None or step is None else hourly * step / _HOUR_NS,
            None if watts is None or step is None else watts * step / 1e9,
            outcome.measures, outcome.settled, outcome.error, base=setting == Setting(setting.profile),
        )  # fmt: skip

    # Keys

    def key(self, setting: Setting) -> str:
        """A text that is another one where anything differs that the outcome depends on; names of points do not."""
        base = self.grid.profiles[setting.profile]
        figures = {path: value for path, value in setting.figures.items() if value != value_at(base, path)}
        choices = setting.choices
        own = self.grid.placements.get(choices.placement)
        told = [
            self._common, self._contents[setting.profile], sorted(figures.items()),
            list(own) if own is not None else choices.placement, choices.sharing, choices.means.parameters(),
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]

    @cached_property
    def _common(self) -> list[Any]:
        source = self.grid.source
        asked = sorted((measure.name, measure.version) for measure in self.measures)
        return [code_version(), identity(self.trace), self.trace.revision, source and _content(source), asked]

    @cached_property
    def _contents(self) -> list[str]:
        return [_content(profile) for profile in self.grid.profiles]


def step_ns(trace: Trace) -> int | None:
    """The median over iterations of the longest window of a rank; None where there are none with times."""
    i = trace.iterations
    whole = ~i.is_null("start_ns") & ~i.is_null("end_ns")
    length, index = (i["end_ns"] - i["start_ns"])[whole], i["index"][whole]
    if not len(length):
        return None
    numbers, of = np.unique(index, return_inverse=True)
    longest = np.zeros(len(numbers), dtype=np.int64)
    np.maximum.at(longest, of, length)
    return int(np.median(longest))


def identity(trace: Trace) -> str:
    """The id of a trace; of one without, a text that changes with its columns."""
    return trace.trace_id or digest(
        part
        for columns in trace.tables.values()
        for name in columns.filled
        for part in (columns[name].tobytes(), str(columns.texts(name).to_pylist()).encode())
    )


@cache
def code_version() -> str:
    """A text that changes with the code that predicts: an outcome that another version kept is none of this one."""
    import etgraph.model
    import etgraph.sim

    folders = [Path(str(package.__file__)).parent for package in (etgraph.model, etgraph.sim)]
    return digest(file.read_bytes() for folder in folders for file in sorted(folder.rglob("*.py")))


def digest(parts: Iterable[bytes]) -> str:
    """SHA-256 of parts in order, as hexadecimal text."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()


def _content(profile: Profile) -> str:
    """What of a profile predictions depend on, and its name, by which they are told."""
    return fingerprint(replace(profile, sources={}, description=""))


def _shown(profile: Profile, setting: Setting, path: str) -> tuple[str | None, float | None]:
    """A parameter of a point as files write it, and as a number where it is one."""
    keys = split(path)
    if keys[0] in CHOICES:
        return setting.choices.text(keys), None
    value = value_at(profile, path)
    if value is None:
        return None, None
    leaf = leaf_at(path)
    return written(value, leaf), None if leaf.type in (str, bool) else float(value)
