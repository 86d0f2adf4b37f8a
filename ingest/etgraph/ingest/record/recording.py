"""The block itself: which steps are recorded, and what becomes of them when the block ends."""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from etgraph.ingest.record.observers import Observers, import_torch
from etgraph.ingest.record.place import Place
from etgraph.ingest.record.world import World, find_world, initialised
from etgraph.model.errors import RecordingError, UsageError


class RecordingWarning(UserWarning):
    """A recording that is not what was asked for. The training goes on."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which steps, counted from 0, are recorded: after `wait` that are left alone and `warmup` that warm the profiler.

    Raises UsageError for a plan without steps.
    """

    wait: int
    warmup: int
    steps: int

    def __post_init__(self) -> None:
        if self.wait < 0 or self.warmup < 0 or self.steps < 1:
            found = f"wait={self.wait}, warmup={self.warmup}, steps={self.steps}"
            raise UsageError(f"found {found}, expected at least 0, 0 and 1")

    @property
    def first(self) -> int:
        """The first step that is recorded."""
        return self.wait + self.warmup

    @property
    def last(self) -> int:
        """The last step that is recorded."""
        return self.first + self.steps - 1

    def action(self, step: int) -> str:
        """The name of the profiler's action for a step."""
        if step < self.wait or step > self.last:
            return "NONE"
        if step < self.first:
            return "WARMUP"
        return "RECORD" if step < self.last else "RECORD_AND_SAVE"


class Recording:
    """One rank's recording. `step` tells it where a step ends; all else it does by itself.

    Once the block has begun, nothing here stops the training: what goes wrong is a `RecordingWarning`, and `error`.
    """

    def __init__(self, torch: Any, plan: Plan, place: Place, world: World, options: dict[str, bool]) -> None:
        self.plan = plan
        self.rank, self.world_size, self.folder = world.rank, world.size, place.folder
        self.files: tuple[Path, ...] = ()
        """Execution trace and Kineto trace, once both are in place."""
        self.error: RecordingError | None = None
        """Why there are no files, where something went wrong."""
        self._torch, self._place, self._world = torch, place, world
        self._step = 0
        place.open()
        try:
            self._observers: Observers | None = Observers(torch, plan.action, place.execution_trace, **options)
            self._observers.say("etgraph", _about(torch, plan, world, options))
            self._before_recording(self._observers)
            self._observers.start()
        except BaseException:
            self._close()
            raise

    @property
    def active(self) -> bool:
        """Whether the steps to record are still to come or under way."""
        return self._observers is not None

    def step(self) -> None:
        """The step that was under way has ended; after the last one to record, the files are written."""
        if (observers := self._observers) is None:
            return
        self._step += 1
        try:
            if self._step <= self.plan.first:
                self._before_recording(observers)
            observers.step()
            if observers.recorded:
                self._write(observers)
        except Exception as error:
            self._fail(error)

    def finish(self) -> None:
        """The block has ended, and with it the step that was under way."""
        if (observers := self._observers) is None:
            return
        done = self._step + 1
        if done <= self.plan.first:
            self._close()
            self._fail(RecordingError(f"nothing was recorded: found {_count(done)}, expected {self.plan.last + 1}"))
            return
        try:
            observers.close()
            self._write(observers)
        except Exception as error:
            self._fail(error)
            return
        if done <= self.plan.last:
            found = f"found {_count(done - self.plan.first)} to record, expected {self.plan.steps}"
            _warn(f"{found}; the last ProfilerStep is what ran between the last step() and the end of the block")

    def abandon(self) -> None:
        """The block was left by an exception: a step that did not end is no step, so unfinished files are dropped."""
        self._close()

    def _before_recording(self, observers: Observers) -> None:
        """What must hold, and be told, when the next step is the first to be recorded or warms up for it."""
        if self.plan.action(self._step) == "NONE":
            return
        observers.refuse_other_profiler()
        if initialised(self._torch.distributed):
            now = find_world(self._torch.distributed, None, None)
            if (now.rank, now.size) != (self.rank, self.world_size):
                raise RecordingError(
                    f"found rank {now.rank} of {now.size} in torch.distributed, expected rank {self.rank} of "
                    f"{self.world_size}, which {self._world.source} said when the recording began",
                    hint="initialise torch.distributed before the block",
                )
        elif self._world.source != "default":
            observers.say("distributedInfo", {"rank": self.rank, "world_size": self.world_size})

    def _write(self, observers: Observers) -> None:
        observers.save_kineto(self._place.kineto)
        observers.close()
        self.files = self._place.publish()
        self._close()

    def _fail(self, error: Exception) -> None:
        self._close()
        if isinstance(error, RecordingError):
            self.error = error
        else:
            self.error = RecordingError(f"PyTorch's profiler failed: {type(error).__name__}: {error}")
        hint = f" ({self.error.hint})" if self.error.hint else ""
        _warn(f"rank {self.rank} is not recorded in {self.folder}: {self.error}{hint}")

    def _close(self) -> None:
        observers, self._observers = getattr(self, "_observers", None), None
        if observers is not None:
            with suppress(Exception):  # they are in the way of nobody now, and the first error is the one to tell
                observers.close()
        self._place.close()


