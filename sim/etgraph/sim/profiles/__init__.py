"""Hardware profiles: what a device and its network can do, each figure with its source."""

from etgraph.sim.profiles.profile import Calibration, CollectiveFit, Device, FamilyFit, Profile, Tier

__all__ = ["Calibration", "CollectiveFit", "Device", "FamilyFit", "Profile", "Tier"]
