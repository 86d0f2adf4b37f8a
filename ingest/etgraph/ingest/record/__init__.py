"""Recording: both traces of a PyTorch run, execution trace and Kineto, in one `with` block.

    from etgraph.ingest.record import record

    with record("runs/step12", wait=1, warmup=2, steps=3) as recording:
        for batch in loader:
            train(batch)
            recording.step()

Every rank does this and adds its two files to the folder, which `etgraph ingest runs/step12` reads. Importing this
package loads neither PyTorch nor what the rest of etgraph needs: the process that is recorded should not wait for it.
"""

from etgraph.ingest.record.recording import Recording, RecordingWarning, record

__all__ = ["Recording", "RecordingWarning", "record"]
