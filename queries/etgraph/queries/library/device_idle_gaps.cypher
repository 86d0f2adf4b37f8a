// Times in which a device had nothing to run, longest first.
//
// A device is idle while none of its streams runs an operator, between the first and the last operator that was
// recorded on it. `callStartNs` is when the host called for the operator that ended the gap: if that is after the gap
// began, the device waited for the host.
//
// parameters:
//   $trace      trace                the trace
//   $rank       integer?             only this rank
//   $atLeastNs  integer[1..] = 1     only gaps of this length or more
//   $limit      integer[1..] = 20    no more rows than this
//
// columns:
//   rank         integer   -   rank of the process
//   device       integer?  -   ordinal of the device
//   startNs      integer   ns  when the device fell idle
//   endNs        integer   ns  when it ran again
//   idleNs       integer   ns  how long it was idle
//   beforeIndex  integer   -   index of the operator that ended last before the gap
//   before       string    -   its name
//   afterIndex   integer   -   index of the operator that began after the gap
//   after        string    -   its name
//   callStartNs  integer?  ns  when the host called for it
//
MATCH (:Trace {id: $trace, state: 'ready'})-[:HAS_RANK]->(k:Rank)
WHERE $rank IS NULL OR k.rank = $rank
MATCH (k)-[:HAS_LANE]->(l:Lane {kind: 'STREAM'})<-[:ON_LANE]-(o:Operator)
WHERE o.startNs IS NOT NULL AND o.durationNs IS NOT NULL
WITH k.rank AS rank, l.device AS device, o
ORDER BY o.startNs, o.key
WITH rank, device, collect({start: o.startNs, end: o.startNs + o.durationNs, o: o}) AS runs
// Along the operators by start: the one that ends last so far, and the gaps that were found. A list that grows is copied
// at each step, so that it grows in pieces.
WITH rank, device, reduce(
       all = {busy: head(runs), pieces: []}, piece IN range(0, size(runs) - 1, 500) |
       head([part IN [reduce(
         seen = {busy: all.busy, gaps: []}, run IN runs[piece .. piece + 500] |
         {busy: CASE WHEN run.end > seen.busy.end THEN run ELSE seen.busy END,
          gaps: CASE WHEN run.start - seen.busy.end >= $atLeastNs
                     THEN seen.gaps + [{before: seen.busy, after: run}] ELSE seen.gaps END})]
         | {busy: part.busy, pieces: all.pieces + [part.gaps]}])).pieces AS pieces
UNWIND pieces AS gaps
UNWIND gaps AS gap
WITH rank, device, gap.before.end AS startNs, gap.after.start AS endNs, gap.before.o AS before, gap.after.o AS after
OPTIONAL MATCH (after)<-[:LAUNCHES]-(call:Operator)
WITH rank, device, startNs, endNs, before, after, min(call.startNs) AS callStartNs
RETURN rank, device, startNs, endNs, endNs - startNs AS idleNs, before.index AS beforeIndex, before.name AS before,
       after.index AS afterIndex, after.name AS after, callStartNs
ORDER BY idleNs DESC, rank, device, startNs
LIMIT $limit
