"""Convolutions of an ONNX graph that change the size of maps, in an equal form with less work.

A convolution of maps that were doubled by repetition multiplies each value by several weights: summed beforehand, a
3×3 kernel has four products for each of the four phases of the output instead of nine. A transposed convolution is
four convolutions too, which runtimes run faster than their scattered sums. A mean of 2×2 values after a convolution
is one convolution of stride 2 with a wider kernel.

Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?"; Odena et al. 2016, "Deconvolution and
checkerboard artifacts". The graph computes the new weights of the old ones, which runtimes do once, when they load it:
a file stays as large as it was.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

import numpy as np

OTHER_FLOATS = {10, 11, 16}
"""The numbers of ONNX for float16, float64 and bfloat16."""
OWN = "/phases"
"""Part of the names of new values and nodes; PyTorch's have no slash."""
Phases = dict[int, tuple[np.ndarray, int, int]]
"""By phase: how the taps (n, k) of its kernel are summed of the k given ones, and the zeros before and after."""


class SizeChanges:
    """Rewrites a graph in place.

    Args:
        graph: an onnx.GraphProto whose inner values have no noted shapes.
    """

    def __init__(self, graph: Any) -> None:
        self.graph, self.count = graph, 0
        self.made_by = {name: node for node in graph.node for name in node.output}
        self.uses = Counter(name for node in graph.node for name in node.input)
        self.uses.update(value.name for value in graph.output)
        self.fixed = {each.name for each in graph.initializer}
        for node in graph.node:
            if node.input and self.fixed.issuperset(filter(None, node.input)):
                self.fixed.update(node.output)

    def rewrite(self) -> int:
        """Returns the number of convolutions that were replaced: none in graphs with other floats or inner graphs."""
        inner = any(each.HasField("g") or each.graphs for node in self.graph.node for each in node.attribute)
        if inner or OTHER_FLOATS.intersection(each.data_type for each in self.graph.initializer):
            return 0
        nodes = [each for node in self.graph.node for each in self._replaced(node)]
        del self.graph.node[:]
        self.graph.node.extend(self._used(nodes))
        names = {name for node in self.graph.node for name in node.input} | {each.name for each in self.graph.output}
        kept = [each for each in self.graph.initializer if each.name in names]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)
        return self.count

    def _replaced(self, node: Any) -> Iterable[Any]:
        source = self._source(node)
        if source and self._is_of_doubled(node):
            kernel, pad = _attribute(node, "kernel_shape"), _attribute(node, "pads")[0]
            return self._in_phases(node, source.input[0], _of_repetition(kernel[0], pad), even=True)
        if node.op_type == "ConvTranspose" and self._is_plain(node, (2, 2)):
            (kernel, _), (pad, *_) = _attribute(node, "kernel_shape"), _attribute(node, "pads")
            extra = (_attribute(node, "output_padding") or [0])[0]
            phases = _of_transposition(kernel, pad, extra)
            if all(min(before, after) >= 0 for _, before, after in phases.values()):
                return self._in_phases(node, node.input[0], phases, even=(kernel + extra) % 2 == 0)
        if node.op_type == "AveragePool" and source and self._halves(node, source):
            return self._strided(source, node)
        return [node]

    def _source(self, node: Any) -> Any:
        """Returns the node that makes the first input of another, or None."""
        return self.made_by.get(node.input[0]) if node.input else None

    def _is_of_doubled(self, node: Any) -> bool:
        """Says whether a node is a convolution of maps that were just doubled."""
        source = self._source(node)
        return node.op_type == "Conv" and bool(source) and self._doubles(source) and self._keeps_size(node)

    def _is_plain(self, node: Any, strides: tuple[int, int]) -> bool:
        """Says whether a convolution has fixed weights, no groups and no dilation, and the same in both directions."""
        kernel, pads = _attribute(node, "kernel_shape"), _attribute(node, "pads")
        extra = _attribute(node, "output_padding") or [0, 0]
        return (
            node.input[1] in self.fixed
            and bool(kernel and pads)
            and len({*kernel}) == len({*pads}) == len({*extra}) == 1
            and len(kernel) == 2
            and kernel[0] > 1
            and not _attribute(node, "output_shape")
            and tuple(_attribute(node, "strides") or (1, 1)) == strides
            and {*(_attribute(node, "dilations") or (1, 1))} == {1}
            and (_attribute(node, "group") or 1) == 1
            and _attribute(node, "auto_pad") in (None, b"NOTSET")
        )

    def _keeps_size(self, node: Any) -> bool:
        return (
            self._is_plain(node, (1, 1)) and 2 * _attribute(node, "pads")[0] == _attribute(node, "kernel_shape")[0] - 1
        )

    def _doubles(self, node: Any) -> bool:
        """Says whether a node repeats each value of a map twice in both directions."""
        if node.op_type != "Resize" or len(node.input) < 3 or not node.input[2]:
            return False
        scales = next((each for each in self.graph.initializer if each.name == node.input[2]), None)
        kinds = [_attribute(node, key) for key in ("mode", "coordinate_transformation_mode", "nearest_mode")]
        return kinds == [b"nearest", b"asymmetric", b"floor"] and _values(scales) == [1, 1, 2, 2]

    def _halves(self, node: Any, source: Any) -> bool:
        """Says whether a node takes means of 2×2 values of a convolution that nothing else uses."""
        return (
            source.op_type == "Conv"
            and self.uses[source.output[0]] == 1
            and self._keeps_size(source)
            and not self._is_of_doubled(source)
            and {*(_attribute(node, "dilations") or (1, 1))} == {1}
            and _attribute(node, "kernel_shape") == _attribute(node, "strides") == [2, 2]
            and not any(_attribute(node, "pads") or ())
            and not _attribute(node, "ceil_mode")
            and _attribute(node, "auto_pad") in (None, b"NOTSET")
        )

    def _in_phases(self, node: Any, source: str, phases: Phases, even: bool) -> Iterator[Any]:
        """Yields nodes that have the output of ``node``: a convolution for each phase, and what interleaves them."""
        from onnx import helper

        self.count += 1
        out, bias = node.output[0], list(node.input[2:])
        own = f"{out}{OWN}"
        weight = yield from self._flat(node)
        parts = []
        for (a, (rows, top, bottom)), (b, (columns, left, right)) in product(phases.items(), repeat=2):
            part = f"{own}{a}{b}"
            yield from self._kernel(node, weight, f"{part}_weight", rows, columns)
            pads, shape = [top, left, bottom, right], [len(rows), len(columns)]
            yield helper.make_node(
                "Conv", [source, f"{part}_weight", *bias], [part], part, pads=pads, kernel_shape=shape
            )
            parts.append(part)
        yield helper.make_node("Concat", parts, [own], own, axis=1)
        whole = out if even else f"{own}_whole"
        yield helper.make_node("DepthToSpace", [own], [whole], whole, blocksize=2, mode="DCR")
        if not even:  # both phases have one value more than the second needs
            ends = [self._constant(f"{own}_{key}", [value] * 2) for key, value in (("starts", 0), ("ends", -1))]
            axes = self._constant(f"{own}_axes", [2, 3])
            yield helper.make_node("Slice", [whole, *ends, axes], [out], out)

    def _strided(self, node: Any, mean: Any) -> Iterator[Any]:
        """Yields a convolution of stride 2 that has the output of ``mean``."""
        from onnx import helper

        self.count += 1
        kernel, pads = _attribute(node, "kernel_shape")[0], _attribute(node, "pads")
        out, sums = mean.output[0], (np.eye(kernel + 1, kernel) + np.eye(kernel + 1, kernel, -1)) / 2
        weight = yield from self._flat(node)
        yield from self._kernel(node, weight, f"{out}{OWN}_weight", sums, sums)
        inputs, shape = [node.input[0], f"{out}{OWN}_weight", *node.input[2:]], [kernel + 1] * 2
        yield helper.make_node("Conv", inputs, [out], out, pads=pads, kernel_shape=shape, strides=[2, 2])

    def _flat(self, node: Any) -> Any:
        """Yields a node that has the weights with a row for each kernel; returns its name."""
        from onnx import helper

        weight, out = node.input[1], f"{node.output[0]}{OWN}_kernels"
        if node.op_type == "ConvTranspose":
            yield helper.make_node("Transpose", [weight], [f"{out}_turned"], f"{out}_turned", perm=[1, 0, 2, 3])
            weight = f"{out}_turned"
        shape = self._constant(f"{out}_shape", [0, 0, -1])
        yield helper.make_node("Reshape", [weight, shape], [out], out)
        return out

    def _kernel(self, node: Any, weight: str, out: str, rows: np.ndarray, columns: np.ndarray) -> Iterator[Any]:
        """Yields nodes that have kernels of weights that are summed of the given ones."""
        from onnx import helper

        sums = self._constant(f"{out}_sums", np.kron(rows, columns).T.astype(np.float32))
        shape = self._constant(f"{out}_shape", [0, 0, len(rows), len(columns)])
        yield helper.make_node("MatMul", [weight, sums], [f"{out}_rows"], f"{out}_rows")
        yield helper.make_node("Reshape", [f"{out}_rows", shape], [out], out)

    def _constant(self, name: str, values: Any) -> str:
        """Adds an initializer, of int64 if it is a list; returns its name."""
        from onnx import numpy_helper

        self.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def _used(self, nodes: list[Any]) -> list[Any]:
        """Returns the nodes without those that lost all uses."""
        wanted, kept = {value.name for value in self.graph.output}, []
        for node in reversed(nodes):
            if wanted.intersection(node.output):
                kept.append(node)
                wanted.update(node.input)
        return kept[::-1]


