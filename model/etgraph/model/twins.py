"""Names that differ by vendor, library, version or run for what is the same operator."""

from __future__ import annotations

import re
from typing import Final

_LIBRARY: Final = re.compile(r"(?<=::)(?:cudnn|miopen|mkldnn|hipdnn)_")
_RUNTIME: Final = re.compile(r"^(?:cuda|hip|cu|musa|xpu)(?=[A-Z])")
_STEP: Final = re.compile(r"(ProfilerStep#)\d+")
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{4,}")
_VERSION: Final = re.compile(r"(Backward)\d+\b")
_TEMPLATE: Final = re.compile(r"<.*|\(.*", re.DOTALL)
_NUMBER: Final = re.compile(r"_\d+$")
_CALLS: Final = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"GraphLaunch", "GraphLaunch"),
        (r"Launch", "Launch"),
        (r"^Memcpy", "Memcpy"),
        (r"^Memset", "Memset"),
    )
)


def without_vendor(name: str) -> str:
    """The name without the vendor whose library or runtime it is, and without what differs from run to run.

    >>> without_vendor("aten::miopen_convolution"), without_vendor("hipMemcpyAsync"), without_vendor("ProfilerStep#7")
    ('aten::convolution', 'MemcpyAsync', 'ProfilerStep#')
    """
    name = _LIBRARY.sub("", _RUNTIME.sub("", name))
    return _ADDRESS.sub("0x", _STEP.sub(r"\1", name))


def essential(name: str, *, kernel: bool = False, call: bool = False) -> str:
    """The part of a name that other versions of a library share: without version numbers and templates' arguments.

    Of a device's `kernel` what stands before template arguments and parameters, of a `call` of its runtime what it
    does, whichever of several calls does that.

    >>> essential("MulBackward0"), essential("void add<4, float>(int)", kernel=True)
    ('MulBackward', 'add')
    >>> essential("hipExtModuleLaunchKernel", call=True)
    'Launch'
    """
    name = without_vendor(name)
    if call:
        return next((known for pattern, known in _CALLS if pattern.search(name)), name)
    if kernel:
        name = name.removeprefix("void ").replace("(anonymous namespace)::", "")
        return _NUMBER.sub("", _TEMPLATE.sub("", name)) or name
    return _VERSION.sub(r"\1", name)
