"""What works on this machine: versions, extras, the compiled kernels' cache, the store and its integrity."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

from etgraph.cli.session import Diagnosis
from etgraph.model.errors import CorruptStore, EtgraphError
from etgraph.store import Check, Store
from etgraph.store.checking import INTEGRITY, checks_of

DAMAGED = 3
UNUSABLE = 4


def diagnose(url: str, store: Callable[[], Store], verify: bool) -> Diagnosis:
    """All checks. A store that does not open is a failed check, not an error."""
    checks = of_this_machine()
    try:
        found = checks_of(store(), verify=verify)
        checks += found
        exit_code = exit_code_of(found)
    except EtgraphError as error:
        checks.append(Check("store", False, error.message + (f" ({error.hint})" if error.hint else "")))
        exit_code = DAMAGED if isinstance(error, CorruptStore) else UNUSABLE
    return Diagnosis(tuple(checks), exit_code)


def exit_code_of(checks: Sequence[Check]) -> int:
    """What checks of a store mean for who called."""
    if all(check.ok for check in checks):
        return 0
    return DAMAGED if any(check.name == INTEGRITY and not check.ok for check in checks) else UNUSABLE


def of_this_machine() -> list[Check]:
    """The checks that concern no store."""
    return [_python(), _packages(), *_extras(), _chakra(), _kernel_cache()]


def _python() -> Check:
    where = f"{platform.python_implementation()} {platform.python_version()}"
    return Check("python", sys.version_info >= (3, 11), f"{where} on {platform.system()} {platform.machine()}")


def _requirements() -> Iterator[tuple[str, str | None]]:
    """(package, extra) of everything that the installed etgraph asks for; the extra is None for what it needs."""
    for line in metadata.requires("etgraph") or ():
        name = re.match(r"[A-Za-z0-9._-]+", line)
        extra = re.search(r"""extra\s*==\s*['"]([^'"]+)['"]""", line)
        if name:
            yield name[0], extra[1] if extra else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _packages() -> Check:
    own = _version("etgraph")
    if own is None:
        return Check("packages", False, "etgraph runs from a folder and is not installed, so its needs are unknown")
    needed = {name: _version(name) for name, extra in _requirements() if extra is None}
    missing = [name for name, version in needed.items() if version is None]
    if missing:
        return Check("packages", False, f"etgraph {own}; missing: {', '.join(missing)}")
    listed = ", ".join(f"{name} {version}" for name, version in needed.items())
    return Check("packages", True, f"etgraph {own}; {listed}")


def _extras() -> Iterator[Check]:
    """One line an extra. An extra is a choice, so that a missing one is no fault."""
    if _version("etgraph") is None:
        return
    extras: dict[str, list[str]] = {}
    for name, extra in _requirements():
        if extra is not None:
            extras.setdefault(extra, []).append(name)
    for extra, names in sorted(extras.items()):
        missing = [name for name in names if _version(name) is None]
        detail = f"not installed: {', '.join(missing)}" if missing else "installed"
        yield Check(f"extra {extra}", True, detail)


def _chakra() -> Check:
    """Whether Chakra's messages can be made, and by which of protobuf's implementations: the plain one is slow."""
    from google.protobuf.internal import api_implementation

    from etgraph.ingest.chakra.messages import MESSAGES, PACKAGE

    kind = api_implementation.Type()
    return Check("chakra", True, f"{PACKAGE}, {len(MESSAGES)} messages, protobuf's implementation is {kind}")


def _kernel_cache() -> Check:
    """Whether numba can keep compiled kernels: without that, each process compiles them anew for a few seconds."""
    import etgraph.model.kernels as kernels

    named = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(named) if named else Path(str(kernels.__file__)).parent / "__pycache__"
    existing = next((p for p in (folder, *folder.parents) if p.exists()), folder)
    if not os.access(existing, os.W_OK):
        return Check(
            "kernel cache", True,
            f"{folder} is not writable: another place is tried, or kernels are compiled anew in every process; "
            "set NUMBA_CACHE_DIR to a folder that is",
        )  # fmt: skip
    kept = len(list(folder.glob("*.nbc"))) if folder.is_dir() else 0
    return Check("kernel cache", True, f"{folder}: {kept} compiled kernels kept")
