// What each simulation says of every operator, beside what was measured.
//
// A row is an operator under one simulation; rows of one operator follow each other. Operators that a simulation gives
// no time for have a row with nothing predicted.
//
// parameters:
//   $trace  trace                   the trace
//   $rank   integer?                only this rank
//   $name   string?                 only operators of this name
//   $limit  integer[1..] = 10000    no more rows than this
//
// columns:
//   rank             integer   -   rank of the operator
//   index            integer   -   its index within the rank
//   name             string    -   its name
//   startNs          integer?  ns  its measured start
//   durationNs       integer?  ns  its measured duration
//   simulation       string    -   id of the simulation
//   simulator        string    -   what made it
//   predictedStartNs integer?  ns  its predicted start
//   predictedNs      integer?  ns  its predicted duration
//   lowNs            integer?  ns  lower end of the interval of that
//   highNs           integer?  ns  upper end of it
//   source           string?   -   which model it comes from
//
MATCH (:Trace {id: $trace, state: 'ready'})<-[:OF]-(p:Simulation {state: 'ready'})-[s:PREDICTS]->(o:Operator)
WHERE ($rank IS NULL OR o.rank = $rank) AND ($name IS NULL OR o.name = $name)
RETURN o.rank AS rank, o.index AS index, o.name AS name, o.startNs AS startNs, o.durationNs AS durationNs,
       p.id AS simulation, p.simulator AS simulator, s.startNs AS predictedStartNs, s.durationNs AS predictedNs,
       s.durationLowNs AS lowNs, s.durationHighNs AS highNs, s.source AS source
ORDER BY rank, index, p.created, simulation
LIMIT $limit
