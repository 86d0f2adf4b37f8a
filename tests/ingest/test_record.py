"""Recording: a run of two ranks that records itself, and what becomes of recordings that go wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from collections import Counter
from pathlib import Path
from typing import Any

import lazy_loader
import pytest

from etgraph.ingest import read
from etgraph.ingest.linking import Identity
from etgraph.ingest.record import record
from etgraph.ingest.record.observers import MINIMUM, _experimental_config, import_torch
from etgraph.ingest.record.place import Place
from etgraph.ingest.record.recording import Plan
from etgraph.ingest.record.world import find_world
from etgraph.model import CommType
from etgraph.model.errors import InputError, RecordingError, UsageError
from support import record_cases, torch_environment, train
from support.recorded import HERE, WORLD_SIZE, document, execution_trace_ids, finish, kineto_ids
from support.torch_environment import TorchPython

RANKS = range(WORLD_SIZE)
STEPS = [f"ProfilerStep#{train.WAIT + train.WARMUP + step}" for step in range(train.STEPS)]


def test_every_rank_adds_its_two_files_and_nothing_else(recorded_run: Path) -> None:
    names = sorted(path.name for path in recorded_run.iterdir())
    assert names == sorted(f"{kind}_rank{rank}.json.gz" for kind in ("et", "kineto") for rank in RANKS)


@pytest.mark.parametrize("rank", RANKS)
def test_both_traces_hold_the_same_operators_under_the_same_ids(rank: int, recorded_run: Path) -> None:
    kineto = kineto_ids(document(recorded_run / f"kineto_rank{rank}.json.gz"))
    execution_trace = execution_trace_ids(document(recorded_run / f"et_rank{rank}.json.gz"))
    assert len(kineto) > 500
    linked = [id for id, name in kineto.items() if execution_trace.get(id) == name]
    assert len(linked) >= 0.99 * max(len(kineto), len(execution_trace))
    # The observer writes this one itself, before the profiler listens.
    assert {execution_trace[id] for id in execution_trace.keys() - kineto.keys()} <= {"## process_group:init ##"}


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("kind", ["et", "kineto"])
def test_each_file_is_read_as_its_rank_with_the_planned_steps(kind: str, rank: int, recorded_run: Path) -> None:
    trace = read(recorded_run / f"{kind}_rank{rank}.json.gz")
    assert [source.rank for source in trace.metadata.sources] == [rank]
    assert trace.metadata.world_size == WORLD_SIZE
    assert [trace.iterations.value("name", row) for row in range(len(trace.iterations))] == STEPS


@pytest.mark.parametrize("rank", RANKS)
def test_the_run_communicated_in_every_step(rank: int, recorded_run: Path) -> None:
    names = list(kineto_ids(document(recorded_run / f"kineto_rank{rank}.json.gz")).values())
    for name in ("c10d::allreduce_", "c10d::allgather_", "c10d::recv_" if rank % 2 else "c10d::send"):
        assert names.count(name) >= train.STEPS, name


def test_ranks_and_groups_are_in_the_files(recorded_run: Path) -> None:
    for rank in RANKS:
        kineto = document(recorded_run / f"kineto_rank{rank}.json.gz")
        assert kineto["distributedInfo"]["rank"] == rank
        assert kineto["distributedInfo"]["pg_config"][0]["ranks"] == list(RANKS)
        about = kineto["etgraph"]
        assert (about["rank"], about["world_size"], about["rank_from"]) == (rank, WORLD_SIZE, "torch.distributed")
        assert (about["first_step"], about["steps"]) == (train.WAIT + train.WARMUP, train.STEPS)


def test_the_folder_becomes_one_linked_trace(recorded_run: Path) -> None:
    trace = read(recorded_run)
    trace.validate()
    assert trace.ranks == tuple(RANKS)
    assert trace.metadata.report.pairs == dict.fromkeys(RANKS, Identity.SAME)
    report = trace.metadata.report
    truth = sum(
        len(kineto_ids(document(recorded_run / f"kineto_rank{r}.json.gz")).keys()
            & execution_trace_ids(document(recorded_run / f"et_rank{r}.json.gz")).keys())
        for r in RANKS
    )  # fmt: skip
    assert report.linked_operators == truth
    assert report.counts["recordsOfHostFile"] == truth
    assert report.collectives_unmatched == 0
    found = Counter(trace.collectives.value("type", row) for row in range(len(trace.collectives)))
    assert found[CommType.ALL_GATHER] == train.STEPS
    assert found[CommType.ALL_REDUCE] >= train.STEPS
    assert report.counts["messagesMatched"] == train.STEPS


@pytest.fixture(scope="module")
def outcomes(torch_python: TorchPython, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """How each of the cases failed, if it did."""
    folder = tmp_path_factory.mktemp("cases")
    (printed,) = finish([torch_python.start(HERE / "record_cases.py", str(folder))])
    found: dict[str, str] = json.loads(printed)
    return found


@pytest.mark.parametrize("case", record_cases.CASES)
def test_in_one_process(case: str, outcomes: dict[str, str]) -> None:
    assert not outcomes[case], outcomes[case]


def test_importing_it_loads_nothing_that_is_installed(tmp_path: Path) -> None:
    """Nothing but what loads the rest late: without the folders of installed packages the import of one fails."""
    (tmp_path / "lazy_loader").symlink_to(Path(lazy_loader.__file__).parent)
    code = "import etgraph.ingest.record, sys; assert 'torch' not in sys.modules"
    path = os.pathsep.join((str(tmp_path), torch_environment.SOURCES))
    command = [sys.executable, "-S", "-c", code]
    done = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_pytorch_it_says_how_to_come_by_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # type: ignore[arg-type]
    with pytest.raises(RecordingError, match="not installed") as caught, record(tmp_path / "run"):
        raise AssertionError("unreachable")
    assert "etgraph[torch]" in str(caught.value.hint)
    assert not (tmp_path / "run").exists()


def test_a_pytorch_that_lacks_a_library_says_which(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise OSError('libcudart.so.13: no such file')", "utf-8")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RecordingError, match=r"cannot be imported: libcudart\.so\.13"):
        import_torch()


def fake_torch(version: str, kineto: bool = True) -> dict[str, Any]:
    """Modules that look like PyTorch's as far as its version is looked at."""
    torch: Any = types.ModuleType("torch")
    torch.__version__ = version
    torch.__path__ = []
    torch.distributed, torch.profiler = types.ModuleType("torch.distributed"), types.ModuleType("torch.profiler")
    torch.profiler.kineto_available = lambda: kineto
    return {"torch": torch, "torch.distributed": torch.distributed, "torch.profiler": torch.profiler}


