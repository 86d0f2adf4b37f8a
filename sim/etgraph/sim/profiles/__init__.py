"""Hardware profiles: what a device and its network can do, each figure with its source."""

from etgraph.model.settings.problems import Problem
from etgraph.sim.profiles.library import builtin_names, load, loads
from etgraph.sim.profiles.overriding import paths, with_overrides
from etgraph.sim.profiles.profile import Calibration, CollectiveFit, Device, FamilyFit, Profile, Tier
from etgraph.sim.profiles.reading import ProfileError
from etgraph.sim.profiles.writing import dump, fingerprint

__all__ = [
    "Calibration",
    "CollectiveFit",
    "Device",
    "FamilyFit",
    "Problem",
    "Profile",
    "ProfileError",
    "Tier",
    "builtin_names",
    "dump",
    "fingerprint",
    "load",
    "loads",
    "paths",
    "with_overrides",
]
