"""The page about hardware profiles, with tables made of the declaration and of the built-in files.

`python -m etgraph.sim.profiles.documentation > docs/simulation/profiles.md` writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from etgraph.model.settings.declaration import Kind, Leaf, Record, Rows, Table, declared
from etgraph.model.settings.units import BANDWIDTH, QUANTITIES, RATE, SIZE, main_units, write
from etgraph.sim.profiles.library import builtin_names, load
from etgraph.sim.profiles.profile import Profile

_INTRODUCTION = """\
# Hardware profiles

A profile says what a device can do (peaks by type of numbers, memory, launch latency, shortest kernels), how devices
are joined (tiers, from the innermost one outwards), what they cost and draw, and, once it was fitted, what measurements
gave. `hotspots` and `operators` compare a trace with one; the simulator's cost models predict by one. This page is
written by `python -m etgraph.sim.profiles.documentation > docs/simulation/profiles.md`.

```sh
etgraph profile list                                   # those that come with etgraph
etgraph profile show dgx-h100-256                      # all figures, each with its source
etgraph profile show h100-sxm --toml > ours.toml       # a whole file to write your own from
etgraph profile check ours.toml                        # all that is wrong with it, by line
etgraph operators gpt --profile dgx-h100               # the share of the peaks that was reached
```
```python
from etgraph.queries import operators
from etgraph.sim.profiles import dump, load, with_overrides

profile = load("dgx-h100-256")  # or load("ours.toml")
faster = with_overrides(profile, {"device.memory_bandwidth": "4 TB/s", "tiers.infiniband.bandwidth": "x2"})
operators(trace, profile=faster)
print(dump(faster))
```

## A file

A profile may build on another one, a built-in or a file beside it, and then says only what is different. This is a
whole cluster:

```toml
extends = "dgx-h100"
description = "Our 16 nodes"
ranks = 128                       # checked against the tiers

[references]
offer = "our offer of May"

[[tiers]]
name = "ethernet"
topology = "switch"
size = 16
bandwidth = { value = "200 Gbit/s", source = "offer" }
latency = "5 us"
```

- A figure is a text with its unit, or a table of that `value` and its `source`: the URL or the title of a document, or
  how it came about (`measured on …`, `estimate`). A source may be a name from `[references]`. All figures of built-in
  profiles have one.
- **Units are decimal: GB is 10⁹ bytes, GiB is 2³⁰**, for memory as for networks. Vendors call 80 GiB of memory "80 GB";
  the built-in profiles keep the vendor's words, so that what fits by them fits in truth. `b` or `bit` is an eighth of
  `B`; bandwidths of networks are those of one direction, while vendors tend to add both up (NVLink's 900 GB/s are
  450 GB/s).
- Peaks are dense. A table that quotes sparse ones quotes twice as much.
- Tiers are joined in order, the first varies fastest: with tiers of 8 and 32, ranks 0 to 7 are one node. `bandwidth` is
  what one device can send through the tier in one direction, over all its links. A file that builds on another changes
  a tier by naming it, and adds new ones outside of those.
- Where a built-in name and a file are called the same, the name means the built-in one; write `./name` for the file.

Whatever is wrong is told with file and line, what was found, what was expected and the nearest name, all problems
together:

```
ours.toml: 2 problems
  line 4, device.memory_bandwith: found an unknown key, expected one of memory_bandwidth, … (did you mean …?)
  line 9, tiers.ethernet.bandwidth: found "200 Gbs", expected a bandwidth such as "3.35 TB/s" (did you mean 'GB/s'? …)
```

[profile.schema.json](profile.schema.json) is the JSON Schema, for editors that check TOML by one.

## Overrides

`with_overrides(profile, {path: value})` changes single values, for what-if questions and sweeps. A path is the keys
with dots, tiers by name; keys with other characters than letters, digits, `-` and `_` may be in quotes
(`device.floors."softmax and loss"`). A value is a text as in a file, a number in bytes/s, flop/s, bytes, ns or watts,
or a multiple of what is there (`"x2"`). `etgraph.sim.profiles.paths(profile)` gives all paths. An unknown path
and a value that cannot be there are errors that name the nearest path or the form expected. A figure that was changed
loses its source.

