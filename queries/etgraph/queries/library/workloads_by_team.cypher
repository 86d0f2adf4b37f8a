// Workloads, a row for each team that published under one: its newest trace, and what its steps lose.
//
// The lost time is that of the waterfall that was kept last (`etgraph waterfall --save`), beside the newest trace that
// has one: what late ranks, exposed communication, the host and operators below their roofline cost the measured window,
// and what an ideal one would take. A team that is not known comes last.
//
// parameters:
//   $team   string?               only what this team published
//   $limit  integer[1..] = 1000   no more rows than this
//
// columns:
//   team             string?   -   the team
//   workload         string    -   the workload
//   traces           integer   -   traces that the team published under it
//   newest           trace     -   id of the newest of them
//   created          string    -   when that came under this workload, ISO 8601
//   worldSize        integer?  -   ranks of the run that it is of
//   deviceModel      string?   -   the device that it ran on
//   spanNs           integer   ns  time from its first start to its last end
//   measuredNs       integer?  ns  window of the waterfall
//   lateRanksNs      integer?  ns  lost to late ranks
//   communicationNs  integer?  ns  lost to exposed communication
//   hostNs           integer?  ns  lost to the host
//   rooflineNs       integer?  ns  lost by operators below their roofline
//   idealNs          integer?  ns  what an ideal window would take
//
MATCH (w:Workload)-[e:HAS_TRACE]->(t:Trace {state: 'ready'})
WHERE $team IS NULL OR e.team = $team
WITH w, e.team AS team, e, t ORDER BY e.order DESC
WITH w, team, collect(t) AS traces, collect(e.created) AS created
CALL (traces) {
  UNWIND range(0, size(traces) - 1) AS age
  WITH traces[age] AS t, age
  MATCH (t)<-[:OF]-(a:Artefact {kind: 'waterfall', state: 'ready'})
  WHERE NOT a.name CONTAINS '"simulation"'
  WITH a, age ORDER BY age, a.created DESC LIMIT 1
  MATCH (a)-[:HAS_ROW]->(r:ArtefactRow)
  RETURN collect(r) AS lost
}
WITH w, team, traces, created, lost,
     [name IN ['measured', 'late ranks', 'exposed communication', 'host', 'below roofline', 'ideal'] |
      head([r IN lost WHERE r.name = name | r.ns])] AS ns
RETURN team, w.name AS workload, size(traces) AS traces, traces[0].id AS newest, created[0] AS created,
       traces[0].worldSize AS worldSize, traces[0].deviceModel AS deviceModel, traces[0].spanNs AS spanNs,
       ns[0] AS measuredNs, ns[1] AS lateRanksNs, ns[2] AS communicationNs, ns[3] AS hostNs, ns[4] AS rooflineNs,
       ns[5] AS idealNs
ORDER BY team, workload
LIMIT $limit
