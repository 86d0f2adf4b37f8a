"""Which tier of a network a group of ranks spans, with ranks placed on devices in order."""

from __future__ import annotations

import numpy as np

from etgraph.model.columns import Array
from etgraph.sim.profiles.profile import Profile


def spanning_tiers(profile: Profile, lowest: Array, highest: Array) -> Array:
    """For groups by their lowest and highest rank: the position of the innermost tier that joins them.

    Rank r is device r, dimension 0 varies fastest: with tiers of 8 and 4, ranks 0 to 7 are one node. -1 for groups that
    go beyond the profile's devices.
    """
    found = np.full(len(lowest), -1, dtype=np.int64)
    block = 1
    for position, tier in enumerate(profile.tiers):
        block *= tier.size
        inside = (lowest // block == highest // block) & (highest < profile.ranks)
        found[inside & (found < 0)] = position
    return found
