// Simulations that are kept beside a trace, and how well each meets what was measured.
//
// `error` is of the makespan, signed; `durationError` the median over the operators, without sign.
//
// parameters:
//   $trace  trace    the trace
//
// columns:
//   simulation     string    -   id of the simulation
//   created        string    -   when it was kept
//   simulator      string    -   what made it
//   profile        string?   -   profile of the hardware that was simulated
//   makespanNs     integer   ns  predicted time of the whole
//   measuredNs     integer?  ns  measured time of the same
//   error          float?    -   makespan / measured - 1
//   predicted      integer   -   operators with a predicted duration
//   extrapolated   integer   -   of these, those from a model beyond what it was fitted on
//   durationError  float?    -   median of |predicted / measured - 1|
//   intervalShare  float?    -   share of the intervals that hold the measured duration
//   validations    integer   -   later traces of the workload that it was scored against
//
MATCH (:Trace {id: $trace, state: 'ready'})<-[:OF]-(p:Simulation {state: 'ready'})
RETURN p.id AS simulation, p.created AS created, p.simulator AS simulator, p.profile AS profile,
       p.makespanNs AS makespanNs, p.measuredNs AS measuredNs, p.error AS error, p.predicted AS predicted,
       p.extrapolated AS extrapolated, p.durationError AS durationError, p.intervalShare AS intervalShare,
       COUNT { (p)-[:VALIDATED_BY]->(:Trace {state: 'ready'}) } AS validations
ORDER BY created, simulation
