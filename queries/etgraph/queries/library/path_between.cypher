// A shortest chain of dependencies from one operator to another.
//
// Each row is an operator of the chain, from the first to the last. There are no rows where no dependencies lead from
// the one to the other. Of several chains that are equally short, one is given.
//
// parameters:
//   $trace    trace      the trace
//   $rank     integer    rank of the operator to begin at
//   $index    integer    index of this operator within its rank
//   $toRank   integer    rank of the operator to come to
//   $toIndex  integer    index of this operator within its rank
//
// columns:
//   step        integer   -   position in the chain, from 0
//   rank        integer   -   rank of the operator
//   index       integer   -   index of the operator within its rank
//   name        string    -   its name
//   startNs     integer?  ns  its start
//   durationNs  integer?  ns  its duration
//   via         strings   -   kinds of the dependencies from the operator before, none for the first
//
MATCH (t:Trace {id: $trace, state: 'ready'})
MATCH (t)-[:HAS_RANK]->(:Rank {rank: $rank})-[:RAN]->(a:Operator {index: $index})
MATCH (t)-[:HAS_RANK]->(:Rank {rank: $toRank})-[:RAN]->(b:Operator {index: $toIndex})
WHERE a <> b
MATCH path = shortestPath((a)-[:CTRL_DEP|DATA_DEP|CALLS|NEXT_ON_THREAD|LAUNCHES|NEXT_ON_STREAM|WAITS_EVENT|SYNCS|SPAWNS
                              |JOINS_THREAD|OCCUPIES|SENDS_TO*]->(b))
WITH nodes(path) AS chain
UNWIND range(0, size(chain) - 1) AS step
WITH step, chain[step] AS o, CASE step WHEN 0 THEN null ELSE chain[step - 1] END AS earlier
RETURN step, o.rank AS rank, o.index AS index, o.name AS name, o.startNs AS startNs, o.durationNs AS durationNs,
       COLLECT { MATCH (earlier)-[d]->(o) RETURN DISTINCT type(d) AS kind ORDER BY kind } AS via
ORDER BY step
