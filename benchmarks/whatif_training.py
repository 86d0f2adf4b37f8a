"""One rank of a small data-parallel training in which base and changed steps alternate: a program for PyTorch.

    python whatif_training.py FOLDER CHANGE RANK RENDEZVOUS

Two ranks over gloo on one host. Steps with an even number are as always, those with an odd one have the change; the
profiler records ten of them into `FOLDER/kineto_rankR.json`. `RENDEZVOUS` is a file that does not exist yet.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

WARMUP, STEPS = 4, 10
WORDS, WIDTH = 2048, 256
MB = 1 << 20


def main(folder: Path, change: str, rank: int, rendezvous: Path) -> None:
    """Train and record."""
    import torch
    import torch.distributed as dist
    from torch.nn import functional
    from torch.nn.parallel import DistributedDataParallel
    from torch.profiler import ProfilerActivity, profile, schedule

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.between = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)
            self.qkv, self.out = torch.nn.Linear(WIDTH, 3 * WIDTH), torch.nn.Linear(WIDTH, WIDTH)
            self.up, self.down = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            heads = self.qkv(self.before(x)).view(*x.shape[:2], 3, 4, -1).permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(*heads.unbind(0), is_causal=True)
            x = x + self.out(mixed.transpose(1, 2).reshape(x.shape))
            return x + self.down(functional.gelu(self.up(self.between(x))))

    torch.manual_seed(0)
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=rendezvous.as_uri(), rank=rank, world_size=2)

    def model() -> torch.nn.Module:
        layers = [torch.nn.Embedding(WORDS, WIDTH), Block(), Block(), torch.nn.LayerNorm(WIDTH)]
        return torch.nn.Sequential(*layers, torch.nn.Linear(WIDTH, WORDS, bias=False))

    usual = DistributedDataParallel(model(), bucket_cap_mb=2)
    merged = DistributedDataParallel(model(), bucket_cap_mb=100) if change == "one_bucket" else usual
    extra, tokens = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.randn(512, WIDTH)
    small, large, other = (torch.ones(size // 4) for size in (64 << 10, 4 * MB, 4 * MB))

    def step(number: int) -> None:
        changed = number % 2 == 1
        network = merged if changed else usual
        words = torch.randint(WORDS, (4, 128))
        if changed and change == "slower_rank" and rank == 1:
            with torch.no_grad():
                for _ in range(12):
                    extra(tokens)
        early = dist.all_reduce(large, async_op=True) if changed and change == "early_all_reduce" else None
        loss = functional.cross_entropy(network(words).flatten(0, 1), words.flatten())
        loss.backward()
        if early is not None:
            early.wait()
        if changed and change == "small_all_reduces":
            for _ in range(10):
                dist.all_reduce(small)
        if changed and change == "all_to_alls":
            for _ in range(4):
                dist.all_to_all_single(other, large)
        if changed and change == "host_work" and rank == 0:
            time.sleep(0.015)
        with torch.no_grad():
            for parameter in network.parameters():
                assert parameter.grad is not None
                parameter.add_(parameter.grad, alpha=-1e-3)
                parameter.grad = None

    def done(profiler: profile) -> None:
        profiler.export_chrome_trace(str(folder / f"kineto_rank{rank}.json"))

    plan = schedule(wait=WARMUP - 2, warmup=2, active=STEPS, repeat=1)
    with profile(activities=[ProfilerActivity.CPU], schedule=plan, record_shapes=True, on_trace_ready=done) as profiler:
        for number in range(WARMUP + STEPS):
            step(number)
            profiler.step()
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
