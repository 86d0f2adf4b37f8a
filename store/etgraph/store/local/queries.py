"""What is asked of the catalogue, in SQL: entries, references, and rows of traces, files and artefacts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from etgraph.model import simulation_tables
from etgraph.model.accuracy import Score, Validation
from etgraph.store.clock import now
from etgraph.store.local.files import StoredFile
from etgraph.store.protocol import ArtefactInfo, TraceInfo, WorkloadInfo
from etgraph.store.references import Candidate
from etgraph.store.visible import SEPARATOR, Visible, check_free

_ENTRY_OF_TRACE = (
    "id", "revision", "created", "workload", "team", "commit", "branch", "labels", "tags", "bytes",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TraceRow:
    """Where a trace's files lie and how large they are."""

    id: str
    revision: int
    folder: str
    files: tuple[StoredFile, ...]


def among(visible: Visible | None) -> tuple[str, list[str | None]]:
    """The condition that entries `e` are visible, with its values; None is everything.

    >>> among(None)
    ('1', [])
    """
    if visible is None:
        return "1", []
    if not visible.shared:
        return "e.team IS NOT NULL AND e.team = ?", [visible.team]
    of_workload = "coalesce(e.team, '') || ? || coalesce(? || e.workload, '') || ?"
    return (
        f"(e.team = ? OR {of_workload} IN (SELECT value FROM json_each(?)) "
        f"OR {of_workload} || e.trace IN (SELECT value FROM json_each(?)))",
        [visible.team, *(2 * [SEPARATOR, SEPARATOR, SEPARATOR, json.dumps(visible.keys)])],
    )


class SqlLookup:
    """Candidates for references out of the catalogue, newest first, of those entries that are visible."""

    def __init__(self, connection: sqlite3.Connection, visible: Visible | None = None) -> None:
        self._connection = connection
        self._visible, self._values = among(visible)

    def _candidates(self, condition: str, values: Sequence[str]) -> list[Candidate]:
        rows = self._connection.execute(
            f"SELECT trace, workload, created, commit_id FROM entries e WHERE {condition} AND {self._visible} "
            "ORDER BY id DESC",
            (*values, *self._values),
        )
        return [Candidate(*row) for row in rows]

    def by_id(self, prefix: str) -> list[Candidate]:
        """Entries of the traces whose id starts so; `g` comes after every hexadecimal digit."""
        return self._candidates("trace >= ? AND trace < ?", (prefix, prefix + "g"))

    def in_workload(self, workload: str) -> list[Candidate]:
        """Entries of a workload."""
        return self._candidates("workload = ?", (workload,))

    def tagged(self, workload: str, name: str) -> str | None:
        """Id of the trace that the tag names."""
        row = self._connection.execute(
            "SELECT e.trace FROM tags t JOIN entries e ON e.id = t.entry "
            f"WHERE t.workload = ? AND t.name = ? AND {self._visible}",
            (workload, name, *self._values),
        ).fetchone()
        return None if row is None else str(row[0])

    def labelled(self, workload: str, key: str, value: str) -> list[Candidate]:
        """Entries of a workload that carry the label."""
        return self._candidates(
            "workload = ? AND EXISTS (SELECT 1 FROM labels l WHERE l.entry = e.id AND l.key = ? AND l.value = ?)",
            (workload, key, value),
        )

    def tags_of(self, workload: str) -> list[str]:
        """Names of the workload's tags."""
        rows = self._connection.execute(
            "SELECT t.name FROM tags t JOIN entries e ON e.id = t.entry "
            f"WHERE t.workload = ? AND {self._visible} ORDER BY t.name",
            (workload, *self._values),
        )
        return [row[0] for row in rows]

    def all(self) -> list[Candidate]:
        """Every entry."""
        return self._candidates("1", ())


def summary_text(info: TraceInfo) -> str:
    """The part of a description that belongs to the trace itself, as kept in its row."""
    document = msgspec.to_builtins(info, str_keys=True)
    return json.dumps({k: v for k, v in document.items() if k not in _ENTRY_OF_TRACE})


def infos(connection: sqlite3.Connection, condition: str = "1", values: Sequence[object] = ()) -> list[TraceInfo]:
    """Entries `e` of traces `t` that satisfy a condition, newest first."""
    rows = connection.execute(
        f"""SELECT e.id, t.id, t.revision, t.bytes, t.summary, e.created, e.workload, e.team, e.commit_id, e.branch
            FROM entries e JOIN traces t ON t.id = e.trace WHERE {condition} ORDER BY e.id DESC""",
        values,
    ).fetchall()
    labels = _grouped(connection, "SELECT entry, key, value FROM labels ORDER BY entry, key", rows)
    tags = _grouped(connection, "SELECT entry, name, '' FROM tags ORDER BY entry, name", rows)
    found = []
    for entry, trace, revision, size, summary, created, workload, team, commit, branch in rows:
        document = {"id": trace, "revision": revision, **json.loads(summary)}
        info = msgspec.convert(document, TraceInfo, strict=False)
        info = replace(info, bytes=size, created=created, workload=workload, team=team, commit=commit, branch=branch)
        named = tuple(name for name, _ in tags.get(entry, ()))
        found.append(replace(info, labels=dict(labels.get(entry, ())), tags=named))
    return found


