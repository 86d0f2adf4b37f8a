"""Which built-in profile is of the device that a trace names."""

from __future__ import annotations

import re

from etgraph.sim.profiles.library import builtin_names, load
from etgraph.sim.profiles.profile import Profile

_MODEL = re.compile(r"[A-Z]{1,3}\d{2,4}[A-Z]*", re.IGNORECASE)
"""What names a model in a device's name: V100, MI300X, H200."""
_WORD = re.compile(r"[a-z]+|\d+", re.IGNORECASE)


def recognised(device_model: str | None) -> Profile | None:
    """The built-in profile of a single device whose name shares the model and most words; None where none does.

    >>> recognised("Tesla V100-SXM2-16GB").name
    'v100'
    >>> recognised("AMD Instinct MI300X VF").name
    'mi300x'
    """
    models = {m.upper() for m in _MODEL.findall(device_model or "")}
    if not models:
        return None
    alone = [profile for profile in map(load, builtin_names()) if profile.ranks == 1]
    alike = [p for p in alone if models & {m.upper() for m in _MODEL.findall(p.device.name)}]
    words = {word.lower() for word in _WORD.findall(device_model or "")}
    return max(alike, key=lambda p: len(words & {w.lower() for w in _WORD.findall(p.device.name)}), default=None)
