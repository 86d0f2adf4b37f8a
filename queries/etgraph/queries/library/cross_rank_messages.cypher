// Messages between ranks, longest on the way first.
//
// A message goes from the start of the send to the end of the receive. Messages without measured times come last.
//
// parameters:
//   $trace  trace                 the trace
//   $limit  integer[1..] = 100    no more rows than this
//
// columns:
//   rank       integer   -   rank that sends
//   index      integer   -   index of the send within its rank
//   peer       integer   -   rank that receives
//   peerIndex  integer   -   index of the receive within its rank
//   tag        integer?  -   tag of the message
//   bytes      integer?  B   its size
//   startNs    integer?  ns  start of the send
//   endNs      integer?  ns  end of the receive
//   lengthNs   integer?  ns  from the one to the other
//   lateNs     integer?  ns  how much later the receive began than the send; below 0, how much earlier
//
MATCH (:Trace {id: $trace, state: 'ready'})-[:HAS_RANK]->(:Rank)-[:RAN]->(s:Operator {kind: 'COMM_SEND'})
MATCH (s)-[:SENDS_TO]->(r:Operator)
WITH s, r, r.startNs + r.durationNs AS endNs
RETURN s.rank AS rank, s.index AS index, r.rank AS peer, r.index AS peerIndex, coalesce(s.tag, r.tag) AS tag,
       coalesce(s.commBytes, r.commBytes) AS bytes, s.startNs AS startNs, endNs, endNs - s.startNs AS lengthNs,
       r.startNs - s.startNs AS lateNs
ORDER BY coalesce(lengthNs, -1) DESC, rank, index, peer, peerIndex
LIMIT $limit
