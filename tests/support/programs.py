"""Programs for the simulated machine: what a training script does to threads, streams and the launch queue."""

from __future__ import annotations

from support.simulated import Machine, Simulated, Thread

COMPUTE, SIDE, DATA, COMMUNICATION = 7, 9, 11, 20
"""Streams of the simulated device."""


def mixed(
    seed: int, steps: int = 200, *, records: bool = False, hiccups: float = 0.0, slower: float = 1.0
) -> Simulated:
    """Kernels on several streams, waits between them, collectives, and calls that block, in random order."""
    machine = Machine(seed, records=records, hiccups=hiccups, slower=slower)
    return machine.run(_mixed(machine, steps))


def _mixed(m: Machine, steps: int) -> Thread:
    stream = COMPUTE
    for _ in range(steps):
        start = m.time(0)
        m.spend(0, 1_000, 4_000)
        what = m.random.random()
        if what < 0.55:
            waves = m.random.choice([1.0, 1.5, 3.0, 60.0, 200.0]) if m.random.random() < 0.3 else 1.0
            lasts = m.random.randint(100_000, 600_000) if waves >= 20 else m.random.randint(3_000, 60_000)
            yield from m.launch(0, stream, "kernel", lasts, waves)
            m.operator(0, "aten::mm", start)
        elif what < 0.62:
            stream = m.random.choice([COMPUTE, SIDE, DATA])
            yield from m.launch(0, stream, "kernel", m.random.randint(3_000, 60_000))
            m.operator(0, "aten::add", start)
        elif what < 0.67:
            other = m.random.choice([COMPUTE, SIDE, DATA])
            m.stream_waits(0, other, stream)
            m.operator(0, "aten::event", start)
            stream = other
            yield from m.launch(0, stream, "kernel", m.random.randint(3_000, 60_000))
        elif what < 0.72:
            yield from _collective(m, stream, awaited=m.random.random() < 0.5)
        elif what < 0.75:
            yield from m.copy_to_host(0, stream)
            m.operator(0, "aten::item", start)
        elif what < 0.77:
            yield from m.block(0, "cudaStreamSynchronize", [stream])
        elif what < 0.78:
            yield from m.block(0, "cudaDeviceSynchronize", [COMPUTE, SIDE, DATA, COMMUNICATION])
        else:
            m.spend(0, 2_000, 30_000)


def _collective(m: Machine, stream: int, *, awaited: bool) -> Thread:
    start = m.time(0)
    m.stream_waits(0, COMMUNICATION, stream)
    name = "ncclKernel_AllReduce_RING_LL_Sum_float"
    yield from m.launch(0, COMMUNICATION, name, m.random.randint(20_000, 200_000), 0.5)
    m.operator(0, "record_param_comms", start)
    if awaited:
        m.spend(0, 5_000, 20_000)
        start = m.time(0)
        m.wait_for(0, stream, m.last(COMMUNICATION))
        m.operator(0, "record_param_comms", start)
        yield from m.launch(0, stream, "kernel", m.random.randint(3_000, 60_000))


def flooded(seed: int, depth: int, launches: int = 600) -> Simulated:
    """Launches on a stream, faster than the device works, into a queue of that depth."""
    machine = Machine(seed, depth=depth)

    def thread() -> Thread:
        for number in range(launches):
            machine.spend(0, 500, 3_000)
            if number % 90 == 89:
                machine.spend(0, 100_000, 900_000)
            yield from machine.launch(0, COMPUTE, "kernel", 30_000)

    return machine.run(thread())


def waiting(seed: int, times: int = 40, *, every: int = 3, blocks: bool = True) -> Simulated:
    """Bursts of launches, after some of which the host waits until the device is done; without `blocks` it does not."""
    machine = Machine(seed)

    def thread() -> Thread:
        for number in range(times):
            for _ in range(5):
                machine.spend(0, 1_000, 6_000)
                yield from machine.launch(0, COMPUTE, "kernel", machine.random.randint(5_000, 40_000))
            machine.spend(0, 10_000, 80_000)
            if number % every == 0 and blocks:
                yield from machine.block(0, "cudaStreamSynchronize", [COMPUTE])
            elif number % every == 0:
                machine.random.randint(4_000, 9_000)  # what the call would have drawn

    return machine.run(thread())


def turns(seed: int, times: int = 5) -> Simulated:
    """A thread that hands bursts of work to the autograd thread."""
    machine = Machine(seed)

    def work(thread: int, name: str, number: int) -> tuple[Thread, list[int]]:
        done: list[int] = []

        def run() -> Thread:
            for _ in range(number):
                start = machine.time(thread)
                machine.spend(thread, 1_000, 3_000)
                yield from machine.launch(thread, 7, "kernel", 2_000)
                done.append(machine.operator(thread, name, start))
                machine.spend(thread, 2_000, 20_000)

        return run(), done

    def thread() -> Thread:
        for _ in range(times):
            forward, done = work(0, "aten::mm", machine.random.randint(100, 160))
            yield from forward
            backward, _ = work(1, "MmBackward0", machine.random.randint(100, 160))
            yield from machine.hand_over(0, 1, backward, done[-1])

    return machine.run(thread())