@pytest.mark.parametrize("version", ["1.13.1", "2.3.1+cu121", "unknown"])
def test_a_pytorch_without_common_ids_is_refused(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in fake_torch(version).items():
        monkeypatch.setitem(sys.modules, name, module)
    with pytest.raises(RecordingError, match=rf"found PyTorch {version.replace('+', '.')}, expected 2\.4 or newer"):
        import_torch()


@pytest.mark.parametrize("version", ["2.4.0", "2.4.0a0+gitabc", "2.15.0+cu132", "3.0"])
def test_newer_ones_are_taken(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in fake_torch(version).items():
        monkeypatch.setitem(sys.modules, name, module)
    assert import_torch().__version__ == version


def test_a_pytorch_without_kineto_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in fake_torch("2.15.0", kineto=False).items():
        monkeypatch.setitem(sys.modules, name, module)
    with pytest.raises(RecordingError, match="without Kineto"):
        import_torch()


@pytest.mark.parametrize(
    ("asked", "release", "available", "expected"),
    [
        (True, "12.1", True, {"enable_cuda_sync_events": True}),
        (False, "12.1", True, None),
        (True, "12.1", False, None),
        (True, None, True, None),  # ROCm, whose devices PyTorch calls CUDA's
    ],
)
def test_waits_are_recorded_where_there_is_cuda(
    asked: bool, release: str | None, available: bool, expected: dict[str, bool] | None
) -> None:
    torch = fake_torch("2.15.0")["torch"]
    torch.cuda, torch.version = types.SimpleNamespace(is_available=lambda: available), types.SimpleNamespace()
    torch.version.cuda = release
    torch.profiler._ExperimentalConfig = dict
    assert _experimental_config(torch, asked) == expected


def test_a_pytorch_that_knows_no_waits_records_the_rest() -> None:
    torch = fake_torch("2.15.0")["torch"]
    torch.cuda, torch.version = types.SimpleNamespace(is_available=lambda: True), types.SimpleNamespace(cuda="12.1")
    torch.profiler._ExperimentalConfig = lambda: None
    assert _experimental_config(torch, True) is None


def test_the_extra_asks_for_what_recording_needs() -> None:
    import tomllib

    project = tomllib.loads((torch_environment.ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["optional-dependencies"]["torch"] == [f"torch>={MINIMUM[0]}.{MINIMUM[1]}"]


def test_a_plan_names_the_steps() -> None:
    plan = Plan(wait=1, warmup=2, steps=3)
    actions = ["NONE", "WARMUP", "WARMUP", "RECORD", "RECORD", "RECORD_AND_SAVE", "NONE", "NONE"]
    assert [plan.action(step) for step in range(8)] == actions


@pytest.mark.parametrize("plan", [(-1, 0, 1), (0, -1, 1), (0, 0, 0)])
def test_a_plan_without_steps_is_refused(plan: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError, match=f"wait={plan[0]}, warmup={plan[1]}, steps={plan[2]}"):
        Plan(*plan)


class Group:
    """What `torch.distributed` tells of ranks."""

    def __init__(self, rank: int | None = None, size: int | None = None) -> None:
        self.rank, self.size = rank, size

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return self.rank is not None

    def get_rank(self) -> int | None:
        return self.rank

    def get_world_size(self) -> int | None:
        return self.size


TORCHRUN = {"RANK": "2", "WORLD_SIZE": "4"}


@pytest.mark.parametrize(
    ("group", "arguments", "environment", "expected"),
    [
        (Group(), (None, None), {}, (0, 1, "default")),
        (Group(), (None, None), TORCHRUN, (2, 4, "RANK and WORLD_SIZE")),
        (Group(), (3, 8), TORCHRUN, (3, 8, "the arguments")),
        (Group(1, 4), (None, None), TORCHRUN, (1, 4, "torch.distributed")),
        (Group(1, 4), (1, 4), {}, (1, 4, "torch.distributed")),
        (Group(), (None, None), {"RANK": "2"}, (0, 1, "default")),
        # A batch script of Slurm's is one process, whatever it will start.
        (Group(), (None, None), {"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, (0, 1, "default")),
        (
            Group(),
            (None, None),
            {"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8"},
            (5, 8, "SLURM_PROCID and SLURM_STEP_NUM_TASKS"),
        ),
    ],
)
def test_the_rank_comes_from_who_knows_best(
    group: Group,
    arguments: tuple[int | None, int | None],
    environment: dict[str, str],
    expected: tuple[int, int, str],
) -> None:
    world = find_world(group, *arguments, environment)
    assert (world.rank, world.size, world.source) == expected


@pytest.mark.parametrize(
    ("group", "arguments", "environment", "words"),
    [
        (Group(), (1, None), {}, "expected both or none"),
        (Group(), (4, 4), {}, "rank 4 of 4 in the arguments"),
        (Group(1, 4), (2, 4), {}, "expected rank 1 of 4, as torch.distributed says"),
        (Group(), (None, None), {"RANK": "first", "WORLD_SIZE": "4"}, "RANK=first"),
        (Group(), (None, None), {"RANK": "4", "WORLD_SIZE": "4"}, "rank 4 of 4 in RANK and WORLD_SIZE"),
    ],
)
def test_a_rank_that_cannot_be_is_refused(
    group: Group, arguments: tuple[int | None, int | None], environment: dict[str, str], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        find_world(group, *arguments, environment)


def place_of(folder: Path, *, rank: int = 0, size: int = 2, compress: bool = False, overwrite: bool = False) -> Place:
    """An open place that PyTorch has written to."""
    place = Place(folder, rank, size, compress=compress, overwrite=overwrite)
    place.open()
    place.execution_trace.write_text('{"nodes": []}\n', "utf-8")
    place.kineto.write_text('{"traceEvents": []}', "utf-8")
    return place


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_nothing_is_seen_before_both_files_are_whole(tmp_path: Path) -> None:
    place = place_of(tmp_path)
    assert names(tmp_path) == [".etgraph-recording-rank0"]
    with pytest.raises(InputError, match="no file that may be a trace"):
        read(tmp_path)
    place.publish()
    place.close()
    assert names(tmp_path) == ["et_rank0.json", "kineto_rank0.json"]


@pytest.mark.parametrize("text", [None, "", '{"nodes": [{"id": 1'])
@pytest.mark.parametrize("which", ["execution_trace", "kineto"])
def test_a_file_that_is_not_whole_leaves_neither(which: str, text: str | None, tmp_path: Path) -> None:
    place = place_of(tmp_path)
    path: Path = getattr(place, which)
    path.unlink()
    if text is not None:
        path.write_text(text, "utf-8")
    with pytest.raises(RecordingError, match=rf"no whole {path.name}"):
        place.publish()
    place.close()
    assert names(tmp_path) == []


def test_the_second_file_in_the_way_takes_the_first_with_it(tmp_path: Path) -> None:
    place = place_of(tmp_path, compress=True)
    (tmp_path / "kineto_rank0.json.gz" / "in the way").mkdir(parents=True)
    place._overwrite = True
    with pytest.raises(RecordingError, match="cannot be written"):
        place.publish()
    place.close()
    assert names(tmp_path) == ["kineto_rank0.json.gz"]


@pytest.mark.parametrize("old", ["et_rank0.json", "et_rank0.json.gz", "kineto_rank0.json", "kineto_rank0.json.gz"])
def test_files_of_the_rank_are_in_the_way(old: str, tmp_path: Path) -> None:
    (tmp_path / old).touch()
    with pytest.raises(RecordingError, match=f"{old} exists"):
        Place(tmp_path, 0, 2, compress=True, overwrite=False).open()
    place = place_of(tmp_path, compress=True, overwrite=True)
    place.publish()
    place.close()
    assert names(tmp_path) == ["et_rank0.json.gz", "kineto_rank0.json.gz"]


def test_files_of_other_ranks_are_not_in_the_way(tmp_path: Path) -> None:
    for name in ("et_rank1.json.gz", "kineto_rank1.json.gz", "notes_rank0.json", "et_rank01.json.zip"):
        (tmp_path / name).touch()
    place_of(tmp_path).close()


def test_files_of_a_larger_run_are(tmp_path: Path) -> None:
    (tmp_path / "et_rank2.json.gz").touch()
    with pytest.raises(RecordingError, match="files of rank 2, expected ranks of a world of 2"):
        Place(tmp_path, 0, 2, compress=True, overwrite=True).open()


def test_two_processes_of_one_rank_are_told(tmp_path: Path) -> None:
    first = place_of(tmp_path)
    with pytest.raises(RecordingError, match="another process records rank 0"):
        Place(tmp_path, 0, 2, compress=True, overwrite=False).open()
    place_of(tmp_path, rank=1).close()
    first.publish()
    first.close()
    assert names(tmp_path) == ["et_rank0.json", "kineto_rank0.json"]


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path: Path) -> None:
    left = tmp_path / ".etgraph-recording-rank0"
    left.mkdir()
    for name in ("lock", "et_rank0.json"):
        (left / name).write_text("half", "utf-8")
    place = Place(tmp_path, 0, 2, compress=False, overwrite=False)
    place.open()
    with pytest.raises(RecordingError, match="no whole et_rank0"):
        place.publish()
    place.close()
    assert names(tmp_path) == []


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(RecordingError, match="run cannot be written"):
        Place(tmp_path / "run", 0, 1, compress=True, overwrite=False).open()
