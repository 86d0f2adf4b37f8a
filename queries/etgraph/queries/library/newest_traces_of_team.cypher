// The newest traces that a team published.
//
// A trace that the team published under several workloads comes once for each.
//
// parameters:
//   $team   string               name of the team
//   $limit  integer[1..] = 10    no more rows than this
//
// columns:
//   trace      trace     -   id of the trace
//   workload   string    -   the workload
//   created    string    -   when it came under this workload, ISO 8601
//   commit     string?   -   commit of the code that ran
//   branch     string?   -   branch of this code
//   ranks      integers  -   ranks that were recorded
//   operators  integer   -   number of operators
//   spanNs     integer   ns  time from the first start to the last end
//
MATCH (:Team {name: $team})-[:OWNS]->(w:Workload)-[e:HAS_TRACE]->(t:Trace {state: 'ready'})
WHERE e.team = $team
RETURN t.id AS trace, w.name AS workload, e.created AS created, e.commit AS commit, e.branch AS branch,
       t.ranks AS ranks, t.operators AS operators, t.spanNs AS spanNs
ORDER BY e.order DESC
LIMIT $limit
