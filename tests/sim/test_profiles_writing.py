"""A profile comes back from its TOML as it was, whatever it holds, and changes with single values."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.model.errors import UsageError
from etgraph.model.families import FAMILIES
from etgraph.sim.profiles import (
    Calibration,
    CollectiveFit,
    Device,
    FamilyFit,
    Profile,
    Tier,
    builtin_names,
    dump,
    fingerprint,
    load,
    loads,
    paths,
    with_overrides,
)
from etgraph.sim.profiles.profile import Dtype, Topology
from etgraph.sim.profiles.writing import figures

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
RATES = st.floats(1e-6, 1e20)
INTEGERS = st.integers(0, 2**53)
COUNTS = st.integers(1, 10**6)
FLOATS = st.floats(0, 1e20)
PEAKS = st.dictionaries(st.sampled_from(get_args(Dtype)), RATES, max_size=4)
DEVICES = st.builds(
    Device, name=TEXTS, vendor=TEXTS, kind=st.sampled_from(["gpu", "tpu", "cpu"]), matrix_flops=PEAKS,
    vector_flops=PEAKS, memory_bandwidth=RATES, memory_bytes=st.integers(1, 2**53), units=COUNTS,
    launch_latency_ns=INTEGERS, cache_bytes=INTEGERS, power_watts=st.none() | RATES, price_per_hour=st.none() | FLOATS,
    floors_ns=st.dictionaries(st.sampled_from(FAMILIES), INTEGERS, max_size=3),
)  # fmt: skip
TIERS = st.lists(
    st.builds(
        Tier, name=TEXTS, topology=st.sampled_from(get_args(Topology)), size=st.integers(1, 64), bandwidth=RATES,
        latency_ns=INTEGERS, links=COUNTS,
    ),
    max_size=3, unique_by=lambda tier: tier.name,
).map(tuple)  # fmt: skip
FAMILY_FITS = st.builds(
    FamilyFit, floor_ns=FLOATS, bandwidth=st.none() | RATES, flops=st.none() | RATES, log_error=FLOATS,
    samples=INTEGERS, smallest=FLOATS, largest=FLOATS,
)  # fmt: skip
COLLECTIVE_FITS = st.builds(
    CollectiveFit, type=TEXTS, size=COUNTS, alpha_ns=FLOATS, beta_ns_per_byte=FLOATS, log_error=FLOATS,
    samples=INTEGERS, smallest=INTEGERS, largest=INTEGERS,
)  # fmt: skip
CALIBRATIONS = st.builds(
    Calibration, families=st.dictionaries(TEXTS, FAMILY_FITS, max_size=2),
    collectives=st.lists(COLLECTIVE_FITS, max_size=2).map(tuple),
    libraries=st.dictionaries(TEXTS | st.sampled_from(["value", "source"]), TEXTS, max_size=3), fitted_on=TEXTS,
)  # fmt: skip


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    """Any profile, with sources of some of its figures and of other things."""
    profile = draw(
        st.builds(
            Profile, name=TEXTS, device=DEVICES, tiers=TIERS, description=TEXTS,
            calibration=st.none() | CALIBRATIONS, sources=st.just({}),
        )
    )  # fmt: skip
    known = [path for path, _ in figures(profile)]
    return replace(profile, sources=draw(st.dictionaries(st.sampled_from(known) | TEXTS, TEXTS, max_size=6)))


@given(profiles())
def test_a_profile_comes_back_as_it_was(profile: Profile) -> None:
    assert loads(dump(profile)) == profile


@pytest.mark.parametrize("name", builtin_names())
def test_built_in_profiles_come_back_as_they_were(name: str) -> None:
    assert loads(dump(load(name))) == load(name)


def test_sources_of_several_figures_are_written_once() -> None:
    text = dump(load("h100-sxm"))
    for source in load("h100-sxm").sources.values():
        assert text.count(source) == 1 or source == "estimate"
    assert tomllib.loads(text)["device"]["memory"] == {"value": "80 GB", "source": "1"}


def test_a_fingerprint_is_that_of_the_content() -> None:
    one = load("h100-sxm")
    assert fingerprint(one) == fingerprint(loads(dump(one)))
    other = with_overrides(one, {"device.memory_bandwidth": "3.36 TB/s"})
    assert other.name == one.name
    assert fingerprint(other) != fingerprint(one)


# Overrides


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("device.memory_bandwidth", "4 TB/s", 4e12),
        ("device.memory_bandwidth", 4e12, 4e12),
        ("device.memory_bandwidth", np.float64(4e12), 4e12),
        ("device.memory_bandwidth", "x2", 6.7e12),
        ("device.memory_bandwidth", "×0.5", 1.675e12),
        ("device.memory", "1.5 TB", 1_500_000_000_000),
        ("device.memory", np.int64(7), 7),
        ("device.power", 500, 500.0),
        ("device.units", 64, 64),
        ("device.matrix_flops.bf16", "x 1.5", 1484.1e12),
        ("device.matrix_flops.fp4", "4 PFLOP/s", 4e15),
        ('device.floors."softmax and loss"', "3 us", 3_000),
        ("device.floors.softmax and loss", 3_000, 3_000),
        ("device.name", "Mine", "Mine"),
        ("tiers.nvlink.bandwidth", 9e11, 9e11),
        ("tiers.nvlink.size", "x2", 16),
        ("tiers.nvlink.latency", "x1.0015", 701),
        ("tiers.infiniband.topology", "ring", "ring"),
        ("description", "faster", "faster"),
    ],
)
def test_one_value_is_another(path: str, value: object, expected: object) -> None:
    base = load("dgx-h100-256")
    found = with_overrides(base, {path: value})
    changed = {key: value for key, value in flat(found).items() if flat(base).get(key) != value}
    assert list(changed.values()) == [expected]
    assert set(base.sources) - set(found.sources) <= {path}
    assert path not in found.sources


def flat(profile: Profile) -> dict[str, Any]:
    """Every value of a device and its tiers by a name of its own."""
    device, found = profile.device, {"description": profile.description}
    for name in Device.__dataclass_fields__:
        value = getattr(device, name)
        found |= {f"{name}.{key}": each for key, each in value.items()} if isinstance(value, dict) else {name: value}
    for tier in profile.tiers:
        found |= {f"{tier.name}.{name}": getattr(tier, name) for name in Tier.__dataclass_fields__}
    return found


def test_several_values_and_none() -> None:
    base = load("dgx-h100")
    assert with_overrides(base, {}) == base
    found = with_overrides(base, {"device.power": "1 kW", "device.price": "1 USD/h", "tiers.nvlink.links": 9})
    assert (found.device.power_watts, found.device.price_per_hour, found.tiers[0].links) == (1000, 1, 9)


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("device.memory_bandwith", "device.memory_bandwidth"),
        ("tiers.nvlnk.bandwidth", "tiers.nvlink.bandwidth"),
        ("device.floors.matmull", "device.floors.matmul"),
        ("device", "device."),
        ("tiers", "tiers."),
        ("tiers.nvlink", "tiers.nvlink."),
        ("device.memory.size", "device.memory"),
        ("", "name"),
        ("sources.a", "device."),
    ],
)
def test_paths_that_do_not_exist(path: str, hint: str) -> None:
    with pytest.raises(UsageError, match="dgx-h100 has no") as caught:
        with_overrides(load("dgx-h100"), {path: 1})
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("device.memory_bandwidth", "4 TBs", "expected a bandwidth"),
        ("device.memory_bandwidth", -1.0, "expected 0 B/s or more"),
        ("device.memory_bandwidth", float("nan"), "expected a bandwidth"),
        ("device.memory_bandwidth", float("inf"), "expected a bandwidth"),
        ("device.memory_bandwidth", True, "expected a bandwidth"),
        ("device.memory_bandwidth", None, "expected a bandwidth"),
        ("device.memory_bandwidth", "xx", "expected a multiple"),
        ("device.units", 1.5, "expected a whole number"),
        ("tiers.nvlink.size", "x0.3", "expected a whole number"),
        ("tiers.nvlink.topology", "star", "expected one of"),
        ("device.matrix_flops.fp4", "x2", "there is none to multiply"),
    ],
)
def test_values_that_cannot_be_there(path: str, value: object, told: str) -> None:
    with pytest.raises(UsageError, match=rf"override {path}: found .*{told}"):
        with_overrides(load("dgx-h100"), {path: value})


def test_all_paths_can_be_overridden() -> None:
    base = load("dgx-h100")
    known = paths(base)
    assert {"device.memory_bandwidth", "tiers.nvlink.bandwidth", "device.matrix_flops.fp4"} <= set(known)
    for path, value in figures(base):
        assert path in known
        assert with_overrides(base, {path: tomllib.loads(f"v = {value}")["v"] if value.isdigit() else value})
