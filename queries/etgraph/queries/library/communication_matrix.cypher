// Who sent how much to whom, and how much each rank put into collectives.
//
// A row of type SEND is what a rank sent to a peer; where the sender was not recorded, the receiver's operators tell.
// Any other row is one type of collective of a rank in one group. It has no peer, since what a collective sends to whom
// is not recorded: its bytes are the sizes of the whole messages.
//
// parameters:
//   $trace  trace    the trace
//
// columns:
//   rank     integer   -   rank that sends or takes part
//   peer     integer?  -   rank that it sends to, where that is known
//   type     string    -   SEND, or the type of the collective
//   group    string?   -   name of the collective's process group
//   count    integer   -   number of messages or collectives
//   bytes    integer?  B   their size, of those where it is known
//   totalNs  integer?  ns  time spent in their operators, of those where it is known
//
MATCH (t:Trace {id: $trace, state: 'ready'})-[:HAS_RANK]->(:Rank)-[:RAN]->(o:Operator)
WHERE o.kind IN ['COMM_SEND', 'COMM_COLL'] OR (o.kind = 'COMM_RECV' AND NOT o.peer IN t.ranks)
OPTIONAL MATCH (o)-[:IN_GROUP]->(g:ProcessGroup)
WITH o, o.kind = 'COMM_COLL' AS together, g
WITH CASE o.kind WHEN 'COMM_RECV' THEN o.peer ELSE o.rank END AS rank,
     CASE o.kind WHEN 'COMM_RECV' THEN o.rank WHEN 'COMM_SEND' THEN o.peer END AS peer,
     CASE WHEN together THEN coalesce(toString(o.commType), 'COLLECTIVE') ELSE 'SEND' END AS type,
     CASE WHEN together THEN g.name END AS group, o.commBytes AS size, o.durationNs AS duration
RETURN rank, peer, type, group, count(*) AS count,
       CASE WHEN count(size) > 0 THEN sum(size) END AS bytes,
       CASE WHEN count(duration) > 0 THEN sum(duration) END AS totalNs
ORDER BY rank, peer, type, group