## What is weak

- Launch latencies, latencies of networks and floors of most devices are estimates; only the floors of H100 and MI300X
  were measured, on the two small models of TraceLens' sample traces.
- A torus is a ring for each dimension, a cube mesh one ring, a fat tree a switch for each level without
  oversubscription.
- Prices are those of one provider on one day. Devices without a public price have none.
- The MI250X is one of its two dies, as ROCm shows them.
"""


def profiles_page() -> str:
    """All of `docs/simulation/profiles.md`."""
    return "\n".join([_INTRODUCTION, _builtin(), _keys(), _units()])


def _builtin() -> str:
    """The table of built-in profiles, from their files."""
    rows = []
    for profile in sorted(map(load, builtin_names()), key=lambda each: (bool(each.tiers), each.name)):
        device = profile.device
        matrix = {**device.vector_flops, **device.matrix_flops}
        tiers = ", ".join(f"{each.size} × {each.name} {write(each.bandwidth, BANDWIDTH)}" for each in profile.tiers)
        dtype = next(each for each in ("bf16", "fp16") if each in matrix)
        rows.append(
            (f"`{profile.name}`", profile.description, str(profile.ranks), f"{write(matrix[dtype], RATE)} {dtype}",
             f"{write(device.memory_bytes, SIZE)}, {write(device.memory_bandwidth, BANDWIDTH)}", tiers or "–")
        )  # fmt: skip
    heads = ("name", "what it is", "devices", "peak", "memory", "tiers, bandwidth of a device in one direction")
    return f"## Built-in profiles\n\n{_table(heads, rows)}\n"


def _keys() -> str:
    """The table of all keys, from the declaration."""
    own = [
        ("`extends`", "a text", "a built-in profile, or a path from this file, that it builds on"),
        ("`ranks`", "a whole number", "how many devices the tiers join, to be checked"),
        ("`references`", "texts by name", "sources by a short name"),
    ]
    rows = [(f"`{key}`", form, meaning) for key, form, meaning in _declared(declared(Profile), "")]
    return f"## All keys\n\n{_table(('key', 'holds', 'means'), [*own, *rows])}\n"


def _declared(record: Record, prefix: str) -> Iterator[tuple[str, str, str]]:
    for field in record.fields.values():
        kind, path = field.kind, f"{prefix}{field.key}"
        if isinstance(kind, Record):
            yield from _declared(kind, f"{path}.")
        elif isinstance(kind, Rows):
            yield from _declared(kind.of, f"{path}[].")
        elif isinstance(kind, Table) and isinstance(kind.of, Record):
            yield from _declared(kind.of, f"{path}.NAME.")
        else:
            yield path, _form(kind), field.meaning + ("; must be given" if field.required and path != "name" else "")


def _form(kind: Kind) -> str:
    if isinstance(kind, Table):
        return f"{_form(kind.of)} by {'one of ' + ', '.join(kind.keys) if kind.keys else 'name'}"
    assert isinstance(kind, Leaf)
    if kind.quantity is not None:
        return kind.quantity.name
    if kind.choices:
        return " \\| ".join(kind.choices)
    return {int: "a whole number", float: "a number", str: "a text"}[kind.type]


def _units() -> str:
    """The table of units."""
    rows = [(each.name, ", ".join(main_units(each)), f"`{each.example}`") for each in QUANTITIES]
    others = (
        "`FLOPS`, `FLOPs`, `OP/s` and `OPS` are `FLOP/s`; `b/s` and `bps` are `bit/s`; `µs` is `us`, `$/h` `USD/h`."
    )
    return f"## Units\n\n{_table(('kind', 'units', 'example'), rows)}\n\n{others}\n"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    print(profiles_page(), end="")
