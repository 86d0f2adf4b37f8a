"""Versions of the libraries behind a trace, as far as its files record them: a calibration holds for these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from etgraph.model import Trace

_VERSIONS: Final = {
    "torch_version": "torch", "cuda_compiled_version": "cuda", "hip_compiled_version": "hip",
    "cuda_runtime_version": "cuda runtime", "hip_runtime_version": "hip runtime",
    "miopen_runtime_version": "miopen", "nvidia_driver_version": "driver",
    "cuda_driver_version": "cuda driver", "hip_driver_version": "hip driver",
}  # fmt: skip
"""Names under which profilers and their callers record versions, and what we call them. Nothing else is taken: the
documents of traces hold whole environments, keys and passwords included."""
_PACKAGES: Final = ("cublas", "cudnn", "triton", "miopen", "rocblas", "hipblaslt", "flash-attn", "xformers")
"""Packages of which the version is kept, by a part of their name."""
_DEEPEST: Final = 4


def libraries_of(traces: Sequence[Trace]) -> Mapping[str, str]:
    """Versions by library, in order of names; of several that are recorded the first."""
    found: dict[str, str] = {}
    for trace in traces:
        for source in trace.metadata.sources:
            _collect(source.document, found, _DEEPEST)
    return dict(sorted(found.items()))


def _collect(document: Mapping[str, Any], found: dict[str, str], depth: int) -> None:
    for key, value in document.items():
        if key in _VERSIONS and isinstance(value, str | int) and str(value) not in ("", "N/A", "None"):
            found.setdefault(_VERSIONS[key], str(value))
        elif isinstance(value, Mapping) and depth and key != "env":
            _collect(value, found, depth - 1)
        elif key == "pip_packages" and isinstance(value, list):
            for package in value:
                name, _, version = str(package).partition("==")
                if version and any(part in name for part in _PACKAGES):
                    found.setdefault(name, version)
