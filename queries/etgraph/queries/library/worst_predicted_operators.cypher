// Operators whose predicted durations are furthest from the measured ones.
//
// By the time that they are apart, predicted too long or too short. Without a simulation, those of all that are kept
// beside the trace.
//
// parameters:
//   $trace       trace                the trace
//   $simulation  string?              only this simulation: its id, or the beginning of it
//   $rank        integer?             only this rank
//   $limit       integer[1..] = 20    no more rows than this
//
// columns:
//   simulation    string    -   id of the simulation
//   rank          integer   -   rank of the operator
//   index         integer   -   its index within the rank
//   name          string    -   its name
//   measuredNs    integer   ns  measured duration
//   predictedNs   integer   ns  predicted duration
//   lowNs         integer?  ns  lower end of its interval
//   highNs        integer?  ns  upper end of it
//   apartNs       integer   ns  predicted less measured
//   error         float?    -   predicted / measured - 1
//   source        string?   -   which model it comes from
//   extrapolated  boolean?  -   whether that model was beyond what it was fitted on
//
MATCH (:Trace {id: $trace, state: 'ready'})<-[:OF]-(p:Simulation {state: 'ready'})
WHERE $simulation IS NULL OR p.id STARTS WITH $simulation
MATCH (p)-[s:PREDICTS]->(o:Operator)
WHERE s.durationNs IS NOT NULL AND o.durationNs IS NOT NULL AND ($rank IS NULL OR o.rank = $rank)
WITH p, s, o, s.durationNs - o.durationNs AS apartNs
ORDER BY abs(apartNs) DESC, p.id, o.rank, o.index
LIMIT $limit
RETURN p.id AS simulation, o.rank AS rank, o.index AS index, o.name AS name, o.durationNs AS measuredNs,
       s.durationNs AS predictedNs, s.durationLowNs AS lowNs, s.durationHighNs AS highNs, apartNs,
       CASE WHEN o.durationNs > 0 THEN toFloat(apartNs) / o.durationNs END AS error, s.source AS source,
       s.extrapolated AS extrapolated
ORDER BY abs(apartNs) DESC, simulation, rank, index
