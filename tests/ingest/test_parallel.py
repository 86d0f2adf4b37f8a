"""Ranks read by other processes and kept for a reading that goes on: the same trace, the same errors, nothing left."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etgraph.ingest import KeptRanks, kept, parallel, read, samples
from etgraph.ingest.discovery import RankFiles, discover
from etgraph.ingest.draft import NULL, Draft
from etgraph.ingest.drafts import CONTENTS, is_whole, load_draft, save_draft
from etgraph.ingest.joining import join
from etgraph.ingest.kept import KeepingTask, key_of, read_into_folder
from etgraph.ingest.places import Place
from etgraph.ingest.reading import Options, RankTask, read_rank
from etgraph.model import Trace, workers
from etgraph.model.errors import CorruptStore, EtgraphError, InputError, UsageError
from ingest.kineto_oracle import cpu, write
from support.archives import WAYS


def assert_same(trace: Trace, expected: Trace) -> None:
    assert trace.trace_id == expected.trace_id
    assert trace.metadata == expected.metadata
    for name, columns in expected.tables.items():
        assert columns.equals(trace.tables[name]), (name, columns.differences(trace.tables[name]))
    for row in range(0, len(expected), max(len(expected) // 9, 1)):
        assert trace.operator_attributes(row) == expected.operator_attributes(row)


def run_of(folder: Path, ranks: int = 3) -> Path:
    """A folder with some small ranks."""
    folder.mkdir()
    for rank in range(ranks):
        info = {"rank": rank, "world_size": ranks}
        write(folder / f"{rank}.json", cpu(f"op {rank}", 10 + rank, 11 + rank), distributedInfo=info)
    return folder


@pytest.fixture
def own_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for temporary files, of this process and its children."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    left = [c for c in psutil.Process().children(recursive=True) if c.pid not in before]
    assert left == []


# The same trace


def test_one_process_or_several_give_the_same(tmp_path: Path, own_temp: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for file in samples.path("dlrm_alltoall").glob("kineto*"):
        shutil.copy(file, folder)
    expected = read(folder, workers=1)
    assert_same(read(folder, workers=3), expected)
    with KeptRanks(tmp_path / "kept") as store:
        assert_same(read(folder, workers=2, kept=store), expected)
    del expected
    assert list(own_temp.iterdir()) == []


def test_names_that_are_no_utf_8(tmp_path: Path) -> None:
    folder = run_of(tmp_path / os.fsdecode(b"run\xfe"))
    (folder / "0.json").rename(folder / os.fsdecode(b"\xffrank0.json"))
    (folder / "1.json").rename(folder / os.fsdecode(b"\xferank1.json"))
    (folder / os.fsdecode(b"\xff.txt")).write_text("notes")
    trace = read(folder, workers=1)
    assert [source.name for source in trace.metadata.sources] == ["<ff>rank0.json", "<fe>rank1.json", "2.json"]
    assert [other.name for other in trace.metadata.report.ignored] == ["<ff>.txt"]
    assert_same(read(folder, workers=2), trace)
    with KeptRanks(tmp_path / "kept") as ranks:
        assert_same(read(folder, workers=1, kept=ranks), trace)
    one = read(folder / os.fsdecode(b"\xffrank0.json"))
    assert [source.name for source in one.metadata.sources] == ["<ff>rank0.json"]


def test_the_ranks_of_the_collection_in_parallel(collection_dir: Path) -> None:
    folder = collection_dir / "param/dlrm_kineto"
    assert_same(read(folder, workers=3), read(folder, workers=1))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(5)), names=st.lists(st.text("abcxyz", min_size=1), min_size=5, max_size=5))
def test_the_order_of_files_changes_nothing(order: list[int], names: list[str], tmp_path: Path) -> None:
    """Files are found by name: other names are another order."""
    expected = read(run_of(tmp_path / "a", 5)) if not (tmp_path / "a").exists() else read(tmp_path / "a")
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    for position, rank in enumerate(order):
        shutil.copy(tmp_path / f"a/{rank}.json", folder / f"{names[position]}-{position}.json")
    trace = read(folder, workers=1)
    assert trace.trace_id == expected.trace_id
    assert all(columns.equals(trace.tables[name]) for name, columns in expected.tables.items())


def test_progress_counts_ranks(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    read(
        run_of(tmp_path / "run"), workers=2, progress=lambda step, done=0, total=None: told.append((step, done, total))
    )
    assert told == [
        ("searching", 0, None), *((("reading ranks in 2 processes"), done, 3) for done in range(4)), ("joining", 3, 3)
    ]  # fmt: skip


def test_small_runs_are_read_by_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with discover(run_of(tmp_path / "run", 8)) as found:
        tasks = [RankTask(rank, Options(), None) for rank in found.one_run().ranks]
    monkeypatch.setattr(parallel, "processors", lambda: 6)
    assert parallel.sensible_workers(tasks) == 1
    monkeypatch.setattr(parallel, "TEXT_A_WORKER", 1000)
    size = (tmp_path / "run/0.json").stat().st_size
    assert parallel.sensible_workers(tasks) == min(8 * size // 1000, 6)
    monkeypatch.setattr(parallel, "free_memory", lambda: int(2 * parallel.MEMORY_A_TEXT * size * 1.5))
    assert parallel.sensible_workers(tasks) == 1


# Errors


def test_the_error_of_a_worker_is_the_same(tmp_path: Path, own_temp: Path) -> None:
    folder = run_of(tmp_path / "run")
    (folder / "1.json").write_text((folder / "1.json").read_text()[:-3])
    errors = []
    for number in (1, 2):
        with pytest.raises(InputError) as error:
            read(folder, workers=number)
        errors.append(error.value)
    assert type(errors[0]) is type(errors[1])
    assert vars(errors[0]) == vars(errors[1])
    assert "1.json" in str(errors[0])
    assert list(own_temp.iterdir()) == []


def fails(_: object) -> None:
    raise ValueError("a defect")


def unpicklable(_: object) -> Any:
    return threading.Lock()


def dies(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def prints(number: int) -> int:
    print("not an answer")
    os.write(1, b"nor this")
    return number


def sleeps(_: object) -> None:
    time.sleep(600)


def pid(_: object) -> tuple[int, str]:
    time.sleep(0.2)
    return os.getpid(), tempfile.gettempdir()


def spread(work: Any, count: int, number: int, folder: Path) -> list[tuple[int, Any]]:
    return list(workers.each_done(work, list(range(count)), number, folder))


def test_what_workers_print_is_no_answer(tmp_path: Path) -> None:
    assert sorted(spread(prints, 5, 2, tmp_path)) == [(n, n) for n in range(5)]
    assert spread(prints, 0, 2, tmp_path) == []


def test_workers_are_other_processes_with_their_own_temporary_folder(tmp_path: Path) -> None:
    found = [answer for _, answer in spread(pid, 4, 2, tmp_path)]
    assert len({process for process, _ in found}) == 2
    assert os.getpid() not in {process for process, _ in found}
    assert all(Path(folder).parent == tmp_path for _, folder in found)
    assert list(tmp_path.iterdir()) == []


def test_a_defect_keeps_its_type_and_traceback(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a defect") as error:
        spread(fails, 3, 2, tmp_path)
    assert "in fails" in error.value.__notes__[0]
    with pytest.raises(TypeError, match="pickle"):
        spread(unpicklable, 1, 1, tmp_path)


def test_a_worker_that_is_killed(tmp_path: Path) -> None:
    with pytest.raises(workers.LostWorker, match="ended by signal SIGKILL") as error:
        spread(dies, 2, 2, tmp_path)
    assert "--workers 1" in (error.value.hint or "")


def dies_of_a_signal_without_a_name(_: object) -> None:
    os.kill(os.getpid(), signal.SIGRTMIN + 1)


def test_a_worker_that_is_killed_by_a_signal_without_a_name(tmp_path: Path) -> None:
    with pytest.raises(workers.LostWorker, match=f"ended by signal {signal.SIGRTMIN + 1}$"):
        spread(dies_of_a_signal_without_a_name, 2, 1, tmp_path)


class Unreadable:
    """An answer that cannot be unpickled by who gets it, only by who made it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return only_there, (os.getpid(),)


