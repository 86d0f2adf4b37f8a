"""Profiles by name and path: the built-in ones, files that build on others, and the pages that follow from them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from etgraph.model.errors import InputError, NotFound
from etgraph.sim.profiles import Profile, ProfileError, builtin_names, dump, load, loads
from etgraph.sim.profiles.documentation import profiles_page
from etgraph.sim.profiles.library import builtin_text
from etgraph.sim.profiles.schema import profile_schema, schema_text
from etgraph.sim.profiles.writing import figures

DOCS = Path(__file__).resolve().parents[2] / "docs" / "simulation"


# Built-in profiles


@pytest.mark.parametrize("name", builtin_names())
def test_every_figure_has_a_source(name: str) -> None:
    profile = load(name)
    assert profile.name == name
    assert profile.description
    bare = [path for path, _ in figures(profile) if not profile.sources.get(path, "").strip()]
    assert bare == []


@pytest.mark.parametrize("name", builtin_names())
def test_sources_say_where_a_figure_is_from(name: str) -> None:
    """A page, or that it was measured, chosen or estimated; a name without a reference is none of these."""
    said = ("https://", "estimate", "measured", "as chosen for this profile", "none: ")
    assert [source for source in load(name).sources.values() if not any(word in source for word in said)] == []


def test_figures_that_were_checked() -> None:
    h100, mi300x = load("h100-sxm").device, load("mi300x").device
    assert dict(h100.matrix_flops) == {
        "fp64": 66.9e12, "tf32": 494.7e12, "fp16": 989.4e12, "bf16": 989.4e12, "fp8": 1978.9e12, "int8": 1978.9e12
    }  # fmt: skip
    assert (h100.vector_flops["fp32"], h100.memory_bandwidth, h100.memory_bytes) == (66.9e12, 3.35e12, 80 * 10**9)
    assert (h100.units, h100.cache_bytes, h100.power_watts) == (132, 50 * 10**6, 700)
    assert {name: mi300x.matrix_flops[name] for name in ("bf16", "tf32", "fp8")} == {
        "bf16": 1307.4e12, "tf32": 653.7e12, "fp8": 2614.9e12
    }  # fmt: skip
    assert (mi300x.vector_flops["fp32"], mi300x.memory_bandwidth, mi300x.memory_bytes) == (
        163.4e12,
        5.3e12,
        192 * 10**9,
    )
    assert (mi300x.units, mi300x.cache_bytes, mi300x.power_watts) == (304, 256 * 10**6, 750)
    assert h100.floors_ns["attention"] == 9_000


@pytest.mark.parametrize(
    ("name", "ranks"), [("h100-sxm", 1), ("dgx-h100", 8), ("dgx-h100-1024", 1024), ("tpu-v5p-512", 512)]
)
def test_tiers_join_devices(name: str, ranks: int) -> None:
    assert load(name).ranks == ranks


def test_peaks_are_dense() -> None:
    """A sparse peak beside a dense one would be four times that of twice the bits, not twice."""
    for name in builtin_names():
        peaks = load(name).device.matrix_flops
        for wide, narrow in (("tf32", "bf16"), ("bf16", "fp8"), ("fp8", "fp4")):
            if wide in peaks and narrow in peaks:
                assert peaks[narrow] / peaks[wide] <= 2.1, (name, wide, narrow)  # type: ignore[index]


# Names and files

CLUSTER = """
    extends = "dgx-h100"
    ranks = 32
    [device]
    memory = "100 GB"
    [[tiers]]
    name = "nvlink"
    latency = "1 us"
    [[tiers]]
    name = "ethernet"
    topology = "switch"
    size = 4
    bandwidth = { value = "200 Gbit/s", source = "our offer" }
    latency = "5 us"
"""


def test_a_file_builds_on_another_profile(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text(CLUSTER)
    ours, base = load(tmp_path / "ours.toml"), load("dgx-h100")
    assert (ours.name, ours.description, ours.ranks) == ("ours", "", 32)
    assert [tier.name for tier in ours.tiers] == ["nvlink", "ethernet"]
    assert (ours.tiers[0].latency_ns, ours.tiers[0].bandwidth) == (1_000, base.tiers[0].bandwidth)
    assert ours.device.matrix_flops == base.device.matrix_flops
    assert ours.sources["tiers.ethernet.bandwidth"] == "our offer"
    assert ours.sources["device.power"] == base.sources["device.power"]


def test_a_figure_that_is_replaced_does_not_keep_the_source(tmp_path: Path) -> None:
    assert "device.memory" in load("dgx-h100").sources
    assert "device.memory" not in loads(CLUSTER).sources


def test_a_file_builds_on_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text(CLUSTER)
    (tmp_path / "more.toml").write_text('extends = "ours.toml"\n[[tiers]]\nname = "ethernet"\nsize = 8\n')
    assert load(str(tmp_path / "more.toml")).ranks == 64


def test_files_that_build_on_each_other(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('\nextends = "b.toml"\n')
    (tmp_path / "b.toml").write_text('extends = "a.toml"\n')
    with pytest.raises(ProfileError, match=r"b\.toml: line 1, extends: found \"a\.toml\", which builds on this file"):
        load(tmp_path / "a.toml")


def test_what_is_built_on_must_exist() -> None:
    with pytest.raises(ProfileError, match="line 2, extends") as caught:
        loads('\nextends = "h100-sxn"')
    assert caught.value.hint == "did you mean 'h100-sxm'?"
    with pytest.raises(ProfileError, match="found no text"):
        loads("extends = 3")


def test_no_such_profile(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no profile 'mi300'") as caught:
        load("mi300")
    assert "'mi300x'" in (caught.value.hint or "")
    with pytest.raises(NotFound, match="no such file"):
        load(tmp_path / "missing.toml")


def test_files_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(b"name = \xff")
    with pytest.raises(InputError, match=r"bad\.toml: byte 7"):
        load(tmp_path / "bad.toml")
    with pytest.raises(InputError, match="expected a TOML file"):
        load(tmp_path)


# Schema and page


def test_the_schema_is_that_of_the_declaration() -> None:
    told = "run: python -m etgraph.sim.profiles.schema > docs/simulation/profile.schema.json"
    assert (DOCS / "profile.schema.json").read_text("utf-8") == schema_text(), told


def test_the_page_is_that_of_the_files() -> None:
    told = "run: python -m etgraph.sim.profiles.documentation > docs/simulation/profiles.md"
    assert (DOCS / "profiles.md").read_text("utf-8") == profiles_page(), told


def valid(text: str) -> bool:
    validator = jsonschema.Draft202012Validator(json.loads(json.dumps(profile_schema())))
    return not list(validator.iter_errors(tomllib.loads(text)))


@pytest.mark.parametrize("name", builtin_names())
def test_profiles_fit_the_schema(name: str) -> None:
    assert valid(builtin_text(name))
    assert valid(dump(load(name)))


@pytest.mark.parametrize(
    "text",
    [
        "colour = 1",
        "[device]\nmemory = 80",
        '[device]\nmemory = "80"',
        '[device]\nmemory = "80 GB/s"',
        "[device]\nunits = 0",
        '[device]\nkind = "phone"',
        '[device.matrix_flops]\nbf61 = "1 TFLOP/s"',
        "[[tiers]]\nsize = 8",
        '[device]\nunits = { value = 3, page = "x" }',
    ],
)
def test_the_schema_refuses_what_reading_refuses(text: str) -> None:
    assert not valid(text)
    with pytest.raises(ProfileError):
        loads(text)


def test_a_profile_is_read_once() -> None:
    assert isinstance(load("h200"), Profile)
    assert load("h200") is load("h200")
