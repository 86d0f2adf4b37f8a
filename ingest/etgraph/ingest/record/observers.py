"""PyTorch's two observers, started and stopped as one, so that both see the same operators."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from etgraph.model.errors import RecordingError

MINIMUM = (2, 4)
"""The first release whose Kineto writes `Record function id`, which is the execution trace's `rf_id`."""
INSTALL = "pip install 'etgraph[torch]', or PyTorch as its site tells for this machine"


def import_torch() -> Any:
    """PyTorch, with its profiler. Raises RecordingError where there is none, or one that is too old."""
    try:
        import torch
        import torch.distributed
        import torch.profiler
    except ModuleNotFoundError as error:
        raise RecordingError(f"recording needs PyTorch, which is not installed ({error})", hint=INSTALL) from error
    except (ImportError, OSError) as error:
        raise RecordingError(f"PyTorch is installed, but cannot be imported: {error}", hint=INSTALL) from error
    match = re.match(r"(\d+)\.(\d+)", str(torch.__version__))
    if match is None or (int(match[1]), int(match[2])) < MINIMUM:
        needed = ".".join(map(str, MINIMUM))
        raise RecordingError(
            f"found PyTorch {torch.__version__}, expected {needed} or newer: the traces of older ones share no ids",
            hint=INSTALL,
        )
    if not torch.profiler.kineto_available():
        raise RecordingError(f"PyTorch {torch.__version__} was built without Kineto", hint=INSTALL)
    return torch


class Observers:
    """An execution trace observer and a profiler on one schedule.

    `action` gives the name of the profiler's action for each step. Raises RecordingError where another execution trace
    observer or another profiler is at work: PyTorch has one of each in a process, and a second takes it from the first.
    """

    def __init__(
        self,
        torch: Any,
        action: Callable[[int], str],
        execution_trace: Path,
        *,
        record_shapes: bool,
        with_stack: bool,
        profile_memory: bool,
        sync_events: bool,
    ) -> None:
        self._torch, self._closed = torch, False
        self.recorded = False
        """Whether both observers have seen all there was to see."""
        self.refuse_other_profiler()
        self._observer = _only_observer(torch, execution_trace)
        actions = torch.profiler.ProfilerAction
        try:
            self._profiler = torch.profiler.profile(
                schedule=lambda step: getattr(actions, action(step)),
                on_trace_ready=self._ready,
                record_shapes=record_shapes,
                with_stack=with_stack,
                profile_memory=profile_memory,
                experimental_config=_experimental_config(torch, sync_events),
                execution_trace_observer=self._observer,
            )
        except BaseException:
            self._observer.unregister_callback()
            raise

    def refuse_other_profiler(self) -> None:
        """Raise RecordingError where a profiler is running."""
        if self._torch.autograd._profiler_enabled():
            raise RecordingError(
                "another profiler is running in this process, and PyTorch has one at a time",
                hint="leave its block before, or record after it",
            )

    def start(self) -> None:
        """Begin with step 0."""
        self._profiler.start()

    def step(self) -> None:
        """Begin the next step."""
        self._profiler.step()

    def say(self, key: str, value: object) -> None:
        """Have the Kineto trace tell something of itself; to be called before the first step that is recorded."""
        self._profiler.preset_metadata_json(key, json.dumps(value))

    def save_kineto(self, path: Path) -> None:
        """Write the Kineto trace, once everything is `recorded`."""
        self._profiler.export_chrome_trace(str(path))

    def close(self) -> None:
        """Stop both, once. The execution trace's file ends here; a step that is open is the last of both traces."""
        if self._closed:
            return
        self._closed = True
        try:
            self._profiler.__exit__(None, None, None)
        finally:
            self._observer.unregister_callback()

    def _ready(self, profiler: Any) -> None:
        self.recorded = True


def _only_observer(torch: Any, path: Path) -> Any:
    """An execution trace observer that writes to a path."""
    observer = torch.profiler.ExecutionTraceObserver()
    observer.register_callback(str(path))
    # PyTorch begins the file when it takes an observer, and says nothing when it already has another.
    if not path.exists():
        observer._registered = False  # or its end would be the other's, too
        raise RecordingError(
            "another ExecutionTraceObserver is registered in this process, and PyTorch has one at a time",
            hint="call its unregister_callback() first",
        )
    return observer


def _experimental_config(torch: Any, sync_events: bool) -> Any:
    """What tells Kineto to record waits between streams and of the host (CUPTI's, so only with CUDA)."""
    if not (sync_events and torch.version.cuda and torch.cuda.is_available()):
        return None
    try:
        return torch.profiler._ExperimentalConfig(enable_cuda_sync_events=True)
    except TypeError:
        return None
