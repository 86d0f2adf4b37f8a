"""Ingest: trace files of all supported formats into traces.

Names are imported when they are first asked for: `etgraph.ingest.record` runs inside training processes, which need
none of the readers. They stand in `__init__.pyi`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
