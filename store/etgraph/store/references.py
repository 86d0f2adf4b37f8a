"""How a trace is named: the grammar of references, and the rules by which one means a trace."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from etgraph.model.errors import NotFound, StoreError, UsageError

ID = re.compile(r"[0-9a-f]{64}")
SHORTEST_ID = 6
SHORTEST_COMMIT = 4
MOST_ITERATIONS = 1_000_000
MOST_CANDIDATES = 5
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Candidate:
    """One entry of a catalogue, as far as references go. `created` is ISO 8601."""

    trace_id: str
    workload: str | None
    created: str
    commit: str | None = None

    def __str__(self) -> str:
        return f"{self.trace_id[:12]} ({self.workload or 'no workload'}, {self.created[:19].replace('T', ' ')})"


@dataclass(frozen=True, slots=True)
class Match:
    """The trace that a reference means, and the workload by which it was named (None: by id)."""

    trace_id: str
    workload: str | None


class Lookup(Protocol):
    """What a store's catalogue must answer so that references can be resolved; candidates come newest first."""

    def by_id(self, prefix: str) -> Sequence[Candidate]:
        """Entries of the traces whose id starts so."""
        ...

    def in_workload(self, workload: str) -> Sequence[Candidate]:
        """Entries of a workload."""
        ...

    def tagged(self, workload: str, name: str) -> str | None:
        """Id of the trace that the tag names."""
        ...

    def labelled(self, workload: str, key: str, value: str) -> Sequence[Candidate]:
        """Entries of a workload that carry the label."""
        ...

    def tags_of(self, workload: str) -> Sequence[str]:
        """Names of the workload's tags."""
        ...

    def all(self) -> Sequence[Candidate]:
        """Every entry."""
        ...


