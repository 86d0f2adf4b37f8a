// What an operator waits for and what waits for it, a few dependencies away.
//
// Dependencies of all kinds are followed, against their direction for `before`, with it for `after`. An operator comes
// once for each side, with the fewest dependencies by which it is reached. Members of one collective are not
// neighbours by that alone. There are no rows where the trace has no such operator.
//
// parameters:
//   $trace  trace                 the trace
//   $rank   integer               rank of the operator
//   $index  integer               index of the operator within its rank
//   $hops   integer[1..6] = 2     how many dependencies away
//   $limit  integer[1..] = 200    no more rows than this
//
// columns:
//   side        string    -   before or after
//   hops        integer   -   how many dependencies away
//   rank        integer   -   rank of the neighbour
//   index       integer   -   index of the neighbour within its rank
//   name        string    -   its name
//   startNs     integer?  ns  its start
//   durationNs  integer?  ns  its duration
//
MATCH (:Trace {id: $trace, state: 'ready'})-[:HAS_RANK]->(k:Rank {rank: $rank})-[:RAN]->(o:Operator {index: $index})
CALL (o) {
  MATCH path = (o)<-[:CTRL_DEP|DATA_DEP|CALLS|NEXT_ON_THREAD|LAUNCHES|NEXT_ON_STREAM|WAITS_EVENT|SYNCS|SPAWNS
                     |JOINS_THREAD|OCCUPIES|SENDS_TO*1..6]-(n:Operator)
  RETURN 'before' AS side, n, min(length(path)) AS hops
  UNION ALL
  MATCH path = (o)-[:CTRL_DEP|DATA_DEP|CALLS|NEXT_ON_THREAD|LAUNCHES|NEXT_ON_STREAM|WAITS_EVENT|SYNCS|SPAWNS
                    |JOINS_THREAD|OCCUPIES|SENDS_TO*1..6]->(n:Operator)
  RETURN 'after' AS side, n, min(length(path)) AS hops
}
WITH o, side, n, hops
WHERE hops <= $hops AND n <> o
RETURN side, hops, n.rank AS rank, n.index AS index, n.name AS name, n.startNs AS startNs, n.durationNs AS durationNs
ORDER BY side DESC, hops, rank, index
LIMIT $limit
