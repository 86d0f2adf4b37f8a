// When each device's allocator held most, and how much.
//
// Of several moments with the same amount, the first counts. Events that do not say how much is in use are left out.
//
// parameters:
//   $trace  trace       the trace
//   $rank   integer?    only this rank
//
// columns:
//   rank        integer   -   rank of the process
//   deviceType  integer?  -   PyTorch's device type, 0 is the CPU
//   device      integer?  -   ordinal of the device
//   timeNs      integer   ns  the moment
//   allocated   integer   B   bytes in use
//   reserved    integer?  B   bytes held from the device
//   events      integer   -   allocations and releases that were recorded
//
MATCH (:Trace {id: $trace, state: 'ready'})-[:HAS_RANK]->(k:Rank)
WHERE $rank IS NULL OR k.rank = $rank
MATCH (k)-[:HAS_MEMORY_EVENT]->(e:MemoryEvent)
WHERE e.allocated IS NOT NULL
WITH k.rank AS rank, e.deviceType AS deviceType, e.device AS device, e
ORDER BY e.allocated DESC, e.timeNs, e.key
WITH rank, deviceType, device, head(collect(e)) AS peak, count(*) AS events
RETURN rank, deviceType, device, peak.timeNs AS timeNs, peak.allocated AS allocated, peak.reserved AS reserved, events
ORDER BY rank, deviceType, device
