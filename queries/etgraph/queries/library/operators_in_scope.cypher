// Operators that ran in a scope, in order.
//
// A scope is the path of modules and annotations around an operator, with / between its parts. The query gives the
// operators of that scope and of all scopes in it: `model/layer` also finds `model/layer/norm`, and not `model/layers`.
//
// parameters:
//   $trace  trace                  the trace
//   $scope  string                 the scope, from its outermost part
//   $rank   integer?               only this rank
//   $limit  integer[1..] = 1000    no more rows than this
//
// columns:
//   rank        integer   -   rank of the operator
//   index       integer   -   index of the operator within its rank
//   name        string    -   its name
//   scope       string    -   its own scope
//   startNs     integer?  ns  its start
//   durationNs  integer?  ns  its duration
//
MATCH (:Trace {id: $trace, state: 'ready'})-[:HAS_RANK]->(k:Rank)
WHERE $rank IS NULL OR k.rank = $rank
MATCH (k)-[:RAN]->(o:Operator)
WHERE o.scope = $scope OR o.scope STARTS WITH $scope + '/'
RETURN o.rank AS rank, o.index AS index, o.name AS name, o.scope AS scope,
       o.startNs AS startNs, o.durationNs AS durationNs
ORDER BY rank, index
LIMIT $limit
