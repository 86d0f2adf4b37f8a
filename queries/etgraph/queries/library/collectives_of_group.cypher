// Collectives, the arrival of each member, and how long it waited for the last one.
//
// A member waits from its own start to the start of the last member, but no longer than it ran. Only members that were
// recorded count; where `members` is less than `size`, the last one may have come later. Without a group, the
// collectives of all groups are given, and those without a known group.
//
// parameters:
//   $trace  trace                  the trace
//   $group  string?                name of the process group
//   $limit  integer[1..] = 1000    no more rows than this
//
// columns:
//   collective   integer   -   number of the collective within the trace
//   group        string?   -   name of its process group
//   type         string    -   what it does
//   bytes        integer?  B   size of the whole message
//   size         integer?  -   ranks that should take part
//   members      integer   -   ranks that were recorded
//   rank         integer   -   rank of this member
//   index        integer   -   index of the member's operator within its rank
//   startNs      integer?  ns  when this member came
//   durationNs   integer?  ns  how long its operator ran
//   lastRank     integer?  -   the rank that came last; of several at one moment, the lowest
//   lastStartNs  integer?  ns  when it came
//   waitNs       integer?  ns  how long this member waited for it
//
MATCH (t:Trace {id: $trace, state: 'ready'})-[:HAS_COLLECTIVE]->(c:Collective)
OPTIONAL MATCH (c)-[:IN_GROUP]->(g:ProcessGroup)
WITH t, c, g
WHERE $group IS NULL OR g.name = $group
CALL (c) {
  MATCH (c)<-[:JOINS]-(o:Operator)
  RETURN count(o) AS members, max(o.startNs) AS lastStartNs
}
CALL (c, lastStartNs) {
  MATCH (c)<-[:JOINS]-(o:Operator)
  WHERE o.startNs = lastStartNs
  RETURN min(o.rank) AS lastRank
}
MATCH (c)<-[:JOINS]-(o:Operator)
RETURN c.key - t.key * 2147483648 AS collective, g.name AS group, toString(c.type) AS type, c.bytes AS bytes,
       c.size AS size, members, o.rank AS rank, o.index AS index, o.startNs AS startNs, o.durationNs AS durationNs,
       lastRank, lastStartNs,
       CASE WHEN lastStartNs - o.startNs > o.durationNs THEN o.durationNs ELSE lastStartNs - o.startNs END AS waitNs
ORDER BY collective, rank, index
LIMIT $limit
