"""The picture of the graph: boxes for labels, arrows for relationships, drawn as SVG from the declaration.

Only where the boxes stand, and how far an arrow bends, is laid out by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Final
from xml.sax.saxutils import escape

from etgraph.store.neo4j.graph.schema import GRAPH_RELATIONSHIPS, Part, node_of

WIDTH: Final = 1240
HEIGHT: Final = 800
BOX: Final = 128
"""Width of a box."""
LINE: Final = 22
"""Height of a line of a box."""
TEXT: Final = 14
"""Height of a line beside an arrow."""
LETTER: Final = 7.6
"""Width of a letter beside an arrow, at most."""
EACH: Final = 3
"""Types to a line beside an arrow from a box to itself."""

Box = tuple[str, ...]
"""The labels that stand in one box."""

PLACES: Final[dict[Box, tuple[int, int]]] = {
    ("Team",): (110, 170),
    ("Workload",): (360, 170),
    ("Tag",): (360, 60),
    ("Trace",): (660, 170),
    ("Source",): (660, 60),
    ("Store", "Loader", "Record"): (900, 60),
    ("Artefact",): (930, 170),
    ("ArtefactRow",): (1150, 170),
    ("Rank",): (660, 330),
    ("CriticalPath",): (490, 420),
    ("HardwareProfile",): (110, 270),
    ("Simulation",): (330, 270),
    ("Operator",): (660, 570),
    ("Collective",): (330, 570),
    ("ProcessGroup",): (110, 570),
    ("Iteration",): (890, 455),
    ("Lane",): (1150, 455),
    ("Annotation", "Instant", "MemoryEvent"): (1150, 300),
    ("CounterSample",): (890, 245),
}
"""Middle of the box of some labels."""

BENDS: Final[dict[tuple[Box, Box], tuple[int, int]]] = {
    (("Operator",), ("ProcessGroup",)): (-30, 65),
    (("Trace",), ("Collective",)): (-70, -20),
    (("Trace",), ("ProcessGroup",)): (-60, 0),
    (("Simulation",), ("Operator",)): (-60, 40),
    (("Rank",), ("Lane",)): (60, -30),
    (("Operator",), ("Lane",)): (60, 40),
}
"""How far the middle of an arrow is pulled aside; arrows that are not listed are straight."""

LABELS_AT: Final[dict[tuple[Box, Box], float]] = {
    (("Rank",), ("Lane",)): 0.62,
    (("Trace",), ("ProcessGroup",)): 0.62,
    (("Store", "Loader", "Record"), ("Trace",)): 0.4,
}
"""Where along an arrow its text stands, if not in the middle."""

COLOURS: Final = {
    Part.CATALOGUE: ("#dbeafe", "#1d4ed8"),
    Part.TRACE: ("#dcfce7", "#15803d"),
    Part.EXECUTION: ("#ffedd5", "#c2410c"),
    Part.COMMUNICATION: ("#fce7f3", "#be185d"),
    Part.COMPUTED: ("#ede9fe", "#6d28d9"),
    Part.SERVICE: ("#f1f5f9", "#475569"),
}
"""Fill and line of a box."""

_STYLE: Final = (
    "text{font-family:Helvetica,Arial,'DejaVu Sans',sans-serif;text-anchor:middle}"
    ".label{font-size:14px;font-weight:bold}"
    ".type{font-size:11px;fill:#334155}"
    ".part{font-size:12px;fill:#334155;text-anchor:start}"
    "path.arrow{fill:none;stroke:#64748b;stroke-width:1.4}"
)


@dataclass(frozen=True, slots=True)
class Arrow:
    """The relationships from the labels of one box to those of another, as one arrow."""

    source: Box
    target: Box
    types: tuple[str, ...]


def picture() -> str:
    """All of `docs/graph-model.svg`."""
    arrows = arrows_of()
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        "<title>The graph of traces: labels and relationships</title>",
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M0 0 10 5 0 10z" fill="#64748b"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="12" fill="#fff"/>',
    ]
    shapes = [(arrow, _loop(arrow) if arrow.source == arrow.target else _curve(arrow)) for arrow in arrows]
    parts += [f'<path class="arrow" marker-end="url(#tip)" d="{path}"/>' for _, (path, _) in shapes]
    parts += [_box(box) for box in PLACES]
    parts += [_types(arrow, place) for arrow, (_, place) in shapes]
    parts += [_key(at, part) for at, part in enumerate(Part)]
    return "\n".join([*parts, "</svg>", ""])


def arrows_of() -> list[Arrow]:
    """All relationships, those between the same two boxes together."""
    boxes = {label: box for box in PLACES for label in box}

    def ends(pair: tuple[Box, Box, str]) -> tuple[Box, Box]:
        return pair[:2]

    order = list(PLACES)
    found = [(boxes[r.source], boxes[r.target], r.type) for r in GRAPH_RELATIONSHIPS]
    found.sort(key=lambda e: (order.index(e[0]), order.index(e[1])))
    return [Arrow(*pair, tuple(dict.fromkeys(e[2] for e in group))) for pair, group in groupby(found, ends)]


def box_size(box: Box) -> tuple[float, float]:
    """Half the width and half the height of a box."""
    return BOX / 2, (len(box) * LINE + 10) / 2


def _border(box: Box, towards: tuple[float, float]) -> tuple[float, float]:
    """Where a line from the middle of a box to a point leaves the box."""
    x, y = PLACES[box]
    dx, dy = towards[0] - x, towards[1] - y
    half_width, half_height = box_size(box)
    share = min(half_width / abs(dx) if dx else 1e9, half_height / abs(dy) if dy else 1e9)
    return x + dx * share, y + dy * share


def _curve(arrow: Arrow) -> tuple[str, tuple[float, float]]:
    """The path of an arrow between two boxes, and the place of its text."""
    (ax, ay), (bx, by) = PLACES[arrow.source], PLACES[arrow.target]
    pull = BENDS.get((arrow.source, arrow.target), (0, 0))
    # The middle of a quadratic curve lies halfway between the chord's middle and the control point.
    control = (ax + bx) / 2 + 2 * pull[0], (ay + by) / 2 + 2 * pull[1]
    start, end = _border(arrow.source, control), _border(arrow.target, control)
    t = LABELS_AT.get((arrow.source, arrow.target), 0.5)
    place = tuple(
        (1 - t) ** 2 * a + 2 * t * (1 - t) * c + t**2 * b for a, c, b in zip(start, control, end, strict=True)
    )
    line = f"Q{_point(control)} {_point(end)}" if pull != (0, 0) else f"L{_point(end)}"
    return f"M{_point(start)} {line}", (place[0], place[1])


def _loop(arrow: Arrow) -> tuple[str, tuple[float, float]]:
    """The path of an arrow from a box to itself, below it, and the place of its text."""
    x, y = PLACES[arrow.source]
    bottom = y + box_size(arrow.source)[1]
    path = f"M{_point((x - 10, bottom))} C{_point((x - 40, bottom + 70))} {_point((x + 80, bottom + 70))} "
    return f"{path}{_point((x + 50, bottom))}", (x + 20, bottom + 62 + -(-len(arrow.types) // EACH) * TEXT / 2)


def _types(arrow: Arrow, place: tuple[float, float]) -> str:
    """The text of an arrow, on white: its types one below the other, several to a line for those of a loop."""
    each = EACH if arrow.source == arrow.target else 1
    lines = [" · ".join(arrow.types[at : at + each]) for at in range(0, len(arrow.types), each)]
    x, middle = place
    y = middle - (len(lines) - 1) * TEXT / 2
    wide = [len(text) * LETTER for text in lines]
    behind = (
        f'<rect x="{x - width / 2:.0f}" y="{y + (at - 0.5) * TEXT:.0f}" width="{width:.0f}" height="{TEXT}" '
        'fill="#fff"/>'
        for at, width in enumerate(wide)
    )
    texts = (f'<text class="type" x="{x:.0f}" y="{y + at * TEXT + 4:.0f}">{t}</text>' for at, t in enumerate(lines))
    return "".join([*behind, *texts])


def _box(box: Box) -> str:
    x, y = PLACES[box]
    half_width, half_height = box_size(box)
    fill, line = COLOURS[node_of(box[0]).part]
    frame = (
        f'<rect x="{x - half_width:.0f}" y="{y - half_height:.0f}" width="{BOX}" height="{2 * half_height:.0f}" '
        f'rx="8" fill="{fill}" stroke="{line}" stroke-width="1.5"/>'
    )
    texts = (
        f'<text class="label" fill="{line}" x="{x}" y="{y - half_height + 5 + LINE * at + 16:.0f}">{label}</text>'
        for at, label in enumerate(box)
    )
    return frame + "".join(texts)


def _key(at: int, part: Part) -> str:
    fill, line = COLOURS[part]
    x, y = 60 + at % 3 * 250, HEIGHT - 62 + at // 3 * 28
    return (
        f'<rect x="{x}" y="{y}" width="22" height="14" rx="4" fill="{fill}" stroke="{line}"/>'
        f'<text class="part" x="{x + 30}" y="{y + 12}">{escape(part.value)}</text>'
    )


def _point(point: tuple[float, float]) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"
