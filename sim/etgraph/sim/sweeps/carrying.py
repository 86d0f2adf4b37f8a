"""What was fitted on a profile, carried over to other figures: fits are of the hardware as it was measured.

A fit is used as it stands wherever there is one, so that without this no other bandwidth would change anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from etgraph.sim.compute.products import HALF
from etgraph.sim.compute.rates import peak
from etgraph.sim.profiles import CollectiveFit, Device, FamilyFit, Profile, Tier


def carried(profile: Profile, base: Profile) -> Profile:
    """The profile, which has other figures than its base, with the base's fits in proportion.

    Effective rates of kernels keep their share of the peaks, floors stay. Of a collective, what its bytes take falls
    with the bandwidth of its outermost tier, and the rest grows with that tier's latency; a fit that scales the time of
    the tiers does so by itself. Where the tier is joined otherwise, or of another size, a fit tells nothing and is
    left out.
    """
    found = profile.calibration
    if found is None or (profile.device == base.device and profile.tiers == base.tiers):
        return profile
    families = {name: _family(fit, profile.device, base.device) for name, fit in found.families.items()}
    collectives = tuple(_collectives(found.collectives, profile, base))
    return replace(profile, calibration=replace(found, families=families, collectives=collectives))


def _family(fit: FamilyFit, device: Device, base: Device) -> FamilyFit:
    memory, products = device.memory_bandwidth / base.memory_bandwidth, peak(device, HALF) / peak(base, HALF)
    return replace(
        fit,
        bandwidth=None if fit.bandwidth is None else fit.bandwidth * memory,
        flops=None if fit.flops is None else fit.flops * products,
    )


def _collectives(fits: tuple[CollectiveFit, ...], profile: Profile, base: Profile) -> Iterator[CollectiveFit]:
    now, before = ({tier.name: tier for tier in each.tiers} for each in (profile, base))
    for fit in fits:
        # A fit that names no tier was made without tiers, on the whole network.
        name = fit.tier or (base.tiers[-1].name if base.tiers else "")
        if name not in before:
            yield fit
        elif name in now and _shape(now[name]) == _shape(before[name]):
            yield _on_tier(fit, now[name], before[name])


def _shape(tier: Tier) -> tuple[str, int]:
    return tier.topology, tier.size


def _on_tier(fit: CollectiveFit, tier: Tier, base: Tier) -> CollectiveFit:
    if fit.scale is not None:
        return fit
    slower = tier.latency_ns / base.latency_ns if base.latency_ns else 1.0
    return replace(
        fit,
        alpha_ns=fit.alpha_ns * slower,
        alpha_error_ns=fit.alpha_error_ns * slower,
        beta_ns_per_byte=fit.beta_ns_per_byte * base.bandwidth / tier.bandwidth,
    )
