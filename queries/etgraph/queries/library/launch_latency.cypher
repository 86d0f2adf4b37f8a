// Host calls and the device operators they launched, longest latency first.
//
// The latency runs from the start of the call to the start of the operator. Much of it can be time in which the stream
// was still busy with earlier work; `queuedNs` is that part of it: from the call's start to the end of the operator
// before on the stream. Pairs without measured starts are left out.
//
// parameters:
//   $trace  trace                the trace
//   $rank   integer?             only this rank
//   $limit  integer[1..] = 20    no more rows than this
//
// columns:
//   rank         integer  -   rank of both
//   callIndex    integer  -   index of the call within its rank
//   call         string   -   name of the call
//   index        integer  -   index of the device operator within its rank
//   name         string   -   name of the device operator
//   callStartNs  integer  ns  start of the call
//   startNs      integer  ns  start of the device operator
//   latencyNs    integer  ns  from the one to the other
//   queuedNs     integer  ns  time of it in which the stream still ran earlier work
//
MATCH (:Trace {id: $trace, state: 'ready'})-[:HAS_RANK]->(k:Rank)
WHERE $rank IS NULL OR k.rank = $rank
MATCH (k)-[:HAS_LANE]->(:Lane {kind: 'STREAM'})<-[:ON_LANE]-(o:Operator)<-[:LAUNCHES]-(call:Operator)
WHERE o.startNs IS NOT NULL AND call.startNs IS NOT NULL
WITH call, o, o.startNs - call.startNs AS latencyNs
ORDER BY latencyNs DESC, call.key, o.key
LIMIT $limit
OPTIONAL MATCH (o)<-[:NEXT_ON_STREAM]-(earlier:Operator)
WITH call, o, latencyNs, max(earlier.startNs + earlier.durationNs) - call.startNs AS busyNs
RETURN o.rank AS rank, call.index AS callIndex, call.name AS call, o.index AS index, o.name AS name,
       call.startNs AS callStartNs, o.startNs AS startNs, latencyNs,
       CASE WHEN busyNs IS NULL OR busyNs < 0 THEN 0 WHEN busyNs > latencyNs THEN latencyNs ELSE busyNs END AS queuedNs
ORDER BY latencyNs DESC, rank, callIndex, index
