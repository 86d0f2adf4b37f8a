"""References: telling a path from the name of a stored trace, and what they say beside that."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etgraph.model.errors import NotFound, UsageError
from etgraph.store.references import FILE_ENDING, split_iterations


def looks_like_a_path(reference: str) -> bool:
    """Whether a reference is spelled as only paths are: from a root, with a folder's slash, or a trace file's ending.

    A slash in the middle does not tell, since a workload may be called `ads/dlrm`.

    >>> [looks_like_a_path(r) for r in ("./runs", "~/runs", "runs/", "t.json.gz", "gpt", "ads/dlrm", "gpt@v1.2")]
    [True, True, True, True, False, False, False]
    """
    separators = (os.sep, os.altsep or os.sep)
    return (
        reference in (".", "..")
        or reference.startswith(("~", *(start + s for start in ("", ".", "..") for s in separators)))
        or reference.endswith(separators)
        or FILE_ENDING.search(reference) is not None
    )


def as_path(reference: str) -> Path | None:
    """The path that a reference is, None where it names a stored trace. What exists on disk is a path."""
    path = Path(reference).expanduser() if reference.startswith("~") else Path(reference)
    try:
        exists = path.exists()
    except (OSError, ValueError):
        exists = False
    return path if reference and (exists or looks_like_a_path(reference)) else None


def split(reference: str, *, exists: bool = True) -> tuple[str, tuple[int, ...] | None]:
    """A reference without its iterations, and these. A file whose own name ends in `#1` is taken as a whole."""
    if exists and "#" in reference and Path(reference).exists():
        return reference, None
    return split_iterations(reference)


def whole(reference: str) -> str:
    """A reference that the catalogue knows. Raises UsageError for a part of a trace, of which it knows nothing."""
    name, iterations = split(reference, exists=False)
    if iterations is not None:
        raise UsageError(
            f"{reference!r} names iterations of a trace; this command takes whole traces", hint=f"say {name!r}"
        )
    return name


def with_steps(reference: str, steps: tuple[int, ...] | None, choices: Mapping[str, Any]) -> dict[str, Any]:
    """Choices of a question with the steps that its reference names. Raises UsageError where `iteration` is none."""
    one = choices.get("iteration")
    if steps is not None and one is not None and one not in steps:
        raise UsageError(f"{reference!r} does not hold iteration {one}", hint="leave --iteration or # out")
    return {**choices, "iteration": steps} if steps is not None and one is None else dict(choices)


def not_stored(name: str, why: str) -> UsageError:
    """The error for a path where a stored trace is needed."""
    return UsageError(
        f"{name} is read from disk: {why}",
        hint="ingest it first, and name it by its workload or id; 'etgraph ls' lists what is stored",
    )


def explain_not_found(error: NotFound, name: str, url: str, *, stored: bool) -> None:
    """Hint at what may be meant by a name that the store at that URL does not know; `stored` takes no paths at all."""
    if stored and as_path(name) is not None:
        error.hint = "this command takes traces of the store, which 'etgraph ls' lists, and not their files"
    elif "/" in name:
        error.hint = f"there is no such file or folder either; the store is {url}"
    else:
        error.hint = error.hint or f"'etgraph ls' lists the traces of the store {url}"