def split_iterations(reference: str) -> tuple[str, tuple[int, ...] | None]:
    """Split `#0,2,4` or `#3-7` off a reference: the reference without it and the indices, ascending; None without.

    A `#` that is followed by anything but digits, commas and hyphens belongs to the name. Raises UsageError for a
    suffix that is none.

    >>> split_iterations("dlrm@baseline#0,3-5")
    ('dlrm@baseline', (0, 3, 4, 5))
    >>> split_iterations("dlrm")
    ('dlrm', None)
    """
    name, mark, suffix = reference.rpartition("#")
    if not mark or (suffix and not re.fullmatch(r"[0-9,\-\s]+", suffix, re.ASCII)):
        return reference, None
    wanted: set[int] = set()
    for part in suffix.split(","):
        numbers = re.fullmatch(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", part, re.ASCII)
        first = int(numbers[1]) if numbers else 0
        last = int(numbers[2]) if numbers and numbers[2] else first
        if numbers is None or not name or last < first or last - first >= MOST_ITERATIONS:
            raise UsageError(
                f"iterations of {reference!r}: found {'#' + suffix!r}, expected indices such as #0,2,4 or #3-7"
            )
        wanted.update(range(first, last + 1))
    return name, tuple(sorted(wanted))


def resolve(reference: str, lookup: Lookup) -> Match:
    """The trace that a reference means.

    A whole id comes before a workload of that name, a workload before a prefix of ids, a tag before a commit. Raises
    NotFound where nothing matches and UsageError where several traces do, with the nearest candidates.
    """
    workload, at, point = reference.partition("@")
    if at:
        return Match(_in_workload(reference, workload, point, lookup), workload)
    text = reference.lower()
    if ID.fullmatch(text) and lookup.by_id(text):
        return Match(text, None)
    named = lookup.in_workload(reference)
    if named:
        return Match(named[0].trace_id, reference)
    if re.fullmatch(r"[0-9a-f]{1,64}", text):
        found = lookup.by_id(text) if len(text) >= SHORTEST_ID else ()
        ids = list(dict.fromkeys(candidate.trace_id for candidate in found))
        if len(ids) == 1:
            return Match(ids[0], None)
        if ids:
            raise UsageError(f"{reference!r} is the beginning of {len(ids)} trace ids: {_listed(found)}")
    raise not_found(reference, lookup.all())


def _in_workload(reference: str, workload: str, point: str, lookup: Lookup) -> str:
    entries = lookup.in_workload(workload)
    if not entries:
        raise not_found(reference, lookup.all())
    tagged = lookup.tagged(workload, point)
    if tagged is not None:
        return tagged
    key, equals, value = point.partition("=")
    if equals:
        labelled = lookup.labelled(workload, key, value)
        if labelled:
            return labelled[0].trace_id
        raise NotFound(f"no trace of workload {workload} has the label {point}; it has {_listed(entries)}")
    if len(point) >= SHORTEST_COMMIT:
        found = [c for c in entries if c.commit is not None and c.commit.startswith(point)]
        commits = list(dict.fromkeys(c.commit for c in found))
        if len(commits) == 1:
            return found[0].trace_id
        if commits:
            raise UsageError(f"{point!r} is the beginning of {len(commits)} commits: {_listed(found)}")
    tags = ", ".join(lookup.tags_of(workload)) or "none"
    raise NotFound(
        f"no tag, commit or label of workload {workload} answers to {point!r}; tags: {tags}; traces: {_listed(entries)}"
    )


def not_found(reference: str, candidates: Sequence[Candidate]) -> NotFound:
    """The error for a reference that nothing answers to, with what comes nearest to it."""
    if not candidates:
        return NotFound(f"no trace answers to {reference!r}, and there is no other")
    name = reference.partition("@")[0]
    keys: dict[str, Candidate] = {}
    for candidate in candidates:
        keys.setdefault(candidate.trace_id[: max(SHORTEST_ID, len(name))], candidate)
        if candidate.workload is not None:
            keys.setdefault(candidate.workload, candidate)
    near = [keys[key] for key in difflib.get_close_matches(name, keys, n=MOST_CANDIDATES, cutoff=0.6)]
    words = "nearest" if near else "newest"
    hint = f"an id needs at least {SHORTEST_ID} characters" if len(name) < SHORTEST_ID else None
    return NotFound(f"no trace answers to {reference!r}; {words}: {_listed(near or candidates)}", hint=hint)


def no_tag(workload: str, name: str, tags: Sequence[str]) -> NotFound:
    """The error for a tag that a workload does not have, with those that it has."""
    near = difflib.get_close_matches(name, tags) or tags
    return NotFound(f"workload {workload} has no tag {name!r}; it has {', '.join(near) or 'none'}")


def check_one_workload(trace_id: str, workloads: Sequence[str]) -> None:
    """Refuse to tag a trace that is in no workload, or in several: UsageError."""
    if len(workloads) != 1:
        found = f"workloads {', '.join(workloads)}" if workloads else "no workload"
        raise UsageError(
            f"trace {trace_id[:12]}: found {found}, expected one, since a tag belongs to a workload",
            hint="name it by workload@commit or by label" if workloads else "publish it under a workload first",
        )


def revision_differs(trace_id: str, found: int, expected: int) -> StoreError:
    """The error for something that was computed from another revision of a trace."""
    return StoreError(
        f"trace {trace_id[:12]}: found revision {found}, expected {expected}",
        hint="load the trace again and compute from that",
    )


def no_id(trace_id: str) -> NotFound:
    """The error for an id that no trace has."""
    return NotFound(f"no trace has the id {trace_id}")


def no_simulation(trace_id: str, simulation: str) -> NotFound:
    """The error for a simulation that is not kept beside a trace."""
    return NotFound(f"no simulation {simulation} is kept beside trace {trace_id[:12]}")


def _listed(candidates: Iterable[Candidate]) -> str:
    shown = list(dict.fromkeys(map(str, candidates)))
    more = f" and {len(shown) - MOST_CANDIDATES} more" if len(shown) > MOST_CANDIDATES else ""
    return ", ".join(shown[:MOST_CANDIDATES]) + more


def check_name(what: str, name: str, forbidden: str) -> None:
    """Refuse a name that a reference could not spell: UsageError says which character is in the way."""
    wrong = next((c for c in name if c in forbidden or not c.isprintable()), None)
    if wrong is not None:
        raise UsageError(f"{what} {name!r}: found {wrong!r}, expected none of {' '.join(forbidden)}")
    if not name or name != name.strip() or len(name) > LONGEST_NAME:
        raise UsageError(f"{what} {name!r}: expected 1 to {LONGEST_NAME} characters without spaces around them")


FILE_ENDING = re.compile(r"\.(json|et|gz|zst|zip|tar|tgz|tbz2|txz)$", re.IGNORECASE)
"""Endings by which a reference is taken for a file."""


def check_workload(name: str) -> None:
    """Refuse a workload that could be taken for something else in a reference."""
    check_name("workload", name, "@#")
    if ID.fullmatch(name):
        raise UsageError(f"workload {name!r} looks like a trace id")
    if name.startswith((".", "~", "/")) or name.endswith("/") or FILE_ENDING.search(name):
        raise UsageError(f"workload {name!r} looks like a path, and references could not tell it from one")


def no_unicode(error: UnicodeEncodeError) -> UsageError:
    """The error for a name that no store can spell."""
    return UsageError(f"name {error.object[:40]!r}: found half a surrogate pair, expected Unicode text")


def check_tag(name: str) -> None:
    """Refuse a tag that a reference could not spell."""
    check_name("tag", name, "@#=")


def check_label(key: str, value: str) -> None:
    """Refuse a label that a reference could not spell."""
    check_name("label", key, "@#=")
    check_name(f"value of label {key}", value, "#")


def check_publication(
    trace_id: str,
    workload: str | None,
    details: Mapping[str, str | None],
    labels: Mapping[str, str],
) -> None:
    """Refuse what a trace cannot be published with; `details` are team, commit and branch."""
    check_id(trace_id)
    if workload is not None:
        check_workload(workload)
    for what, name in details.items():
        if name is not None:
            check_name(what, name, "#")
    for key, value in labels.items():
        check_label(key, value)


def check_id(trace_id: str) -> None:
    """Refuse what is no trace id."""
    if not ID.fullmatch(trace_id):
        raise UsageError(
            f"trace id: found {trace_id!r}, expected 64 hexadecimal digits",
            hint="traces that readers make carry their id; one built by hand needs trace_id=…",
        )
