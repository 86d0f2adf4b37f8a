"""A study in a folder, from which processes take it: arrays are mapped, so that all of them share the same memory."""

from __future__ import annotations

import mmap
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Final

from etgraph.model.attributes import Attributes
from etgraph.sim.sweeps.study import Study

_ALIGNED: Final = 64
_VALUE, _ARRAYS = "study.pickle", "arrays"


def ship(study: Study, folder: Path) -> None:
    """Write a study. Attributes, which live in files of this process, stay behind: nothing here asks for them."""
    plain = Study(replace(study.trace, attributes=Attributes.none()), study.grid, study.measures)
    buffers: list[pickle.PickleBuffer] = []
    value = pickle.dumps(plain, protocol=5, buffer_callback=buffers.append)
    places = []
    with open(folder / _ARRAYS, "wb") as file:
        for buffer in buffers:
            with buffer.raw() as raw:
                file.write(b"\0" * (-file.tell() % _ALIGNED))
                places.append((file.tell(), raw.nbytes))
                file.write(raw)
        file.write(b"\0")  # an empty file cannot be mapped
    (folder / _VALUE).write_bytes(pickle.dumps((places, value)))


def unship(folder: Path) -> Study:
    """The study in a folder; it stays usable when the folder goes."""
    places, value = pickle.loads((folder / _VALUE).read_bytes())
    with open(folder / _ARRAYS, "rb") as file:
        mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    found: Study = pickle.loads(value, buffers=[mapped[at : at + size] for at, size in places])
    return found
