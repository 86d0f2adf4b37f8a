"""What one operator does not record and another of the same trace does."""

from __future__ import annotations

from collections.abc import Iterable

from etgraph.ingest.work.call import Dims
from etgraph.ingest.work.convolution import TRIPLES
from etgraph.ingest.work.fbgemm import batched, stem
from etgraph.ingest.work.tensors import Input, Tensor

_NORMALISED_BACKWARD = {"aten::cudnn_batch_norm_backward": 0, "aten::miopen_batch_norm_backward": 0,
                        "aten::native_batch_norm_backward": 1}  # fmt: skip
_AMBIGUOUS: Dims = (-1,)
RELATED = frozenset({*TRIPLES, *_NORMALISED_BACKWARD})
"""Names of the operators that others are completed from."""


class Convolved:
    """Dims of convolutions by two of input, weight and output; and the inputs that batch norms learned from.

    Operators backward record all three dims. Where all that share two agree on the third, it holds for the forward one
    with these two as well; where they do not, it is unknown.
    """

    def __init__(self) -> None:
        self._third: dict[tuple[str, Dims, Dims], Dims] = {}
        self._normalised: set[Dims] = set()

    def add(self, name: str, inputs: list[Input]) -> None:
        """Take in one operator of `RELATED`."""
        if name in _NORMALISED_BACKWARD:
            found = inputs[_NORMALISED_BACKWARD[name]]
            if isinstance(found, Tensor):
                self._normalised.add(found.dims)
            return
        triple = [inputs[at] if at < len(inputs) else None for at in TRIPLES[name]]
        if all(isinstance(t, Tensor) for t in triple):
            x, weight, out = (t.dims for t in triple)  # type: ignore[union-attr]
            for key, dims in ((("out", x, weight), out), (("weight", x, out), weight), (("x", weight, out), x)):
                if self._third.setdefault(key, dims) != dims:
                    self._third[key] = _AMBIGUOUS

    def __call__(
        self,
        *,
        x: Dims | None = None,
        weight: Dims | None = None,
        out: Dims | None = None,
        normalised: Dims | None = None,
    ) -> Dims | None:
        """The third of the dims, None where the trace does not have it; `normalised` back where it was learned from."""
        if normalised is not None:
            return normalised if normalised in self._normalised else None
        if out is None and x is not None and weight is not None:
            found = self._third.get(("out", x, weight))
        elif weight is None and x is not None and out is not None:
            found = self._third.get(("weight", x, out))
        elif x is None and weight is not None and out is not None:
            found = self._third.get(("x", weight, out))
        else:
            found = None
        return None if found == _AMBIGUOUS else found


def pair_lookups(rows: Iterable[tuple[int, str]]) -> dict[int, int]:
    """Batched lookups with their backward nodes, both ways, by row; rows in order of start, with their names.

    Autograd runs backwards: a node belongs to the last lookup of its optimizer that has none yet. Lookups that never get
    one (evaluation, the end of the recording) stay single.
    """
    open_lookups: dict[str, list[int]] = {}
    partner: dict[int, int] = {}
    for row, name in rows:
        half = batched(name)
        if half:
            open_lookups.setdefault(stem(name), []).append(row)
        elif half is False and open_lookups.get(stem(name)):
            other = open_lookups[stem(name)].pop()
            partner[row], partner[other] = other, row
    return partner