def _grouped(
    connection: sqlite3.Connection, query: str, rows: Sequence[Sequence[object]]
) -> dict[int, list[tuple[str, str]]]:
    """Rows of (entry, key, value) by entry; of one entry only where only one is asked for."""
    if len(rows) == 1:
        query = query.replace(" ORDER", " WHERE entry = ? ORDER", 1)
    grouped: dict[int, list[tuple[str, str]]] = {}
    for entry, key, value in connection.execute(query, (rows[0][0],) if len(rows) == 1 else ()):
        grouped.setdefault(entry, []).append((key, value))
    return grouped


def workload_infos(
    connection: sqlite3.Connection, team: str | None, visible: Visible | None = None
) -> list[WorkloadInfo]:
    """Workloads by name, of one team or of all, by the entries that are visible."""
    seen, values = among(visible)
    teams: dict[str, list[str]] = {}
    for workload, name in connection.execute(
        f"SELECT DISTINCT workload, team FROM entries e WHERE workload NOT NULL AND team NOT NULL AND {seen} "
        "ORDER BY team",
        values,
    ):
        teams.setdefault(workload, []).append(name)
    tags: dict[str, list[str]] = {}
    for workload, name in connection.execute(
        f"SELECT t.workload, t.name FROM tags t JOIN entries e ON e.id = t.entry WHERE {seen} ORDER BY t.name", values
    ):
        tags.setdefault(workload, []).append(name)
    rows = connection.execute(
        "SELECT workload, count(*), max(created) FROM entries e "
        f"WHERE workload NOT NULL AND (? IS NULL OR team = ?) AND {seen} GROUP BY workload ORDER BY workload",
        (team, team, *values),
    )
    return [
        WorkloadInfo(name, count, newest, tuple(teams.get(name, ())), tuple(tags.get(name, ())))
        for name, count, newest in rows
    ]


def trace_row(connection: sqlite3.Connection, trace_id: str) -> TraceRow | None:
    """The row of a trace with its files, None where there is none."""
    row = connection.execute("SELECT id, revision, folder FROM traces WHERE id = ?", (trace_id,)).fetchone()
    if row is None:
        return None
    files = connection.execute("SELECT name, bytes, sha256 FROM files WHERE trace = ? ORDER BY name", (trace_id,))
    return TraceRow(row[0], row[1], row[2], tuple(StoredFile(*file) for file in files))


def put_trace(connection: sqlite3.Connection, info: TraceInfo, folder: str, files: Iterable[StoredFile]) -> str | None:
    """Enter a trace's files in place of an older revision's; returns the folder that these replace."""
    files = list(files)
    values = (info.revision, folder, sum(file.bytes for file in files), summary_text(info))
    before = connection.execute("SELECT folder FROM traces WHERE id = ?", (info.id,)).fetchone()
    if before is None:
        connection.execute(
            "INSERT INTO traces (revision, folder, bytes, summary, id) VALUES (?, ?, ?, ?, ?)", (*values, info.id)
        )
    else:
        connection.execute(
            "UPDATE traces SET revision = ?, folder = ?, bytes = ?, summary = ? WHERE id = ?", (*values, info.id)
        )
        connection.execute("DELETE FROM files WHERE trace = ?", (info.id,))
        connection.execute("DELETE FROM artefacts WHERE trace = ?", (info.id,))
        connection.execute("DELETE FROM validations WHERE measured = ?", (info.id,))
        discard(connection, before[0])
    connection.executemany(
        "INSERT INTO files (trace, name, bytes, sha256) VALUES (?, ?, ?, ?)",
        [(info.id, file.name, file.bytes, file.sha256) for file in files],
    )
    return None if before is None else str(before[0])


