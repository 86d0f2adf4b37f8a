"""One rank of a small data-parallel training that records itself: a program for an interpreter with PyTorch.

    python train.py FOLDER RANK WORLD_SIZE RENDEZVOUS

`RENDEZVOUS` is a file that does not exist yet, on a file system that all ranks see. The ranks train on GPUs where there
are any, else on the CPU, with NCCL where every rank has a GPU of its own, else with gloo.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

WAIT, WARMUP, STEPS = 1, 1, 3


def main(folder: Path, rank: int, world_size: int, rendezvous: Path) -> None:
    """Train a few steps, of which some are recorded, and a few more."""
    import torch
    import torch.distributed as dist

    from etgraph.ingest.record import record

    torch.manual_seed(rank)
    torch.set_num_threads(1)
    gpus = torch.cuda.device_count()
    device = torch.device(f"cuda:{rank % gpus}" if gpus else "cpu")
    dist.init_process_group(
        "nccl" if gpus >= world_size else "gloo",
        init_method=rendezvous.as_uri(),
        rank=rank,
        world_size=world_size,
        timeout=timedelta(seconds=120),
    )
    model = torch.nn.Sequential(
        torch.nn.Embedding(100, 32),
        torch.nn.Linear(32, 64),
        torch.nn.GELU(),
        torch.nn.LayerNorm(64),
        torch.nn.Linear(64, 100),
    ).to(device)
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(parallel.parameters())
    with record(folder, wait=WAIT, warmup=WARMUP, steps=STEPS) as recording:
        for _ in range(WAIT + WARMUP + STEPS + 2):
            words = torch.randint(100, (8, 16), device=device)
            loss = torch.nn.functional.cross_entropy(parallel(words).flatten(0, 1), words.flatten())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses = [torch.zeros_like(loss) for _ in range(world_size)]
            dist.all_gather(losses, loss.detach())
            token = torch.full((4,), float(rank), device=device)
            if rank % 2 == 0 and rank + 1 < world_size:
                dist.send(token, rank + 1)
            elif rank % 2 == 1:
                dist.recv(token, rank - 1)
            recording.step()
    assert recording.error is None, recording.error
    assert not recording.active
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
