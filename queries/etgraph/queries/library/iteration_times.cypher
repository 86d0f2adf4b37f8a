// Iterations on each rank: their times, and how far each rank is behind the first to finish.
//
// An iteration's time is that of its annotation on the host.
//
// parameters:
//   $trace  trace       the trace
//   $rank   integer?    only this rank
//
// columns:
//   iteration   integer   -   index of the iteration, the same on all ranks
//   rank        integer   -   rank
//   name        string    -   its annotation
//   startNs     integer?  ns  its start
//   endNs       integer?  ns  its end
//   durationNs  integer?  ns  its duration
//   behindNs    integer?  ns  how much later it ended than on the rank that ended it first
//   operators   integer   -   number of operators that belong to it
//
MATCH (:Trace {id: $trace, state: 'ready'})-[:HAS_RANK]->(:Rank)-[:HAS_ITERATION]->(i:Iteration)
WITH i.index AS iteration, min(i.endNs) AS firstNs, collect(i) AS sides
UNWIND sides AS i
WITH iteration, firstNs, i
WHERE $rank IS NULL OR i.rank = $rank
RETURN iteration, i.rank AS rank, i.name AS name, i.startNs AS startNs, i.endNs AS endNs,
       i.endNs - i.startNs AS durationNs, i.endNs - firstNs AS behindNs,
       COUNT { (i)<-[:IN_ITERATION]-() } AS operators
ORDER BY iteration, rank
