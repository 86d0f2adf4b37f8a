// The operators that took longest.
//
// Operators without a measured duration are left out; of two that took equally long, the one of the lower rank and
// index comes first. Host operators enclose others, so their durations overlap.
//
// parameters:
//   $trace     trace                the trace
//   $rank      integer?             only this rank
//   $kind      string?              only this kind: COMP, COMM_COLL, COMM_SEND, …
//   $category  string?              only this category: CPU_OP, RUNTIME, KERNEL, MEMCPY, …
//   $limit     integer[1..] = 20    no more rows than this
//
// columns:
//   rank        integer   -   rank of the operator
//   index       integer   -   index of the operator within its rank
//   name        string    -   its name
//   kind        string    -   its kind
//   category    string    -   the part of the stack that recorded it
//   startNs     integer?  ns  its start
//   durationNs  integer   ns  its duration
//   scope       string?   -   modules and annotations around it
//
MATCH (:Trace {id: $trace, state: 'ready'})-[:HAS_RANK]->(k:Rank)
WHERE $rank IS NULL OR k.rank = $rank
MATCH (k)-[:RAN]->(o:Operator)
WHERE o.durationNs IS NOT NULL
  AND ($kind IS NULL OR o.kind = $kind)
  AND ($category IS NULL OR o.category = $category)
WITH o, o.durationNs AS durationNs
ORDER BY durationNs DESC, o.key
LIMIT $limit
RETURN o.rank AS rank, o.index AS index, o.name AS name, toString(o.kind) AS kind,
       toString(o.category) AS category, o.startNs AS startNs, durationNs, o.scope AS scope
ORDER BY durationNs DESC, rank, index