def put_entry(
    connection: sqlite3.Connection, trace_id: str, workload: str | None, details: Mapping[str, str | None],
    labels: Mapping[str, str], visible: Visible | None = None,
) -> None:  # fmt: skip
    """Enter a trace under a workload, or add to the entries that it has, of those that are visible.

    `details` are team, commit and branch.
    """
    entries = entries_of(connection, trace_id, None, visible)
    ours = {entry for entry, _ in entries}
    check_free(workload, [name for entry, name in entries_of(connection, trace_id, None) if entry not in ours])
    chosen = [entry for entry, name in entries if workload is None or name == workload]
    if not chosen:
        unnamed = [entry for entry, name in entries if name is None]
        if unnamed:
            # It takes on the workload, and with a new number comes to stand as the newest there.
            connection.execute(
                "INSERT INTO entries (trace, workload, team, commit_id, branch, created) "
                "SELECT trace, ?, team, commit_id, branch, ? FROM entries WHERE id = ?",
                (workload, now(), unnamed[0]),
            )
        else:
            connection.execute(
                "INSERT INTO entries (trace, workload, created) VALUES (?, ?, ?)", (trace_id, workload, now())
            )
        chosen = [int(connection.execute("SELECT last_insert_rowid()").fetchone()[0])]
        for entry in unnamed:
            connection.execute("UPDATE labels SET entry = ? WHERE entry = ?", (chosen[0], entry))
            connection.execute("DELETE FROM entries WHERE id = ?", (entry,))
    for entry in chosen:
        connection.execute(
            "UPDATE entries SET team = coalesce(?, team), commit_id = coalesce(?, commit_id), "
            "branch = coalesce(?, branch) WHERE id = ?",
            (details.get("team"), details.get("commit"), details.get("branch"), entry),
        )
        put_labels(connection, entry, labels)


def put_labels(connection: sqlite3.Connection, entry: int, labels: Mapping[str, str]) -> None:
    """Set labels of an entry."""
    connection.executemany(
        "INSERT INTO labels (entry, key, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        [(entry, key, value) for key, value in labels.items()],
    )


def entries_of(
    connection: sqlite3.Connection, trace_id: str, workload: str | None, visible: Visible | None = None
) -> list[tuple[int, str | None]]:
    """Ids and workloads of a trace's visible entries, under one workload or all, newest first."""
    seen, values = among(visible)
    return connection.execute(
        f"SELECT id, workload FROM entries e WHERE trace = ? AND (? IS NULL OR workload = ?) AND {seen} "
        "ORDER BY id DESC",
        (trace_id, workload, workload, *values),
    ).fetchall()


def artefact_rows(connection: sqlite3.Connection, trace_id: str) -> list[tuple[ArtefactInfo, StoredFile]]:
    """Artefacts of a trace with their files, whose names are paths below the store."""
    rows = connection.execute(
        "SELECT kind, key, created, bytes, file, sha256 FROM artefacts WHERE trace = ? ORDER BY kind, key", (trace_id,)
    )
    return [
        (ArtefactInfo(kind, key, created, size), StoredFile(file, size, sha256))
        for kind, key, created, size, file, sha256 in rows
    ]


def simulations_of(connection: sqlite3.Connection, workload: str) -> list[tuple[str, str]]:
    """Ids of traces of a workload and of the simulations beside them."""
    return connection.execute(
        "SELECT DISTINCT a.trace, a.key FROM entries e JOIN artefacts a ON a.trace = e.trace "
        "WHERE e.workload = ? AND a.kind = ? ORDER BY a.trace, a.key",
        (workload, simulation_tables.KIND),
    ).fetchall()


def put_validation(
    connection: sqlite3.Connection, trace_id: str, simulation: str, measured: str, score: Score
) -> None:  # fmt: skip
    """Note how a simulation met a trace; both must be there."""
    values = (trace_id, simulation_tables.KIND, simulation, measured, json.dumps(msgspec.to_builtins(score)), now())
    connection.execute(
        "INSERT OR REPLACE INTO validations (trace, kind, simulation, measured, score, created) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        values,
    )


def validations(connection: sqlite3.Connection, trace_id: str) -> list[Validation]:
    """How the simulations beside a trace met others, and how those of others met it."""
    rows = connection.execute(
        "SELECT simulation, trace, measured, created, score FROM validations WHERE trace = ?1 OR measured = ?1 "
        "ORDER BY simulation, created, trace, measured",
        (trace_id,),
    )
    return [
        Validation(simulation, base, measured, created, msgspec.json.decode(score, type=Score))
        for simulation, base, measured, created, score in rows
    ]


def discard(connection: sqlite3.Connection, path: str) -> None:
    """Note a path for deletion once this transaction has made it unreachable."""
    connection.execute("INSERT OR IGNORE INTO garbage (path) VALUES (?)", (path,))


def is_referenced(connection: sqlite3.Connection, path: str) -> bool:
    """Whether a row names that folder or artefact."""
    return bool(
        connection.execute(
            "SELECT EXISTS (SELECT 1 FROM traces WHERE folder = ?1) OR "
            "EXISTS (SELECT 1 FROM artefacts WHERE file = ?1)",
            (path,),
        ).fetchone()[0]
    )
