"""Files of grids: the points that they make, and what is wrong with them, by line."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from etgraph.model import CommType
from etgraph.model.errors import NotFound, UsageError
from etgraph.sim.communication import Means
from etgraph.sim.profiles import load as load_profile
from etgraph.sim.sweeps import GridError, load, loads
from etgraph.sim.sweeps.placements import placed
from etgraph.sim.sweeps.schema import grid_schema, schema_text

DOCS = Path(__file__).parents[2] / "docs" / "simulation"

WHOLE = """\
profiles = ["dgx-h100-32"]
[placements]
turned = [1, 0]
[grid]
tiers.infiniband.bandwidth = ["x1", "x2"]
"device.memory_bandwidth" = ["4 TB/s"]
placement = ["in-order", "turned"]
[[points]]
name = "all"
sharing = false
library = "gloo"
algorithm = "ring"
algorithms.all_reduce = "tree"
device.floors."softmax and loss" = "9 us"
"""


def test_a_grid_is_every_value_with_every_other() -> None:
    grid = loads(WHOLE)
    assert [(dict(s.figures), s.choices.placement) for s in grid.settings[:5]] == [
        ({}, "in-order"),
        *(
            ({"tiers.infiniband.bandwidth": bandwidth, "device.memory_bandwidth": 4e12}, placement)
            for bandwidth in (50e9, 100e9)
            for placement in ("in-order", "turned")
        ),
    ]
    assert grid.parameters == (
        "tiers.infiniband.bandwidth", "device.memory_bandwidth", "placement", "sharing", "library", "algorithm",
        "algorithms.all_reduce", 'device.floors."softmax and loss"',
    )  # fmt: skip


def test_a_single_point_has_its_own_values() -> None:
    point = loads(WHOLE).settings[-1]
    assert (point.name, point.choices.sharing) == ("all", False)
    assert point.figures == {'device.floors."softmax and loss"': 9_000}
    assert point.choices.means == Means("gloo", "ring", {int(CommType.ALL_REDUCE): "tree"})


def test_several_profiles_each_have_all_points_unless_a_point_names_one() -> None:
    grid = loads("""
        profiles = ["dgx-h100", "dgx-a100"]
        [grid]
        device.memory_bandwidth = ["x2", "x3"]
        [[points]]
        profile = "dgx-a100"
        tiers.nvlink.latency = "1 us"
        [[points]]
        sharing = false
    """)
    assert [setting.profile for setting in grid.settings] == [0, 1, 0, 0, 1, 1, 1, 0, 1]
    assert [s.figures.get("device.memory_bandwidth") for s in grid.settings[2:6]] == [
        6.7e12, 10.05e12, 4.078e12, 6.117e12
    ]  # fmt: skip


def test_profiles_may_lie_beside_the_grid(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text('extends = "dgx-h100"\ndevice.units = 99\n')
    (tmp_path / "grid.toml").write_text('profiles = ["ours.toml"]\n[[points]]\nsharing = false\n')
    assert load(tmp_path / "grid.toml").profiles[0].device.units == 99
    with pytest.raises(NotFound, match="no such file"):
        load(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("old", "new", "line", "path", "found", "expected", "hint"),
    [
        ("dgx-h100-32", "dgx-h100-3", 1, "profiles", '"dgx-h100-3"', "a built-in profile, or a path from this file",
         "did you mean 'dgx-h100-32'?"),
        ("infiniband", "infinband", 5, "grid.tiers.infinband.bandwidth", "a path that there is not",
         "one of dgx-h100-32", "did you mean 'tiers.infiniband.bandwidth'?"),
        ('["x1", "x2"]', '"x1"', 5, "grid.tiers.infiniband.bandwidth", '"x1"', "an array of the values to try", None),
        ('["x1", "x2"]', '["x1",\n"2 GBs"]', 6, "grid.tiers.infiniband.bandwidth", '"2 GBs"',
         'a bandwidth such as "3.35 TB/s"', "did you mean 'GB/s'?"),
        ('["in-order", ', '["inorder", ', 7, "grid.placement", '"inorder"',
         "one of in-order, interleaved, spread, turned", "did you mean 'in-order'?"),
        ("sharing = false", "sharing = 0", 10, "points.0.sharing", "0", "true or false", None),
        ('"tree"', '"threes"', 13, "points.0.algorithms.all_reduce", '"threes"', "one of cheapest, ring, tree",
         "did you mean 'tree'?"),
        ("all_reduce", "allreduce", 13, "points.0.algorithms.allreduce", "an unknown key", "one of all_reduce",
         "did you mean 'all_reduce'?"),
        ("sharing", "shared", 10, "points.0.shared", "a path that there is not", "one of dgx-h100-32",
         "did you mean 'sharing'?"),
        ("turned = [1, 0]", "turned = [1, true]", 3, "placements.turned", "true", "a whole number", None),
        ('name = "all"', 'profile = "dgx"', 9, "points.0.profile", '"dgx"', "dgx-h100-32", None),
        ("[placements]", "colour = 1\n[placements]", 2, "colour", "an unknown key", "one of source", None),
        ("[placements]", "measures = 1\n[placements]", 2, "measures", "1", "an array, each item a text", None),
    ],
)  # fmt: skip
def test_a_problem_is_told_by_line(
    old: str, new: str, line: int, path: str, found: str, expected: str, hint: str | None
) -> None:
    with pytest.raises(GridError) as caught:
        loads(WHOLE.replace(old, new, 1), file="g.toml")
    problem = caught.value.problems[0]
    assert (problem.file, problem.line, problem.path, problem.found) == ("g.toml", line, path, found)
    assert problem.expected.startswith(expected)
    assert hint is None or (problem.hint or "").startswith(hint)


def test_all_problems_are_told_together() -> None:
    with pytest.raises(GridError, match=r"(?s)g\.toml: 3 problems.*line 5.*line 10.*line 11") as caught:
        loads(WHOLE.replace('"x1"', '"y"').replace("false", "1").replace("gloo", "glue"), file="g.toml")
    assert caught.value.code == "BAD_GRID"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("profiles = [", "expected TOML"),
        ("[grid]\nsharing = [true]", "profiles: found nothing"),
        ("profiles = []\n[[points]]\nsharing = true", "profiles: found none"),
        ('profiles = ["dgx-h100"]', r"found neither \[grid\] nor \[\[points\]\]"),
        ('profiles = ["dgx-h100"]\npoints = 3', r"points: found 3, expected rows"),
        ('profiles = ["dgx-h100"]\ngrid = 3', r"grid: found 3, expected a table"),
        ('profiles = ["dgx-h100"]\n[grid]\ndevice.cache = [1]', r"cache: found 1, expected a size such as \"80 GB\""),
    ],
)
def test_what_is_no_grid(text: str, message: str) -> None:
    with pytest.raises(GridError, match=message):
        loads(text)


def test_too_many_points_are_a_slip() -> None:
    tried = ", ".join(map(str, range(1, 400)))
    text = f'profiles = ["dgx-h100"]\n[grid]\ndevice.units = [{tried}]\ntiers.nvlink.links = [{tried}]'
    with pytest.raises(GridError, match=r"line 2, grid: found 159,201 points, expected 100,000 at most"):
        loads(text)


def test_named_placements() -> None:
    profile = load_profile("dgx-h100-32")  # 4 nodes of 8
    assert placed("in-order", {}, profile, 16) is None
    assert placed("interleaved", {}, profile, 16) == (0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15)
    assert placed("interleaved", {}, profile, 8) == tuple(range(8))
    assert placed("spread", {}, profile, 8) == (0, 8, 16, 24, 1, 9, 17, 25)
    assert placed("turned", {"turned": (1, 0)}, profile, 2) == (1, 0)
    with pytest.raises(UsageError, match="names 2 devices, expected 3"):
        placed("turned", {"turned": (1, 0)}, profile, 3)


# Schema


def test_the_schema_is_that_of_the_declaration() -> None:
    told = "run: python -m etgraph.sim.sweeps.schema > docs/simulation/grid.schema.json"
    assert (DOCS / "grid.schema.json").read_text("utf-8") == schema_text(), told


def valid(text: str) -> bool:
    validator = jsonschema.Draft202012Validator(json.loads(json.dumps(grid_schema())))
    return not list(validator.iter_errors(tomllib.loads(text)))


def test_a_grid_fits_the_schema() -> None:
    assert valid(WHOLE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("profiles", "profile"),
        ('["x1", "x2"]', '"x1"'),
        ('"x2"', '"2 GBs"'),
        ("sharing = false", "sharing = 0"),
        ('"tree"', '"threes"'),
        ("all_reduce", "allreduce"),
        ("sharing", "shared"),
        ('"turned"', "1"),
    ],
)
def test_the_schema_refuses_what_reading_refuses(old: str, new: str) -> None:
    text = WHOLE.replace(old, new)
    assert not valid(text)
    with pytest.raises(GridError):
        loads(text)
