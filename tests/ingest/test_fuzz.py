"""The fuzzer: a short run without a failure, and faults that are planted and found."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from etgraph.ingest import Limits, pipeline, read
from etgraph.ingest.chakra import columns, text, wire
from etgraph.model import DependencyKind, Trace, kernels
from etgraph.model.errors import CycleError, InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def fuzz(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The fuzzer's module; the benchmarks are no package of the product."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.fuzz import run

    return run


def short(fuzz: ModuleType, folder: Path, inputs: int = 200, seed: int = 1) -> Any:
    return fuzz.Fuzzer(seed, folder=folder, real=False, pool=120).run(inputs)


def test_a_short_run_finds_nothing(fuzz: ModuleType, tmp_path: Path) -> None:
    summary = short(fuzz, tmp_path, inputs=1500, seed=3)
    assert not summary.failures, summary.table()
    assert summary.inputs == 1500
    for kind, counter in summary.outcomes.items():
        assert counter["accepted"] > 0, kind
        assert any(outcome.startswith("rejected") for outcome in counter), kind
    for fault in ("a varint of more than 10 bytes", "groups nested more than 100 deep", "text that is not UTF-8"):
        assert summary.outcomes["nodes"][f"rejected: {fault}"] > 0
    assert list(tmp_path.iterdir()) == []
    assert "1,500 inputs" in summary.table()
    assert "0 failures" in summary.table()


def test_one_seed_makes_the_same_inputs(fuzz: ModuleType, tmp_path: Path) -> None:
    first, second = (short(fuzz, tmp_path).outcomes for _ in range(2))
    assert first == second


def written(run: Sequence[tuple[Any, Any]], folder: Path) -> Path:
    """A folder with both files of each rank."""
    folder.mkdir()
    for rank, files in enumerate(run):
        for name, document in zip(("et", "kineto"), files, strict=True):
            (folder / f"{name}_rank{rank}.json").write_text(json.dumps(document))
    return folder


def test_made_up_runs_reach_every_pass(fuzz: ModuleType, tmp_path: Path) -> None:
    """What nothing is wrong about is accepted, and gives every kind of dependency, links and collectives."""
    from benchmarks.fuzz import programs

    kinds: set[int] = set()
    collectives = linked = worked = 0
    for seed in range(40):
        trace = read(written(programs.run(random.Random(seed)), tmp_path / str(seed)), workers=1)
        trace.validate()
        kinds |= set(trace.dependencies["kind"].tolist())
        collectives += len(trace.collectives)
        linked += int((~trace.operators.is_null("node_id")).sum())
        worked += int((~trace.operators.is_null("flops")).sum())
    K = DependencyKind
    assert kinds >= {K.CALL, K.THREAD, K.LAUNCH, K.STREAM, K.EVENT, K.SYNC, K.SPAWN, K.DATA, K.COMM}
    assert min(collectives, linked, worked) > 0


def test_pieces_of_recorded_runs_are_runs(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.fuzz import cuttings

    monkeypatch.delenv("ETGRAPH_TRACES", raising=False)
    monkeypatch.setattr(cuttings, "A_FILE", 1)
    pieces = cuttings.runs(random.Random(1))
    assert len(pieces) == len(cuttings.RUNS)
    for number, run in enumerate(pieces):
        trace = read(written(run, tmp_path / str(number)), workers=1)
        trace.validate()
        assert trace.ranks == (0, 1)
        assert (~trace.operators.is_null("node_id")).any()
    assert cuttings.files(random.Random(1)) == ([], [])


def test_bending_leaves_what_it_was_made_from(fuzz: ModuleType) -> None:
    from benchmarks.fuzz import documents, programs

    host, device = programs.run(random.Random(2))[0]
    before = json.dumps([host, device])
    changed = {json.dumps(documents.bent(host if seed % 2 else device, random.Random(seed))) for seed in range(300)}
    assert len(changed) > 250
    assert json.dumps([host, device]) == before


# Planted faults


def found(fuzz: ModuleType, folder: Path, words: str, inputs: int = 200) -> bytes:
    """The first input that shows the planted fault, from the file that was written."""
    summary = short(fuzz, folder, inputs)
    seen = next(w for w in summary.failures if words in w)
    path = summary.saved[seen]
    assert path.parent == folder
    assert f"{seen}: {path}" in summary.table()
    return bytes(path.read_bytes())


def test_a_kernel_that_reads_another_number(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = wire.tokens

    def wrong(*args: Any) -> Any:
        result = tokens(*args)
        return replace(result, value=result.value & 0x7FFF_FFFF)

    monkeypatch.setattr(wire, "tokens", wrong)
    assert found(fuzz, tmp_path, "the columns hold other values")


def test_a_kernel_that_refuses_too_much(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = wire.tokens

    def wrong(data: Any, begins: Any, ends: Any, root: int) -> Any:
        long = [m for m, size in enumerate((ends - begins).tolist()) if size > 40]
        if long:
            raise wire.WireError(long[0], int(begins[long[0]]), "a long message", "a short one")
        return tokens(data, begins, ends, root)

    monkeypatch.setattr(wire, "tokens", wrong)
    assert len(found(fuzz, tmp_path, "refused, accepted by protobuf: a long message")) > 40


def test_a_kernel_that_accepts_too_much(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = wire.tokens

    def wrong(data: Any, begins: Any, ends: Any, root: int) -> Any:
        while True:
            try:
                return tokens(data, begins, ends, root)
            except wire.WireError as error:
                ends = ends.copy()
                ends[error.message] = begins[error.message]

    monkeypatch.setattr(wire, "tokens", wrong)
    assert found(fuzz, tmp_path, "accepted, refused by protobuf")


def test_json_that_lacks_a_value(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "kept", text.jsonizer)
    assert found(fuzz, tmp_path, "what is kept is another message")


def test_frames_that_are_cut_elsewhere(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = wire.frames

    def wrong(data: Any) -> Any:
        begins, ends, rest = frames(data)
        return begins[:2], ends[:2], rest

    monkeypatch.setattr(wire, "frames", wrong)
    assert found(fuzz, tmp_path, "other messages in a stream")


def test_another_error_than_ours(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: Any) -> Any:
        raise KeyError("rank")

    monkeypatch.setattr("etgraph.ingest.source.rank_of", wrong)
    assert found(fuzz, tmp_path, "KeyError escapes from")


def test_an_error_within_a_batch_is_one_input(
    fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = columns.numbers

    def wrong(tokens: Any, owner: Any, count: int) -> Any:
        if (tokens.value == 2**31 - 1).any():
            raise ZeroDivisionError
        return numbers(tokens, owner, count)

    monkeypatch.setattr(columns, "numbers", wrong)
    assert found(fuzz, tmp_path, "ZeroDivisionError escapes from")


def test_a_trace_that_is_not_valid(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(trace: Trace) -> None:
        raise AssertionError("not valid")

    monkeypatch.setattr(Trace, "validate", wrong)
    assert found(fuzz, tmp_path, "AssertionError escapes from")


def test_an_error_that_does_not_name_the_file(
    fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: Any, **__: Any) -> Any:
        raise InputError("somewhere", found="this", expected="that")

    monkeypatch.setattr("benchmarks.fuzz.readings.read", wrong)
    assert found(fuzz, tmp_path, "does not name the file: BAD_INPUT")


def judged(folder: Path, seeds: range) -> tuple[Counter[str], Counter[str]]:
    """What comes of archives that must be refused, and the failures."""
    from benchmarks.fuzz import archives, readings
    from benchmarks.fuzz.inputs import Input

    outcomes, failures = Counter[str](), Counter[str]()
    for seed in seeds:
        data = archives.refused({"kineto_rank0.json": b'{"traceEvents": []}'}, random.Random(seed))
        given = Input("archives", {"run.zip": data}, refused=True)
        readings.judge(given, folder, random.Random(seed), outcomes, lambda words, _: failures.update([words]))
    return outcomes, failures


def test_what_must_be_refused_is(fuzz: ModuleType, tmp_path: Path) -> None:
    """Each of the reasons; without the one thing that is wrong, the archive is accepted."""
    from benchmarks.fuzz import archives

    assert judged(tmp_path, range(60)) == ({"rejected: BAD_INPUT": 60}, {})
    (tmp_path / "run.zip").write_bytes(archives.whole({"a.json": b'{"traceEvents": []}'}, random.Random(1)))
    assert len(read(tmp_path / "run.zip", limits=archives.LIMITS)) == 0
    bomb = archives._bomb({}, random.Random(3))
    (tmp_path / "run.zip").write_bytes(bomb)
    assert len(read(tmp_path / "run.zip", limits=Limits())) == 0


def test_an_archive_that_is_not_refused(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etgraph.ingest.discovery.members.Refusals.name", lambda _, __, name, ___: name)
    _, failures = judged(tmp_path, range(30))
    assert failures["accepted, but must be refused"] > 0


def test_a_run_that_is_another_in_an_archive(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_trace = pipeline.one_trace

    def wrong(*arguments: Any) -> Any:
        return replace(one_trace(*arguments), trace_id=str(kernels.COMPILE_FROM))

    monkeypatch.setattr(pipeline, "one_trace", wrong)
    monkeypatch.setattr("benchmarks.fuzz.readings.AGAIN", 1)
    assert found(fuzz, tmp_path, "read in two ways, other ids", inputs=600)[:2] == b"PK"


def test_dependencies_in_a_circle(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(trace: Trace) -> None:
        raise CycleError("trace.json: dependencies form a cycle", [])

    monkeypatch.setattr(Trace, "validate", wrong)
    assert found(fuzz, tmp_path, "dependencies in a circle that no file has")


def test_a_file_that_is_left(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(path: Path, **options: Any) -> Any:
        (path.parent / "left").write_bytes(b"x")
        return read(path, **options)

    monkeypatch.setattr("benchmarks.fuzz.readings.read", wrong)
    assert found(fuzz, tmp_path, "files are left or written elsewhere")


def test_memory_that_grows(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "SETTLED", 1)
    monkeypatch.setattr(fuzz, "MOST_GROWTH_MIB", -1000)
    summary = short(fuzz, tmp_path, inputs=10)
    assert "memory that grows by more than -1000 MiB" in summary.table()


HANG = """
import sys, time
from pathlib import Path
from benchmarks.fuzz import readings, run
run.LONGEST_SECONDS = run.FIRST_SECONDS = 1.0
readings.read = lambda *_, **__: time.sleep(60)
run.Fuzzer(1, folder=Path(sys.argv[1]), real=False, pool=40).run(100)
"""


def test_an_input_that_takes_too_long(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HANG, str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1, ended.stderr
    assert f"takes too long: {tmp_path}" in ended.stdout
    assert (tmp_path / "failure-1-0.bin").read_bytes()


def test_the_command_says_where_a_failure_is(
    fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(text, "kept", text.jsonizer)
    monkeypatch.setattr("benchmarks.fuzz.cuttings.RUNS", ())
    for variable in ("ETGRAPH_TRACES", "ETGRAPH_REFERENCE"):
        monkeypatch.delenv(variable, raising=False)
    arguments = ["--inputs", "200", "--seed", "5", "--seconds", "60", "--folder", str(tmp_path)]
    assert fuzz.main(arguments) == 1
    assert str(tmp_path / "failure-5-0.bin") in capsys.readouterr().out