def only_there(maker: int) -> None:
    if os.getpid() != maker:
        raise ArithmeticError("not here")


def answers_unreadably(_: object) -> Any:
    return Unreadable()


def test_whatever_fails_between_the_processes_ends_the_wait(tmp_path: Path) -> None:
    with pytest.raises(workers.LostWorker, match=r"no answer.*ArithmeticError: not here"):
        spread(answers_unreadably, 2, 2, tmp_path)
    with pytest.raises(workers.LostWorker, match="could not be given a task"):
        list(workers.each_done(prints, [threading.Lock()], 1, tmp_path))


@pytest.mark.parametrize("number", [0, -1])
def test_less_than_one_worker(number: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least one"):
        read(run_of(tmp_path / "run"), workers=number)


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Python's own handler, also where the tests run in the background of a shell, which has them ignore interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_work_that_is_given_up(tmp_path: Path) -> None:
    done = workers.each_done(sleeps, [1, 2, 3], 2, tmp_path)
    stop = threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT))
    stop.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        next(done)
    assert time.monotonic() - began < 30


PARENT = """
import sys, tempfile
from pathlib import Path
from etgraph.model import workers
tempfile.tempdir = {temp!r}
from etgraph.ingest.scratch import Scratch
sys.path.insert(0, {tests!r})
from ingest.test_parallel import sleeps
scratch = Scratch()
print(scratch.path, flush=True)
for _ in workers.each_done(sleeps, [1, 2], 2, scratch.path):
    pass
"""