@contextmanager
def record(
    folder: str | os.PathLike[str],
    *,
    wait: int = 1,
    warmup: int = 2,
    steps: int = 3,
    record_shapes: bool = True,
    with_stack: bool = False,
    profile_memory: bool = False,
    sync_events: bool = True,
    compress: bool = True,
    overwrite: bool = False,
    rank: int | None = None,
    world_size: int | None = None,
) -> Iterator[Recording]:
    """Record some steps of the block: `et_rank3.json.gz` and `kineto_rank3.json.gz` on rank 3, made in `folder`.

    Both traces hold the same `steps` steps, after `wait` that are left alone and `warmup` in which the profiler is on
    and its result thrown away. `Recording.step` ends a step; the files are written when the last one ends, and the end
    of the block ends the step that is under way. A block left by an exception before that leaves no files.

    `record_shapes`, `with_stack` and `profile_memory` are `torch.profiler.profile`'s; `sync_events` records waits on
    CUDA's streams and events, where there is CUDA. `compress` writes gzip. `overwrite` replaces the rank's files of an
    earlier recording. Rank and world size come from `torch.distributed`, else from the arguments, else from the
    variables of torchrun, Open MPI or Slurm.

    Raises RecordingError when the block is entered: PyTorch is missing or older than 2.4, another profiler or execution
    trace observer is at work in this process, the folder cannot be written, has the rank's files or ranks beyond the
    world size, or another process records the same rank. Raises UsageError for arguments that make no sense. Whatever
    goes wrong later is a RecordingWarning and `Recording.error`, because it is no reason to end a training.
    """
    plan = Plan(wait, warmup, steps)
    torch = import_torch()
    world = find_world(torch.distributed, rank, world_size)
    place = Place(Path(folder), world.rank, world.size, compress=compress, overwrite=overwrite)
    options = {
        "record_shapes": record_shapes,
        "with_stack": with_stack,
        "profile_memory": profile_memory,
        "sync_events": sync_events,
    }
    recording = Recording(torch, plan, place, world, options)
    try:
        yield recording
    except BaseException:
        recording.abandon()
        raise
    recording.finish()


def _about(torch: Any, plan: Plan, world: World, options: dict[str, bool]) -> dict[str, object]:
    """What a trace tells of how it was made."""
    try:
        own = version("etgraph")
    except PackageNotFoundError:
        own = None
    return {
        "version": own,
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda,
        "hip": torch.version.hip,
        "python": platform.python_version(),
        "rank": world.rank,
        "world_size": world.size,
        "rank_from": world.source,
        "first_step": plan.first,
        "steps": plan.steps,
        "options": options,
    }


def _count(steps: int) -> str:
    return f"{steps} step{'s' * (steps != 1)}"


def _warn(message: str) -> None:
    warnings.warn(message, RecordingWarning, stacklevel=3)
