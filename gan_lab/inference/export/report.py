"""The parity report of an export: a table, and the same as plain containers."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from rich.table import Column, Table

from gan_lab.inference.export.graphs import Graph
from gan_lab.inference.export.parity import BATCHES, Difference
from gan_lab.inference.export.pictures import Pictures


def parity_table(found: Sequence[Difference], pictures: Pictures) -> Table:
    """Returns a table with a row for each graph, provider and size of images: the differences over batch sizes."""
    right = [Column(name, justify="right") for name in ("size", "largest", "mean")]
    table = Table(*(Column(name) for name in ("graph", "provider")), *right)
    table.caption = f"difference from the model, batches of {' and '.join(map(str, BATCHES))}, {pictures.description}"
    for graph, provider, size in dict.fromkeys((each.graph, each.provider, each.size) for each in found):
        rows = [each for each in found if (each.graph, each.provider, each.size) == (graph, provider, size)]
        unit = " levels" if rows[0].pixels else ""
        largest, mean = (max(getattr(row, name) for row in rows) for name in ("largest", "mean"))
        table.add_row(graph, provider, "×".join(map(str, size)), f"{largest:.2g}{unit}", f"{mean:.2g}{unit}")
    return table


def report(
    graphs: Sequence[Graph], found: Sequence[Difference], pictures: Pictures, bound: float, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns what ``parity.json`` has: each graph's inputs and output, and every difference.

    Args:
        graphs: as they were written.
        found: their differences.
        pictures: images that were compared on.
        bound: largest difference that was allowed.
        facts: about the checkpoint.
    """
    return {
        **facts,
        "inputs": pictures.description,
        "bound": bound,
        "graphs": {graph.name: described(graph) for graph in graphs},
        "differences": [each.row for each in found],
        "torch": torch.__version__,
    }


def described(graph: Graph) -> dict[str, Any]:
    """Returns a graph's inputs with their shapes, of which dynamic axes have names, and its output."""
    shapes = {}
    for port, example in zip(graph.ports, graph.inputs(1), strict=True):
        shapes[port.name] = [port.axes.get(axis, side) for axis, side in enumerate(example.shape)]
    found = {"inputs": shapes, "output": graph.output, "multiple": graph.multiple if graph.sized else None}
    return {**found, "note": graph.note}


def facts_of(contents: Mapping[str, Any]) -> dict[str, str]:
    """Returns facts of a checkpoint for the header of an ONNX file."""
    data = contents.get("data") or {}
    names = ", ".join(contents.get("class_names") or ())
    facts = {"data": str(data.get("name", "")), "class_names": names, "library": "gan_lab"}
    return {name: value for name, value in facts.items() if value}