def test_a_parent_that_is_killed_leaves_nothing(own_temp: Path) -> None:
    code = PARENT.format(temp=str(own_temp), tests=str(Path(__file__).parents[1]))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        folder = Path(parent.stdout.readline().decode().strip())
        until = time.monotonic() + 60
        while len(list(folder.glob("worker-*"))) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        children = psutil.Process(parent.pid).children()
        assert len(children) == 2
        parent.kill()
    psutil.wait_procs(children, timeout=30)
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    assert list(own_temp.iterdir()) == []


# Drafts in folders


def a_draft(tmp_path: Path, rank: int = 1) -> Draft:
    info = {"rank": rank, "world_size": 4}
    path = write(tmp_path / f"{rank}.json", cpu("é", 10, 11), cpu("b", 12, 13), distributedInfo=info)
    place = Place(path)
    with discover(path) as found:
        (file,) = found.files
    return read_rank(RankTask(RankFiles(rank, device=replace(file, place=place)), Options(), None))


def test_a_draft_comes_back_as_it_was(tmp_path: Path) -> None:
    draft = a_draft(tmp_path)
    save_draft(draft, tmp_path / "saved")
    assert is_whole(tmp_path / "saved")
    back = load_draft(tmp_path / "saved")
    assert_same(back.trace, draft.trace)
    assert {name: ids.tolist() for name, ids in back.ids.items()} == {n: i.tolist() for n, i in draft.ids.items()}
    assert {"correlation", "external", "record_function", "sequence"} <= set(back.ids)


