"""The engine's rules once more, slowly and plainly: one event at a time, everything looked up anew."""

from __future__ import annotations

from collections import defaultdict

from etgraph.sim.engine import Program


def slow_run(program: Program) -> dict[int, int]:
    """When each event happens, in ns; those that never do are left out."""
    edges = list(zip(program.sources.tolist(), program.targets.tolist(), program.lag_ns.tolist()))
    into = defaultdict(list)
    for source, target, lag in edges:
        into[target].append((source, lag))
    floor = program.floor_ns.tolist()
    after = dict(zip(program.waking.tolist(), program.after_ns.tolist()))
    p, s = program.places, program.services
    places = {
        2 * operator: (device, lane, duration, tail)
        for operator, device, lane, duration, tail in zip(
            *(values.tolist() for values in (p.operator, p.device, p.lane, p.duration_ns, p.tail_ns))
        )
    }
    server_of = {2 * operator: server for operator, server in zip(s.operator.tolist(), s.server.tolist())}

    happened: dict[int, int] = {}
    wide: dict[int, tuple[int, int, int]] = {}  # by lane: device, from, until
    queue: dict[int, list[int]] = defaultdict(list)  # by server: who is served, then who waits
    free_at: dict[int, int] = {}
    asked: dict[int, int] = {}  # events that asked for something, and when they may have it
    queued: set[int] = set()

    def ready(event: int) -> int | None:
        """When the edges of an event have arrived."""
        if any(source not in happened for source, _ in into[event]):
            return None
        plain = [(happened[source], happened[source] + lag) for source, lag in into[event] if lag >= 0]
        woken = [happened[source] - 1 - lag for source, lag in into[event] if lag < 0]
        time = max([floor[event], *(arrival for _, arrival in plain)])
        if woken and max(woken) > max((source for source, _ in plain), default=-(2**62)):
            time = max(time, max(woken) + after[event])
        return time

    def happen(event: int, time: int) -> None:
        happened[event] = time
        if event % 2 == 1 and event - 1 in server_of:
            server = server_of[event - 1]
            queue[server].pop(0)
            free_at[server] = time
            if queue[server]:
                asked[queue[server][0]] = max(asked[queue[server][0]], time)

    while True:
        for event in range(program.events):
            if event in happened or event in asked:
                continue
            time = ready(event)
            if time is None:
                continue
            if event in places or event in server_of:
                asked[event] = time
            else:
                happen(event, time)
            break
        else:
            waiting = [
                (time, event)
                for event, time in asked.items()
                if event not in happened and (event not in queued or queue[server_of[event]][0] == event)
            ]
            if not waiting:
                return happened
            time, event = min(waiting)
            if event in server_of and event not in queued:
                queued.add(event)
                queue[server_of[event]].append(event)
                if queue[server_of[event]][0] == event:
                    asked[event] = max(time, free_at.get(server_of[event], time))
                continue
            if event in places:
                device, lane, duration, tail = places[event]
                room = max(
                    [time] + [until for on, (of, begin, until) in wide.items()
                              if on != lane and of == device and begin <= time]
                )  # fmt: skip
                if room > time:
                    asked[event] = room
                    continue
                if tail >= 0:
                    wide[lane] = (device, time, time + duration - tail)
            happen(event, time)
