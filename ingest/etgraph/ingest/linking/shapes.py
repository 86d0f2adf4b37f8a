"""Shapes of linked operators: where the two files contradict each other, the link is wrong."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from etgraph.model.columns import Array


def contradict(host: Array, device: Array, host_texts: list[str], device_texts: list[str]) -> Array:
    """Whether the shapes of each pair contradict each other; codes of the two files' own texts, -1 for none.

    Each pair of texts is compared once. Arguments that only one file gives dims of say nothing.
    """
    both = (host >= 0) & (device >= 0)
    key = host.astype(np.int64) * (len(device_texts) + 1) + device
    values, inverse = np.unique(key[both], return_inverse=True)
    pairs = [divmod(value, len(device_texts) + 1) for value in values.tolist()]
    wrong = np.array([_differ(host_texts[a], device_texts[b]) for a, b in pairs] or [False])
    found = np.zeros(len(host), dtype=bool)
    found[both] = wrong[inverse] if len(inverse) else False
    return found


def _differ(host: str, device: str) -> bool:
    if host == device:
        return False
    return any(_dims(a) and _dims(b) and a != b for a, b in zip(_decoded(host), _decoded(device)))


def _decoded(text: str) -> list[Any]:
    try:
        dims = msgspec.json.decode(text)["dims"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return []
    return dims if isinstance(dims, list) else []


def _dims(value: Any) -> bool:
    """Whether it is the dims of one tensor, not those of several, nor of something without any."""
    return isinstance(value, list) and bool(value) and all(isinstance(dim, int) for dim in value)
