"""Work in other processes: each a fresh interpreter that is given tasks one at a time and answers each.

The processes are started by a command of their own rather than by `multiprocessing`, which would run the calling
program's main module again: etgraph is called from scripts that are not prepared for that. They end with their parent,
however it ends.
"""

from __future__ import annotations

import os
import pickle
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from etgraph.model.errors import EtgraphError

_START: Final = (
    "import sys; sys.path[:] = {path!r}; from etgraph.model.workers import serve; serve({folder!r}, {answers})"
)
_LENGTH: Final = 8
_END: Final = "end"


class LostWorker(EtgraphError):
    """A process that worked on a part of something ended without an answer."""

    code = "LOST_WORKER"


def each_done(
    work: Callable[[Any], Any], tasks: Sequence[Any], workers: int, scratch: Path
) -> Generator[tuple[int, Any], None, None]:
    """The number of each task and `work(task)`, as they are done, from that many processes.

    `work` is a function of a module; it, the tasks and the results are pickled. Temporary files of the processes go
    into `scratch`, which is removed also where this process is killed. Raises what `work` raises, or LostWorker; then,
    and when the iterator is closed, the processes are ended and waited for.
    """
    todo: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
    for numbered in enumerate(tasks):
        todo.put(numbered)
    done: queue.SimpleQueue[tuple[int, Any, BaseException | None]] = queue.SimpleQueue()
    started: list[_Worker] = []
    threads: list[threading.Thread] = []
    try:
        for _ in range(min(workers, len(tasks))):
            started.append(_start(scratch))
            threads.append(threading.Thread(target=_feed, args=(started[-1], work, todo, done), daemon=True))
            threads[-1].start()
        for _ in tasks:
            number, result, error = done.get()
            if error is not None:
                raise error
            yield number, result
        for worker in started:
            with suppress(OSError):  # it may have ended by itself after its last answer
                _send(worker.tasks, _END)
    except BaseException:
        for worker in started:
            worker.process.kill()
        raise
    finally:
        for worker in started:
            with suppress(OSError):
                worker.tasks.close()
            worker.process.wait()
        for thread in threads:
            thread.join()
        for worker in started:
            worker.answers.close()


@dataclass(frozen=True, slots=True)
class _Worker:
    """A process, where its tasks go and where its answers come from."""

    process: subprocess.Popen[bytes]
    tasks: IO[bytes]
    answers: IO[bytes]


def _start(scratch: Path) -> _Worker:
    """Start a process. Its answers come through a pipe of their own, so that nothing that it prints is one."""
    ours, theirs = os.pipe()
    try:
        code = _START.format(path=sys.path, folder=str(scratch), answers=theirs)
        command = [sys.executable, "-c", code]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=(theirs,))
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    assert process.stdin is not None
    return _Worker(process, process.stdin, os.fdopen(ours, "rb"))


def _feed(
    worker: _Worker,
    work: Callable[[Any], Any],
    todo: queue.SimpleQueue[tuple[int, Any]],
    done: queue.SimpleQueue[tuple[int, Any, BaseException | None]],
) -> None:
    """Give one process tasks as long as there are any, and pass its answers on."""
    while True:
        try:
            number, task = todo.get_nowait()
        except queue.Empty:
            return
        try:
            _send(worker.tasks, (work, task))
            answer = _receive(worker.answers)
            result, error = answer if answer is not None else (None, _lost(worker))
        except Exception as failure:  # whatever it is: who waits for the answer must hear of it
            answer = None
            result, error = None, _lost(worker, failure)
        done.put((number, result, error))
        if answer is None:
            return


def _lost(worker: _Worker, failure: Exception | None = None) -> LostWorker:
    """The error for a process that gave no answer; it has ended then. `failure` is what went wrong with the pipes."""
    if failure is not None and not isinstance(failure, BrokenPipeError):
        worker.process.kill()
        worker.process.wait()
        words = f"{type(failure).__name__}: {failure}"
        return LostWorker(f"a process could not be given a task or gave no answer ({words})")
    code = worker.process.wait()
    how = f"by signal {_signal_name(-code)}" if code < 0 else f"with exit code {code}"
    hint = "if memory ran out, fewer workers need less: --workers 1, or workers=1"
    return LostWorker(f"a process that worked on a part ended {how}", hint=hint)


def _signal_name(number: int) -> str:
    """A signal's name; real-time signals have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _send(stream: IO[bytes], message: Any) -> None:
    data = pickle.dumps(message, protocol=5)
    stream.write(len(data).to_bytes(_LENGTH, "little") + data)
    stream.flush()


def _receive(stream: IO[bytes]) -> Any:
    """The next message; None at the end of the stream."""
    head = stream.read(_LENGTH)
    if len(head) < _LENGTH:
        return None
    size = int.from_bytes(head, "little")
    data = stream.read(size)
    return pickle.loads(data) if len(data) == size else None


def serve(scratch: str, answers: int) -> None:
    """The whole life of such a process: answer tasks from the input into a file descriptor; never returns."""
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    os.set_inheritable(answers, False)
    out = os.fdopen(answers, "wb")
    tempfile.tempdir = tempfile.mkdtemp(prefix="worker-", dir=scratch)
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, tasks, scratch), daemon=True).start()
    while True:
        try:
            _send(out, _answer(tasks.get()))
        except OSError:
            os._exit(1)


def _answer(task: Any) -> tuple[Any, BaseException | None]:
    """The result of a task in a form that can be sent, or its error."""
    try:
        if isinstance(task, Exception):
            raise task
        work, argument = task
        result = work(argument)
        pickle.dumps(result)
        return result, None
    except EtgraphError as error:
        return None, error
    except Exception as error:
        error.add_note(traceback.format_exc())
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            return None, RuntimeError(traceback.format_exc())
        return None, error


def _listen(stream: IO[bytes], tasks: queue.SimpleQueue[Any], scratch: str) -> None:
    """Take tasks as they come; end the process when its parent says so, or is gone, even in the middle of a task."""
    while True:
        try:
            message = _receive(stream)
        except Exception as error:
            message = error
        if message == _END:
            shutil.rmtree(str(tempfile.tempdir), ignore_errors=True)
            os._exit(0)
        if message is None:
            shutil.rmtree(scratch, ignore_errors=True)
            os._exit(1)
        tasks.put(message)
