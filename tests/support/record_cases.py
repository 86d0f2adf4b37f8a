"""What recordings in one process do, in turn: a program for an interpreter with PyTorch, and the list of its cases.

    python record_cases.py FOLDER

prints a JSON object: the cases' names, each with nothing or with how it failed.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Case = Callable[[Path], None]
CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    """Add a case, which gets an empty folder of its own."""
    CASES[function.__name__] = function
    return function


def work() -> None:
    """A step of something."""
    import torch

    weight = torch.ones(4, 4, requires_grad=True)
    (weight @ torch.ones(4, 2)).sum().backward()


def names(folder: Path) -> list[str]:
    """What lies in a folder, hidden things too."""
    return sorted(path.name for path in folder.iterdir())


def kineto(path: Path) -> Any:
    """A Kineto trace that is not compressed."""
    return json.loads(path.read_text("utf-8"))


def steps_in(path: Path) -> list[str]:
    """Step annotations of a Kineto trace."""
    events = [event for event in kineto(path)["traceEvents"] if event.get("cat") == "user_annotation"]
    return [event["name"] for event in events if event["name"].startswith("ProfilerStep#")]


@contextmanager
def refused(*words: str) -> Iterator[None]:
    """A block that must raise a RecordingError with these words."""
    from etgraph.model.errors import RecordingError

    try:
        yield
    except RecordingError as error:
        text = f"{error} {error.hint}"
        assert all(word in text for word in words), text
    else:
        raise AssertionError("it was not refused")


@contextmanager
def warned(*words: str) -> Iterator[None]:
    """A block that must warn once, of a recording, with these words."""
    from etgraph.ingest.record import RecordingWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    texts = [str(each.message) for each in caught if issubclass(each.category, RecordingWarning)]
    assert len(texts) == 1, texts
    assert all(word in texts[0] for word in words), texts[0]


def train(recording: Any, steps: int) -> None:
    """Some steps."""
    for _ in range(steps):
        work()
        recording.step()


@case
def only_the_planned_steps_are_recorded(folder: Path) -> None:
    from etgraph.ingest.record import record

    with record(folder / "new" / "er", wait=2, warmup=1, steps=2, compress=False) as recording:
        train(recording, 4)
        assert recording.active
        assert recording.files == ()
        train(recording, 1)
        assert not recording.active
        assert [path.name for path in recording.files] == ["et_rank0.json", "kineto_rank0.json"]
        train(recording, 3)
    assert names(folder / "new" / "er") == ["et_rank0.json", "kineto_rank0.json"]
    assert steps_in(recording.files[1]) == ["ProfilerStep#3", "ProfilerStep#4"]
    about = kineto(recording.files[1])["etgraph"]
    assert (about["rank"], about["world_size"], about["rank_from"]) == (0, 1, "default")
    assert (about["first_step"], about["steps"]) == (3, 2)


@case
def a_block_without_steps_is_one(folder: Path) -> None:
    from etgraph.ingest.record import record

    with record(folder, wait=0, warmup=0, steps=1) as recording:
        work()
    assert names(folder) == ["et_rank0.json.gz", "kineto_rank0.json.gz"]
    assert recording.error is None


@case
def options_reach_the_profiler(folder: Path) -> None:
    from etgraph.ingest.record import record

    plain = {"wait": 0, "warmup": 0, "steps": 1, "compress": False}
    with record(folder / "more", **plain, with_stack=True, profile_memory=True) as more:
        work()
    with record(folder / "less", **plain, record_shapes=False) as less:
        work()
    events, fewer = (kineto(recording.files[1])["traceEvents"] for recording in (more, less))
    assert any(event.get("cat") == "python_function" for event in events)
    assert any(event["name"] == "[memory]" for event in events)
    assert any("Input Dims" in event.get("args", {}) for event in events)
    assert not any(event.get("cat") == "python_function" for event in fewer)
    assert not any(event["name"] == "[memory]" for event in fewer)
    assert not any("Input Dims" in event.get("args", {}) for event in fewer)


@case
def this_pytorch_can_record_waits_on_cuda(folder: Path) -> None:
    from types import SimpleNamespace

    import torch

    from etgraph.ingest.record.observers import _experimental_config

    cuda = SimpleNamespace(is_available=lambda: True)
    here = SimpleNamespace(cuda=cuda, version=SimpleNamespace(cuda="13.2"), profiler=torch.profiler)
    config = _experimental_config(here, True)
    assert config is not None
    with torch.profiler.profile(experimental_config=config):
        work()


@case
def a_launcher_tells_the_rank(folder: Path) -> None:
    from etgraph.ingest.record import record

    os.environ.update(RANK="3", WORLD_SIZE="8")
    try:
        with record(folder, wait=0, warmup=0, steps=1, compress=False) as recording:
            work()
    finally:
        del os.environ["RANK"], os.environ["WORLD_SIZE"]
    assert names(folder) == ["et_rank3.json", "kineto_rank3.json"]
    assert kineto(recording.files[1])["distributedInfo"] == {"rank": 3, "world_size": 8}


@case
def a_rank_that_changes_is_no_recording(folder: Path) -> None:
    import torch.distributed as dist

    from etgraph.ingest.record import record

    plan = {"wait": 1, "warmup": 0, "steps": 1}
    with warned("rank 1 of 2", "initialise"), record(folder, **plan, rank=1, world_size=2) as recording:
        work()
        dist.init_process_group("gloo", init_method=(folder / "meet").as_uri(), rank=0, world_size=1)
        train(recording, 2)
    dist.destroy_process_group()
    assert [name for name in names(folder) if name != "meet"] == []


@case
def an_exception_leaves_no_half_of_a_step(folder: Path) -> None:
    from etgraph.ingest.record import record

    for own in (ValueError(), KeyboardInterrupt()):
        raised: BaseException | None = None
        try:
            with record(folder, wait=0, warmup=0, steps=2) as recording:
                train(recording, 1)
                raise own
        except (ValueError, KeyboardInterrupt) as error:
            raised = error
        assert raised is own
        assert names(folder) == []
    with record(folder, wait=0, warmup=0, steps=1) as recording:
        train(recording, 1)
    assert len(names(folder)) == 2


@case
def an_exception_after_the_last_step_costs_nothing(folder: Path) -> None:
    from etgraph.ingest.record import record

    try:
        with record(folder, wait=0, warmup=1, steps=1) as recording:
            train(recording, 2)
            raise ValueError
    except ValueError:
        pass
    assert names(folder) == ["et_rank0.json.gz", "kineto_rank0.json.gz"]


@case
def too_few_steps_are_told(folder: Path) -> None:
    from etgraph.ingest.record import record

    with warned("nothing was recorded", "2 steps", "expected 6"), record(folder / "none") as recording:
        train(recording, 1)
    assert names(folder / "none") == []
    assert recording.error is not None
    with warned("2 steps to record, expected 3"), record(folder / "some", wait=0, warmup=1) as recording:
        train(recording, 2)
    assert len(names(folder / "some")) == 2
    assert recording.error is None


@case
def another_profiler_is_left_alone(folder: Path) -> None:
    import torch

    from etgraph.ingest.record import record

    def measured(profiler: Any) -> bool:
        return any(event.key == "aten::mm" for event in profiler.key_averages())

    cpu = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=cpu) as profiler:
        work()
        with refused("another profiler is running"), record(folder):
            raise AssertionError("unreachable")
    assert measured(profiler)
    plan = {"wait": 1, "warmup": 1, "steps": 1}
    later = torch.profiler.profile(activities=cpu)
    with warned("another profiler is running"), record(folder, **plan) as recording, later:
        train(recording, 3)
    assert measured(later)
    assert names(folder) == []


@case
def another_observer_is_left_alone(folder: Path) -> None:
    import torch

    from etgraph.ingest.record import record

    other = torch.profiler.ExecutionTraceObserver()
    other.register_callback(str(folder / "other.json"))
    other.start()
    with refused("ExecutionTraceObserver"), record(folder):
        raise AssertionError("unreachable")
    work()
    other.stop()
    other.unregister_callback()
    nodes = json.loads((folder / "other.json").read_text("utf-8"))["nodes"]
    assert any(node["name"] == "aten::mm" for node in nodes)
    assert all(name.startswith("other") for name in names(folder))


@case
def files_in_the_way_stay(folder: Path) -> None:
    from etgraph.ingest.record import record

    old = folder / "kineto_rank0.json"
    old.write_text("old", "utf-8")
    with refused("kineto_rank0.json exists", "overwrite"), record(folder):
        raise AssertionError("unreachable")
    assert old.read_text("utf-8") == "old"
    with record(folder, wait=0, warmup=0, steps=1, overwrite=True):
        assert old.read_text("utf-8") == "old"
        work()
    assert names(folder) == ["et_rank0.json.gz", "kineto_rank0.json.gz"]


@case
def a_rank_is_recorded_once(folder: Path) -> None:
    from etgraph.ingest.record import record

    with record(folder, wait=0, warmup=0, steps=1):
        with refused("another process records rank 0", "torchrun"), record(folder):
            raise AssertionError("unreachable")
        work()
    assert len(names(folder)) == 2


@case
def a_folder_that_goes_stops_no_training(folder: Path) -> None:
    import shutil

    from etgraph.ingest.record import record

    with warned("is not recorded"), record(folder / "gone", wait=0, warmup=0, steps=1) as recording:
        work()
        shutil.rmtree(folder / "gone")
        train(recording, 2)
    assert recording.files == ()
    assert recording.error is not None


def main(folder: Path) -> None:
    """Run every case."""
    import torch

    torch.set_num_threads(1)
    failures = {}
    for name, function in CASES.items():
        place = folder / name
        place.mkdir(parents=True)
        try:
            function(place)
        except Exception:
            failures[name] = traceback.format_exc()
        else:
            failures[name] = ""
    print(json.dumps(failures))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
