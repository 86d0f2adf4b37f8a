"""A profile fitted on measured traces: how well kernels of each family do on its device, what its collectives cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from etgraph.model import Trace
from etgraph.model.errors import MissingData, UsageError
from etgraph.sim.communication import fit as fit_collectives
from etgraph.sim.communication import measured
from etgraph.sim.communication.transfers import joined
from etgraph.sim.compute import fit as fit_families
from etgraph.sim.profiles import Calibration, Profile
from etgraph.sim.profiles.recognising import recognised


def calibrated(traces: Sequence[Trace], base: Profile | None = None, name: str | None = None) -> Profile:
    """The profile with a calibration of those traces, under a name of its own.

    Without `base` it is the built-in one of the device that the traces name. Kernels are fitted where operators with
    recorded dims ran on a device, collectives where all ranks of some were recorded. Efficiency belongs to libraries as
    well as to devices, so their versions are kept, as far as they are recorded.

    Raises UsageError where the traces name no device that is known, or several; MissingData where they tell neither of
    kernels nor of collectives.
    """
    models = list(dict.fromkeys(trace.metadata.device_model or "no device" for trace in traces))
    if base is None:
        if len(models) != 1 or (base := recognised(models[0])) is None:
            raise UsageError(
                f"the traces were measured on {', '.join(models)}, expected one device that a built-in profile is of",
                hint="name the profile to start from: --profile P (see 'etgraph profile list')",
            )
    families: Calibration | None = None
    nothing: list[str] = []
    try:
        families = fit_families(traces, base.device)
    except MissingData as error:
        nothing.append(error.message)
    collectives = fit_collectives(joined([measured(trace) for trace in traces]), base)
    if not collectives:
        nothing.append("no collective whose ranks are all recorded has a size and a time")
    if families is None and not collectives:
        raise MissingData("; ".join(nothing), hint="record with record_shapes=True, on all ranks")
    found = families or Calibration(fitted_on=", ".join(models))
    return replace(
        base,
        name=name or f"{base.name}-fitted",
        description=f"{base.name}, calibrated on {len(traces)} trace{'s' * (len(traces) != 1)}",
        calibration=replace(found, collectives=tuple(collectives)),
    )
