// Device operators by name: how often they ran, and for how long.
//
// All operators on streams count: kernels, copies, collectives. `share` is the part of all time that operators of the
// chosen ranks spent on streams; streams that ran at once are counted each.
//
// parameters:
//   $trace  trace                the trace
//   $rank   integer?             only this rank
//   $limit  integer[1..] = 20    no more rows than this
//
// columns:
//   name     string   -   name of the operators
//   count    integer  -   how many ran with a measured duration
//   totalNs  integer  ns  the sum of their durations
//   meanNs   float    ns  the mean duration
//   minNs    integer  ns  the shortest
//   maxNs    integer  ns  the longest
//   share    float    -   part of the time of all device operators, 0 to 1
//
MATCH (:Trace {id: $trace, state: 'ready'})-[:HAS_RANK]->(k:Rank)
WHERE $rank IS NULL OR k.rank = $rank
MATCH (k)-[:HAS_LANE]->(:Lane {kind: 'STREAM'})<-[:ON_LANE]-(o:Operator)
WHERE o.durationNs IS NOT NULL
WITH o.name AS name, count(*) AS count, sum(o.durationNs) AS totalNs, avg(o.durationNs) AS meanNs,
     min(o.durationNs) AS minNs, max(o.durationNs) AS maxNs
WITH collect({name: name, count: count, totalNs: totalNs, meanNs: meanNs, minNs: minNs, maxNs: maxNs}) AS kernels,
     sum(totalNs) AS allNs
UNWIND kernels AS kernel
RETURN kernel.name AS name, kernel.count AS count, kernel.totalNs AS totalNs, toFloat(kernel.meanNs) AS meanNs,
       kernel.minNs AS minNs, kernel.maxNs AS maxNs,
       CASE allNs WHEN 0 THEN 0.0 ELSE toFloat(kernel.totalNs) / allNs END AS share
ORDER BY totalNs DESC, name
LIMIT $limit
