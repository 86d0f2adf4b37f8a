"""The language of metrics: numbers of the answers of queries, and what is worked out of them.

`breakdown.exposedCommunicationNs`, `hotspots[key="all_reduce"].busBandwidth`, `sum(changes[kind="collective"].added)`.
Names are those of the JSON that every query gives; docs/alerts/rules.md tells all of it.
"""
