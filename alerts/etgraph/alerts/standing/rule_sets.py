"""Rules that a store keeps: a file of them under a name, of a team, for some of its workloads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from etgraph.alerts.language.evaluating import matches
from etgraph.alerts.rules.reading import DEFAULT, Placed, default_pack, loads_all
from etgraph.model.errors import NotFound, UsageError
from etgraph.store import Store, TraceInfo
from etgraph.store.records import Conflict, Record, Records, every

KIND: Final = "rules"
LARGEST: Final = 128 << 10
"""Bytes of a text of rules."""
MOST: Final = 100
"""Sets of a team."""
MOST_NAMED: Final = 50
"""Globs of workloads, and baselines, of one set."""
NAME: Final = re.compile(r"[A-Za-z0-9](?:[\w.-]{0,98}[A-Za-z0-9])?", re.ASCII)
TAG: Final = "@baseline"
"""What rules compare with where neither they nor their set name a baseline and the workload has that tag."""
_LAST: Final = re.compile(r"last:[1-9][0-9]{0,2}(:.+)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules that every new trace of some workloads is checked by."""

    name: Annotated[str, "what the team calls it"]
    team: Annotated[str | None, "the team whose traces are checked; null for nobody's"]
    text: Annotated[str, "the file of rules as it was written, or `default` for those that come with etgraph"]
    workloads: Annotated[tuple[str, ...], "globs of the workloads whose traces are checked"]
    baseline: Annotated[
        tuple[str, ...],
        "what rules that name none compare with; `@tag` is that tag of the trace's own workload. Without any it is "
        "`@baseline` where the workload has that tag, else `last:5`",
    ]
    by: Annotated[str, "who set it last"]
    version: Annotated[int, "grows with each change"]
    created: Annotated[str, "when it was first set"]
    changed: Annotated[str, "when it was set last"]

    def rules(self) -> tuple[Placed, ...]:
        """The rules, which findings place in a file of the set's name. Raises RulesError with all their problems."""
        return _read(self.text, self.name)

    def is_for(self, workload: str) -> bool:
        """Whether traces of a workload are checked."""
        return any(matches(workload, pattern) for pattern in self.workloads)


def set_rules(
    records: Records,
    team: str,
    name: str,
    text: str,
    *,
    workloads: Sequence[str] = ("*",),
    baseline: Sequence[str] = (),
    by: str = "",
    version: int | None = None,
) -> RuleSet:
    """Keep rules under a name, in place of what a team has there; `version` is that of the set they replace, 0 of none.
    Alerts stay as they are: `keeping.withdraw_unasked` resolves those of workloads that are no longer meant.

    Raises RulesError with all that is wrong about the text, UsageError for what cannot be kept otherwise and where the
    set has another version.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"name of rules: found {name[:120]!r}, expected letters and digits with - . _ between them")
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > LARGEST:
        raise UsageError(
            f"rules {name!r}: found {size:,} bytes, expected {LARGEST:,} or fewer", hint="make it two sets"
        )
    _check_names(f"rules {name!r}: workloads", workloads, least=1)
    _check_names(f"rules {name!r}: baseline", baseline)
    for each in baseline:
        if each.startswith("last:") and not _LAST.fullmatch(each):
            raise UsageError(f"rules {name!r}: baseline: found {each!r}, expected last:N or last:N:BRANCH")
    _read(text, name)
    if rule_set(records, team, name) is None and len(rule_sets(records, team)) >= MOST:
        raise UsageError(f"team {team!r} has {MOST} sets of rules, and may have no more", hint="remove one")
    document = {
        "team": team, "name": name, "text": text, "workloads": list(workloads), "baseline": list(baseline), "by": by,
    }  # fmt: skip
    try:
        return _rule_set(records.put(KIND, _key(team, name), document, version))
    except Conflict as error:
        raise UsageError(f"rules {name!r}: {error.message.partition(': ')[2]}", hint=error.hint) from error


def remove_rules(records: Records, team: str, name: str) -> RuleSet:
    """Take a set of rules away; gives what it was. Raises NotFound where there is none. Alerts of it stay as they are:
    `keeping.withdraw_unasked` resolves them.
    """
    found = rule_set(records, team, name)
    if found is None:
        names = ", ".join(each.name for each in rule_sets(records, team)) or "none"
        raise NotFound(f"no rules {name[:120]!r}; there are {names}")
    records.remove(KIND, _key(team, name))
    return found


def rule_set(records: Records, team: str, name: str) -> RuleSet | None:
    """The set of that name, None where a team has none."""
    found = records.get(KIND, _key(team, name)) if NAME.fullmatch(name) else None
    return None if found is None else _rule_set(found)


def rule_sets(records: Records, team: str | None) -> list[RuleSet]:
    """The sets of a team, by name; None: of all teams, by these."""
    where = None if team is None else {"team": team}
    return [_rule_set(each) for each in every(records, KIND, where)]


def sets_for(records: Records, team: str, workload: str | None) -> list[RuleSet]:
    """The sets of a team by which traces of a workload are checked; none for a trace without a workload."""
    return [] if workload is None else [each for each in rule_sets(records, team) if each.is_for(workload)]


def newest_beside(store: Store, tagged: TraceInfo, tag: str) -> TraceInfo | None:
    """The newest trace of a team's workload, which is to be checked again as another one got that tag.

    None where the tag is not what rules compare with, or nothing is under the workload.
    """
    if f"@{tag}" != TAG or tagged.workload is None:
        return None
    return next((each for each in store.traces(workload=tagged.workload) if each.team == tagged.team), None)


def _read(text: str, name: str) -> tuple[Placed, ...]:
    return loads_all([default_pack() if text == DEFAULT else (text, name)])


def _check_names(what: str, names: Sequence[str], *, least: int = 0) -> None:
    if not least <= len(names) <= MOST_NAMED:
        raise UsageError(f"{what}: found {len(names)}, expected {least} to {MOST_NAMED}")
    for each in names:
        if not 0 < len(each) <= 300 or not each.isprintable():
            raise UsageError(f"{what}: found {each[:120]!r}, expected 1 to 300 characters that can be printed")


def _key(team: str, name: str) -> str:
    return f"{team}/{name}"  # unlike a team's, the name of a set has no slash


def _rule_set(record: Record) -> RuleSet:
    said: Any = record.document
    return RuleSet(
        said["name"], said["team"] or None, said["text"], tuple(said["workloads"]), tuple(said["baseline"]),
        said["by"], record.version, record.created, record.changed,
    )  # fmt: skip


__all__ = ["KIND", "TAG", "RuleSet", "newest_beside", "remove_rules", "rule_set", "rule_sets", "set_rules", "sets_for"]