def test_a_damaged_draft_is_not_trusted(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    for name in ["ids.arrow", "operators.arrow", "facts.json", "attributes-0.arrow", CONTENTS]:
        save_draft(a_draft(tmp_path), folder)
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(bytes(data))
        assert not is_whole(folder), name
        (folder / name).unlink()
        assert not is_whole(folder), name
    with pytest.raises(CorruptStore):
        load_draft(folder)
    assert not is_whole(tmp_path / "nothing")


def test_ids_are_joined_with_their_operators(tmp_path: Path) -> None:
    drafts = [a_draft(tmp_path, rank) for rank in (2, 0, 1)]
    drafts[0] = replace(drafts[0], ids={"correlation": np.array([21, 22])})
    drafts[1] = replace(drafts[1], ids={"correlation": np.array([1, 2]), "sequence": np.array([5, 6])})
    drafts[2] = replace(drafts[2], ids={})
    joined = join(drafts)
    assert joined.trace.ranks == (0, 1, 2)
    assert {name: ids.tolist() for name, ids in joined.ids.items()} == {
        "correlation": [1, 2, NULL, NULL, 21, 22],
        "sequence": [5, 6, NULL, NULL, NULL, NULL],
    }
    with pytest.raises(EtgraphError, match="rank 1 occurs in two"):
        join([drafts[2], drafts[2]])


# Going on


def tasks_of(folder: Path) -> list[RankTask]:
    with discover(folder) as found:
        return [RankTask(rank, Options(), None) for rank in found.one_run().ranks]


def broken_off(folder: Path, store: Path, *, resume: bool = False) -> None:
    """Read all ranks, and fail afterwards."""

    def fail() -> None:
        with KeptRanks(store, resume=resume) as ranks:
            read(folder, workers=1, kept=ranks)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        fail()


def ranks_read(folder: Path, store: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> list[int]:
    """The ranks that are read again by a reading that goes on."""
    found: list[int] = []

    def noted(task: RankTask) -> Draft:
        found.append(task.files.rank)
        return read_rank(task)

    expected = read(folder, **options)
    with monkeypatch.context() as patch:
        patch.setattr(kept, "read_rank", noted)
        with KeptRanks(store, resume=True) as ranks:
            assert_same(read(folder, workers=1, kept=ranks, **options), expected)
    return found


def test_finished_ranks_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, store = run_of(tmp_path / "run"), tmp_path / "kept"
    broken_off(folder, store)
    assert len(list(store.glob("[0-9a-f]*"))) == 3
    assert ranks_read(folder, store, monkeypatch) == []
    assert list(store.glob("[0-9a-f]*")) == []  # the reading is done
    assert ranks_read(folder, store, monkeypatch) == [0, 1, 2]


def test_ranks_of_an_archive_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its members lie in other temporary files each time, of the same bytes."""
    members = {file.name: file.read_bytes() for file in run_of(tmp_path / "run").iterdir()}
    archive = tmp_path / "run.tar.gz"
    archive.write_bytes(WAYS["run.tar.gz"](members))
    broken_off(archive, tmp_path / "kept")
    assert ranks_read(archive, tmp_path / "kept", monkeypatch) == []


def test_a_changed_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, store = run_of(tmp_path / "run"), tmp_path / "kept"
    broken_off(folder, store)
    text = (folder / "1.json").read_text()
    (folder / "1.json").write_text(text.replace("op 1", "op X"))
    assert len((folder / "1.json").read_text()) == len(text)
    assert ranks_read(folder, store, monkeypatch) == [1]


def test_other_options_names_or_revisions_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, store = run_of(tmp_path / "run"), tmp_path / "kept"
    broken_off(folder, store)
    assert ranks_read(folder, store, monkeypatch, iteration="step*") == [0, 1, 2]
    (folder / "0.json").rename(folder / "zero.json")
    broken_off(folder, store, resume=True)
    keys = {key_of(task) for task in tasks_of(folder)}
    monkeypatch.setattr(kept, "REVISION", kept.REVISION + 1)
    assert keys.isdisjoint(key_of(task) for task in tasks_of(folder))
    assert ranks_read(folder, store, monkeypatch) == [0, 1, 2]


def test_without_resume_all_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, store = run_of(tmp_path / "run"), tmp_path / "kept"
    broken_off(folder, store)
    monkeypatch.setattr(kept, "is_whole", None)
    with KeptRanks(store) as ranks:
        read(folder, workers=1, kept=ranks)


def test_what_is_damaged_or_half_written_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, store = run_of(tmp_path / "run"), tmp_path / "kept"
    broken_off(folder, store)
    tasks = tasks_of(folder)
    operators = store / key_of(tasks[1]) / "operators.arrow"
    data = bytearray(operators.read_bytes())
    data[-100] ^= 255
    operators.write_bytes(bytes(data))
    (store / key_of(tasks[2])).rename(store / f"{key_of(tasks[2])}.partial-1")
    assert ranks_read(folder, store, monkeypatch) == [1, 2]
    assert list(store.glob("[0-9a-f]*")) == []


def test_what_is_old_goes(tmp_path: Path) -> None:
    folder, store = run_of(tmp_path / "run"), tmp_path / "kept"
    broken_off(folder, store)
    old = time.time() - (kept.DAYS + 1) * 86_400
    (first, *_) = store.glob("[0-9a-f]*")
    os.utime(first, (old, old))
    with KeptRanks(store, resume=True):
        assert len(list(store.glob("[0-9a-f]*"))) == 2
    assert not first.exists()


def test_what_is_counted_is_of_this_reading(tmp_path: Path) -> None:
    folder, store = run_of(tmp_path / "run"), tmp_path / "kept"
    broken_off(folder, store)
    (folder / "2.json").write_text("text")
    for resume in (False, True):
        ranks = KeptRanks(store, resume=resume)
        with pytest.raises(InputError), ranks:
            read(folder, kept=ranks)
        assert ranks.count() == 0
    (folder / "2.json").write_text('{"distributedInfo": {"rank": 2, "world_size": 3}, "traceEvents": [1]}')
    with pytest.raises(InputError), ranks:
        read(folder, workers=1, kept=ranks)
    assert ranks.count() == 2


@pytest.mark.parametrize("count", [1, 2])
def test_a_folder_that_fails_in_the_middle_keeps_nothing(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, store = run_of(tmp_path / "run"), tmp_path / "kept"
    expected = read(folder)
    with KeptRanks(store) as ranks:
        for task in tasks_of(folder):
            # What lies where a rank is put together, and is no folder, is in the way even of root.
            (store / key_of(task)).write_text("")
        assert_same(read(folder, workers=count, kept=ranks), expected)
        assert ranks.count() == 0
    save = kept.save_draft

    def full(draft: Draft, target: Path) -> None:
        if target.parent == store:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(draft, target)

    monkeypatch.setattr(kept, "save_draft", full)
    with KeptRanks(store) as ranks:
        assert_same(read(folder, workers=1, kept=ranks), expected)


def test_a_second_reading_at_once_keeps_nothing(tmp_path: Path) -> None:
    folder, store = run_of(tmp_path / "run"), tmp_path / "kept"
    expected = read(folder)
    with KeptRanks(store) as first, KeptRanks(store, resume=True) as second:
        assert (first.taken, second.taken) == (False, True)
        assert_same(read(folder, kept=second), expected)
        assert first.count() == 0


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with KeptRanks(tmp_path / "file/kept") as ranks:
        assert ranks.taken
        assert_same(read(run_of(tmp_path / "run"), kept=ranks), read(tmp_path / "run"))


def test_a_rank_whose_file_went_away(tmp_path: Path) -> None:
    (first, *_) = tasks_of(run_of(tmp_path / "run"))
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(InputError, match=r"0\.json: found No such file or directory"):
        read_into_folder(KeepingTask(first, tmp_path / "new", tmp_path / "kept"))


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run_of(tmp_path / "run")

    def changing(task: RankTask) -> Draft:
        draft = read_rank(task)
        (folder / "0.json").write_text("{}")
        return draft

    monkeypatch.setattr(kept, "read_rank", changing)
    with pytest.raises(InputError, match=r"0\.json: found other bytes than before"):
        read_into_folder(KeepingTask(tasks_of(folder)[0], tmp_path / "new", tmp_path / "kept"))
    assert not (tmp_path / "kept").exists()
