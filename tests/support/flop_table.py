"""Make the table of operations that `torch.utils.flop_counter` counts: `python tests/support/flop_table.py`.

It needs PyTorch, which the tests do not: they read the table, `tests/ingest/data/flop_counter.jsonl`. A line holds
name, dims, types, values of the inputs that are no tensors, and the counter's number. Tensors live on the `meta`
device, so that no operator computes anything; the numbers come from the counter's own formulas, with the result of
PyTorch's own shape functions.

Left out is what the counter itself cannot count: `_slow_conv2d_forward`, whose arguments its formula does not take, and
`_efficient_attention_…`, whose dims it reads in another order than the operator has them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

TABLE = Path(__file__).resolve().parents[1] / "ingest" / "data" / "flop_counter.jsonl"
SEED, EACH = 20, 24
_TYPES = {"float32": "float", "bfloat16": "c10::BFloat16", "float8_e4m3fn": "c10::Float8_e4m3fn", "int32": "int",
          "int64": "long int"}  # fmt: skip


class Cases:
    """Arguments of every operator that the counter knows, at random sizes."""

    def __init__(self, torch: Any) -> None:
        self.torch, self.aten = torch, torch.ops.aten
        self.random = random.Random(SEED)

    def size(self, most: int = 40) -> int:
        return self.random.randint(1, most)

    def tensor(self, *dims: int, dtype: str = "float32") -> Any:
        return self.torch.empty(dims, dtype=getattr(self.torch, dtype), device="meta")

    def matmul(self, name: str) -> tuple[Any, ...]:
        m, k, n, b = (self.size() for _ in range(4))
        batch = (b,) if "b" in name.replace("addmm", "") else ()
        pair = self.tensor(*batch, m, k), self.tensor(*batch, k, n)
        return (self.tensor(*batch, m, n), *pair) if name.startswith(("add", "badd")) else pair

    def scaled(self) -> tuple[Any, ...]:
        m, k, n = (16 * self.size(8) for _ in range(3))
        a, b = self.tensor(m, k, dtype="float8_e4m3fn"), self.tensor(k, n, dtype="float8_e4m3fn")
        return a, b, self.tensor(), self.tensor()

    def convolution(self) -> dict[str, Any]:
        space = self.random.choice((1, 2, 2, 3))
        groups, transposed = self.random.choice((1, 1, 2, 3)), self.random.random() < 0.3
        channels, outputs = groups * self.size(4), groups * self.size(4)
        kernel = [self.size(3) for _ in range(space)]
        stride = [self.size(2) for _ in range(space)]
        weight = (channels, outputs // groups) if transposed else (outputs, channels // groups)
        return {
            "x": self.tensor(self.size(4), channels, *(self.random.randint(7, 15) for _ in range(space))),
            "weight": self.tensor(*weight, *kernel),
            "bias": self.tensor(outputs),
            "stride": stride,
            "padding": [self.random.randint(0, k - 1) for k in kernel],
            "dilation": [self.size(2) for _ in range(space)],
            "transposed": transposed,
            "output_padding": [0 if s == 1 else self.random.randint(0, s - 1) for s in stride] if transposed
            else [0] * space,
            "groups": groups,
        }  # fmt: skip

    def attention(self, heads_first: bool) -> tuple[Any, Any, Any, Any]:
        """Query, key, value and output."""
        b, shared, s, t, d = self.size(4), self.size(4), self.size(), self.size(), 8 * self.size(8)
        heads = shared * self.random.choice((1, 1, 2))

        def dims(h: int, n: int) -> tuple[int, ...]:
            return (b, h, n, d) if heads_first else (b, n, h, d)

        return tuple(self.tensor(*dims(h, n)) for h, n in ((heads, s), (shared, t), (shared, t), (heads, s)))  # type: ignore[return-value]

    def one(self, name: str) -> tuple[list[Any], Any]:
        """Arguments of one call, in the order of the schema, and its result."""
        if name in ("mm", "addmm", "bmm", "baddbmm"):
            return list(self.matmul(name)), None
        if name == "_scaled_mm":
            return [*self.scaled(), None, None, self.torch.bfloat16, False], None
        if "conv" in name:
            return self._convolution(name)
        backward = name.endswith("_backward")
        query, key, value, out = self.attention(heads_first="_scaled_dot" in name)
        given = [out, query, key, value, out] if backward else [query, key, value]
        if name.startswith("_flash"):
            sums = [self.tensor(*query.shape[:2], query.shape[2])] if backward else []
            return [*given, *sums, None, None, query.shape[1], key.shape[1], 0.0, False], None
        return given, None

    def _convolution(self, name: str) -> tuple[list[Any], Any]:
        c = self.convolution()
        if name == "cudnn_convolution":
            while c["transposed"]:
                c = self.convolution()
        order = ("stride", "padding", "dilation", "transposed", "output_padding", "groups")
        general = [c["x"], c["weight"], c["bias"], *(c[key] for key in order)]
        out = self.aten.convolution(*general)
        if name == "convolution_backward":
            mask = [self.random.random() < 0.7 for _ in range(3)]
            gradients = [c["x"] if mask[0] else None, c["weight"] if mask[1] else None, None]
            return [out, c["x"], c["weight"], [len(c["bias"])], *general[3:], mask], gradients
        if name == "cudnn_convolution":
            middle = [c["padding"], c["stride"], c["dilation"], c["groups"], False, False, True]
            return [c["x"], c["weight"], *middle], out
        return [*general, *([False, False, True, True] if name == "_convolution" else [])], out


def lines() -> Iterator[str]:
    """The lines of the table. Raises ImportError without PyTorch."""
    torch: Any = import_module("torch")
    counter: Any = import_module("torch.utils.flop_counter")
    cases = Cases(torch)
    for operator, formula in counter.flop_registry.items():
        name = str(operator).removeprefix("aten.")
        if not str(operator).startswith("aten.") or name == "_slow_conv2d_forward" or name.startswith("_efficient"):
            continue
        for _ in range(3 * EACH if name == "convolution_backward" else EACH):
            arguments, out = cases.one(name)
            yield _line(torch, name, arguments, int(formula(*arguments, out_val=out)))


def _line(torch: Any, name: str, arguments: list[Any], flops: int) -> str:
    tensors = [isinstance(a, torch.Tensor) for a in arguments]
    dims = [list(a.shape) if t else [] for a, t in zip(arguments, tensors, strict=True)]
    types = [_TYPES[str(a.dtype).removeprefix("torch.")] if t else "" for a, t in zip(arguments, tensors, strict=True)]
    values = [None if t or isinstance(a, torch.dtype) else a for a, t in zip(arguments, tensors, strict=True)]
    return json.dumps([f"aten::{name}", dims, types, values, flops], separators=(",", ":"))


if __name__ == "__main__":
    TABLE.write_text("\n".join(lines()) + "\n")
