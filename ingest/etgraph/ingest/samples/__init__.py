"""Sample traces that come with the package: small real runs, recorded for it; see README.md beside this file."""

from __future__ import annotations

from pathlib import Path

from etgraph.model.errors import NotFound

_FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """Names of the samples; each is a folder with one or two files a rank."""
    return tuple(sorted(p.name for p in _FOLDER.iterdir() if p.is_dir() and any(p.glob("*.json.gz"))))


def path(name: str) -> Path:
    """The folder of one sample. Raises NotFound for a name that is none."""
    if name not in names():
        raise NotFound(f"no sample {name!r}: there are {', '.join(names())}")
    return _FOLDER / name
