"""What calls of a device's runtime do, by their names in CUDA, HIP and their drivers, and by those of MTIA."""

from __future__ import annotations

import re
from typing import Final

RECORD: Final = re.compile(r"^(?:cuda|hip|cu)EventRecord(?:WithFlags)?$")
"""Puts an event into a stream."""
WAIT: Final = re.compile(r"^(?:cuda|hip|cu)StreamWaitEvent$")
"""Makes a stream wait for an event."""
STREAM_SYNC: Final = re.compile(r"^(?:cuda|hip|cu)StreamSynchronize$")
"""Returns when a stream has nothing left to do."""
DEVICE_SYNC: Final = re.compile(r"^(?:cuda|hip|cu)(?:Device|Ctx)Synchronize$")
"""Returns when no stream of the device has anything left to do."""
EVENT_SYNC: Final = re.compile(r"^(?:cuda|hip|cu)EventSynchronize$")
"""Returns when an event has happened."""
COPY_SYNC: Final = re.compile(
    r"^(?:cuda|hip)Memcpy(?:2D|3D|Peer|ToSymbol|FromSymbol)?$|^cuMemcpy(?:HtoD|DtoH)_v2$|^hipMemcpyWithStream$"
)
"""Copies and returns when that is done, or at least under way."""
OTHER_SYNC: Final = re.compile(r"^synchronize(?:Stream|Device|Event)?$")
"""Waits for a device, without saying for what of it."""
GRAPH_LAUNCH: Final = re.compile(r"^(?:cuda|hip|cu)GraphLaunch")
"""Launches all operators of a graph that was captured before."""
BLOCKING: Final = re.compile("|".join(p.pattern for p in (STREAM_SYNC, DEVICE_SYNC, EVENT_SYNC, COPY_SYNC, OTHER_SYNC)))
"""Returns only when a device has done something."""
