"""How the tests are spread over several processes: one file goes to one process, and so do all that need one server.

What a file's tests share, such as a store or a trace that was read, is then made once, not once a process. A Neo4j
server costs most of all, and its database is one test's at a time.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadGroupScheduling
from xdist.workermanage import WorkerController

from support import neo4j


class ByFile(LoadGroupScheduling):
    """Hands out files in the order of collection, and what has a group of its own before them.

    The groups take longest, and doctests, which are collected last, are short: so the processes end together.
    """

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        group = super()._split_scope(nodeid)
        return nodeid.partition("::")[0] if group == nodeid else group

    def _assign_work_unit(self, node: WorkerController) -> None:
        for group in neo4j.GROUPS.values():
            if group in self.workqueue:
                self.workqueue.move_to_end(group, last=False)
        super()._assign_work_unit(node)


__all__ = ["ByFile"]
