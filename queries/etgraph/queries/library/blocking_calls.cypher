// Host calls that waited for a device, longest wait first.
//
// A call waits from its own start until the last device operator that it waits for has ended.
//
// parameters:
//   $trace  trace                the trace
//   $rank   integer?             only this rank
//   $limit  integer[1..] = 20    no more rows than this
//
// columns:
//   rank        integer   -   rank of both
//   index       integer   -   index of the call within its rank
//   name        string    -   name of the call
//   startNs     integer   ns  its start
//   durationNs  integer?  ns  its duration
//   waitNs      integer   ns  time that it waited
//   untilIndex  integer   -   index of the device operator that ended last
//   until       string    -   name of that operator
//   scope       string?   -   modules and annotations around the call
//
MATCH (:Trace {id: $trace, state: 'ready'})-[:HAS_RANK]->(k:Rank)
WHERE $rank IS NULL OR k.rank = $rank
MATCH (k)-[:HAS_LANE]->(:Lane {kind: 'STREAM'})<-[:ON_LANE]-(o:Operator)-[:SYNCS]->(call:Operator)
WHERE call.startNs IS NOT NULL AND o.startNs IS NOT NULL AND o.durationNs IS NOT NULL
WITH call, o, o.startNs + o.durationNs AS endNs
ORDER BY endNs DESC, o.key
WITH call, head(collect(o)) AS until, max(endNs) - call.startNs AS waitNs
WITH call, until, CASE WHEN waitNs < 0 THEN 0 ELSE waitNs END AS waitNs
ORDER BY waitNs DESC, call.key
LIMIT $limit
RETURN call.rank AS rank, call.index AS index, call.name AS name, call.startNs AS startNs,
       call.durationNs AS durationNs, waitNs, until.index AS untilIndex, until.name AS until, call.scope AS scope
ORDER BY waitNs DESC, rank, index
