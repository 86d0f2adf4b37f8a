// Operators on a critical path that was saved beside the trace, in order.
//
// Without a choice, all paths of the measured times come one after another. Times in which no operator was on the path
// have no row.
//
// parameters:
//   $trace       trace                   the trace
//   $kind        string?                 only paths of this kind: critical-path, the measured one, or
//     model-critical-path
//   $iteration   integer?                only paths of this iteration alone
//   $pathRank    integer?                only paths of this rank
//   $simulation  string?                 only paths on the timeline of this simulation, by its id
//   $limit       integer[1..] = 10000    no more rows than this
//
// columns:
//   path       integer   -   number of the path, from 0
//   kind       string    -   kind of the path
//   iteration  integer?  -   the iteration that it was asked for, where that was one
//   order      integer   -   position on the path
//   rank       integer   -   rank of the operator
//   index      integer   -   index of the operator within its rank
//   name       string    -   its name
//   category   string?   -   what the path's time is counted as
//   detail     string?   -   more of that
//   startNs    integer?  ns  start of the piece of the path
//   endNs      integer?  ns  end of the piece of the path
//   via        string?   -   kind of the dependency by which the path came to the operator
//
MATCH (:Trace {id: $trace, state: 'ready'})<-[:OF]-(p:CriticalPath)
WHERE ($kind IS NULL OR p.kind = $kind)
  AND ($iteration IS NULL OR p.iteration = $iteration)
  AND ($pathRank IS NULL OR p.rank = $pathRank)
  AND coalesce(p.simulation, '') = coalesce($simulation, '')
WITH p ORDER BY p.key
WITH collect(p) AS paths
UNWIND range(0, size(paths) - 1) AS path
WITH path, paths[path] AS p
MATCH (p)-[s:PASSES]->(o:Operator)
RETURN path, p.kind AS kind, p.iteration AS iteration, s.order AS order, o.rank AS rank, o.index AS index,
       o.name AS name, s.category AS category, s.detail AS detail, s.startNs AS startNs, s.endNs AS endNs, s.via AS via
ORDER BY path, order
LIMIT $limit
