"""Hardware profiles for a reader: a table of many, and all of one with the sources of its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from etgraph.cli.units import byte_rate, count, counted, flop_rate, printable, size
from etgraph.cli.views.tables import facts, grid
from etgraph.model.results import to_json
from etgraph.sim.profiles import ProfileError, fingerprint
from etgraph.sim.profiles.writing import figures, sources_of

if TYPE_CHECKING:
    from etgraph.model.errors import EtgraphError
    from etgraph.sim.profiles import Profile

WIDE = 150
"""From this width on a list has room for descriptions."""
SHOWN_DTYPE = "bf16"
"""The type of numbers whose peak a list shows; fp16 where a device has none for it, else the first there is."""


def profile_document(profile: Profile) -> dict[str, Any]:
    """A profile as JSON: its fields in base units, its ranks, and a text that changes with its content."""
    return {**to_json(profile), "ranks": profile.ranks, "fingerprint": fingerprint(profile)}


def checked_document(file: str, found: Profile | EtgraphError) -> dict[str, Any]:
    """What came of checking a file, as JSON."""
    if not isinstance(found, Exception):
        return {"file": file, "ok": True, "profile": profile_document(found), "problems": []}
    problems = found.problems if isinstance(found, ProfileError) else ()
    listed = [to_json(problem) for problem in problems]
    return {"file": file, "ok": False, "profile": None, "problems": listed or [{"file": file, "found": found.message}]}


def profiles_view(profiles: Sequence[Profile], width: int) -> RenderableType:
    """One row a profile: devices, peak, memory and network."""
    numbers = ("devices", "peak", "memory", "bandwidth")
    table = grid("name", *numbers, "network", *(["about"] if width >= WIDE else []), right=numbers)
    table.columns[0].no_wrap = True
    for profile in profiles:
        device = profile.device
        cells = [
            profile.name, count(profile.ranks), _peak(profile), size(device.memory_bytes),
            byte_rate(device.memory_bandwidth), network(profile),
        ]  # fmt: skip
        table.add_row(*map(printable, cells), *([printable(profile.description)] if width >= WIDE else []))
    return table


def _peak(profile: Profile) -> str:
    """The peak that stands for a device, with its type of numbers where it is another one than usual."""
    device = profile.device
    peaks = {**device.vector_flops, **device.matrix_flops}
    dtype = next((each for each in (SHOWN_DTYPE, "fp16", *peaks) if each in peaks), None)
    if dtype is None:
        return "–"
    return flop_rate(peaks[dtype]) + ("" if dtype == SHOWN_DTYPE else f" {dtype}")


def network(profile: Profile) -> str:
    """The tiers from the innermost one outwards, in a few words."""
    return ", ".join(f"{tier.size} × {tier.name}" for tier in profile.tiers) or "–"


def summary(profile: Profile) -> str:
    """A profile in one line."""
    about = f"{profile.name}, {counted(profile.ranks, 'device')} ({profile.device.name})"
    return printable(f"{about}: {network(profile)}" if profile.tiers else about)


def profile_view(profile: Profile) -> RenderableType:
    """All figures of a profile, each with the number of its source, and the sources below."""
    device = profile.device
    sources = sources_of(profile)
    number = {source: at for at, source in enumerate(sources, start=1)}
    about = facts(
        [
            ("device", printable(f"{device.name} ({device.vendor}, {device.kind})")),
            ("devices", f"{count(profile.ranks)}" + (f" ({printable(network(profile))})" if profile.tiers else "")),
            ("about", printable(profile.description)),
            ("fitted on", printable(profile.calibration.fitted_on if profile.calibration else "")),
        ]
    )
    table = grid("figure", "value", "source", right=("value", "source"))
    for path, value in figures(profile):
        source = profile.sources.get(path)
        table.add_row(printable(path), value, "–" if source is None else f"[{number[source]}]")
    parts: list[RenderableType] = [Text(printable(profile.name), style="bold"), Text(), about, Text(), table]
    return Group(*parts, Text(), _sources(number), Text())


def _sources(number: dict[str, int]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, justify="right")
    table.add_column(overflow="fold")
    for source, at in _numbered(number):
        table.add_row(at, source)
    return table


def _numbered(number: dict[str, int]) -> Iterator[tuple[str, str]]:
    for source, at in number.items():
        yield printable(source), f"[{at}]"
