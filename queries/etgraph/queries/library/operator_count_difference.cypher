// Operators by name that one trace has more of than another.
//
// Names with the same count in both traces are left out; the largest difference comes first.
//
// parameters:
//   $trace  trace                the trace
//   $other  trace                the trace to compare it with
//   $limit  integer[1..] = 50    no more rows than this
//
// columns:
//   name          string    -   name of the operators
//   count         integer   -   how many the trace has
//   otherCount    integer   -   how many the other trace has
//   difference    integer   -   how many more the other trace has; below 0, how many fewer
//   totalNs       integer?  ns  time of those in the trace, where it is known
//   otherTotalNs  integer?  ns  time of those in the other trace, where it is known
//
UNWIND [[$trace, 0], [$other, 1]] AS side
MATCH (:Trace {id: side[0], state: 'ready'})-[:HAS_RANK]->(:Rank)-[:RAN]->(o:Operator)
WITH side[1] AS which, o.name AS name, count(*) AS count, count(o.durationNs) AS timed, sum(o.durationNs) AS ns
WITH name,
     sum(CASE which WHEN 0 THEN count ELSE 0 END) AS count,
     sum(CASE which WHEN 1 THEN count ELSE 0 END) AS otherCount,
     max(CASE WHEN which = 0 AND timed > 0 THEN ns END) AS totalNs,
     max(CASE WHEN which = 1 AND timed > 0 THEN ns END) AS otherTotalNs
WITH *, otherCount - count AS difference
WHERE difference <> 0
RETURN name, count, otherCount, difference, totalNs, otherTotalNs
ORDER BY abs(difference) DESC, name
LIMIT $limit