def _of_repetition(kernel: int, pad: int) -> Phases:
    """Output 2i + a has the sum of w[t] x[i + floor((a - pad + t) / 2)]."""
    return {a: _phase([(t, (a - pad + t) // 2) for t in range(kernel)], kernel) for a in (0, 1)}


def _of_transposition(kernel: int, pad: int, extra: int) -> Phases:
    """Output 2i + a has the sum of w[t] x[i + (a + pad - t) / 2] over t of a + pad's parity."""
    phases = {}
    for a in (0, 1):
        taps = [(t, (a + pad - t) // 2) for t in range(kernel) if (a + pad - t) % 2 == 0]
        sums, before, _ = _phase(taps, kernel)
        longer = (kernel + extra - 2 * pad - 2 + 1) // 2  # half the output's side, rounded up, less the input's side
        phases[a] = sums, before, longer - before + len(sums) - 1
    return phases


def _phase(taps: list[tuple[int, int]], kernel: int) -> tuple[np.ndarray, int, int]:
    """Returns how taps at certain offsets are summed, (n, k), and the zeros before and after that keep a size."""
    offsets = [offset for _, offset in taps]
    first, last = min(offsets), max(offsets)
    sums = np.zeros((last - first + 1, kernel))
    for tap, offset in taps:
        sums[offset - first, tap] = 1
    return sums, -first, last


def _attribute(node: Any, name: str) -> Any:
    """Returns an attribute's value, or None."""
    from onnx import helper

    found = next((each for each in node.attribute if each.name == name), None)
    value = None if found is None else helper.get_attribute_value(found)
    return list(value) if isinstance(value, (list, tuple)) else value


def _values(tensor: Any) -> list[float] | None:
    from onnx import numpy_helper

    return None if tensor is None else numpy_helper.to_array(tensor).tolist()
