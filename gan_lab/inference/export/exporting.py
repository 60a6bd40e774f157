"""Exports the graphs of a model to a folder, and measures that they equal the model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.inference.export.graphs import Forward, Graph, graphs_of
from gan_lab.inference.export.parity import Difference, check, differences
from gan_lab.inference.export.pictures import Pictures, Size
from gan_lab.inference.export.tracing import for_inference, traced, without_dropout

Format = Literal["onnx", "pt2"]
Run = Callable[..., Tensor]


def export(
    model: Any,
    folder: Path,
    format: Format,
    size: Size,
    pictures: Pictures,
    only: Sequence[str] = (),
    pixels: bool = False,
    aoti: bool = False,
    n: int = 6,
    bound: float = 1e-4,
    sizes: int = 2,
    steps: int = 4,
    facts: Mapping[str, str] | None = None,
) -> tuple[list[Graph], list[Difference]]:
    """Writes each graph of a model into a folder, and compares it with the model.

    Args:
        model: of ``gan_lab.load``; it stays as it is.
        folder: it exists.
        format: "onnx", or "pt2" of torch.export.
        size: height and width of the images that the model was trained on.
        pictures: to compare on.
        only: names of the graphs to write; all by default.
        pixels: images are uint8 in and out.
        aoti: also write packages that are compiled ahead of time (pt2).
        n: inputs of each comparison.
        bound: largest difference.
        sizes: sizes of images to compare, for graphs that take any.
        steps: frames that a forecaster's graph makes.
        facts: kept in the header of ONNX files.

    Returns:
        the graphs that were written, and the differences of each.

    Raises:
        UserError: for a graph that cannot be exported, or differs by more than the bound.
    """
    reference = without_dropout(model)
    lean = for_inference(reference)
    graphs = _chosen(graphs_of(lean, size, pictures, steps=steps), only)
    written: list[Graph] = []
    found: list[Difference] = []
    for graph in graphs:
        fitting, program = _traced(lean, graph, pixels)
        forward = Forward(reference, fitting, pixels)
        for provider, run in _files(format, program, fitting, folder, aoti, facts or {}):
            found += differences(forward, run, provider, n, sizes)
        written.append(fitting)
    check(found, bound)
    return written, found


def _chosen(graphs: list[Graph], only: Sequence[str]) -> list[Graph]:
    """Returns the graphs of these names.

    Raises:
        UserError: for a name that the model does not have.
    """
    names = [graph.name for graph in graphs]
    for name in only:
        if name not in names:
            raise UserError(f"This model has no graph {name}: choose among {', '.join(names)}.")
    return [graph for graph in graphs if not only or graph.name in only]


def _traced(model: Any, graph: Graph, pixels: bool) -> tuple[Graph, torch.export.ExportedProgram]:
    """Returns a graph and its program; one that cannot be traced for images of any size is traced for its own.

    Raises:
        UserError: if that fails too.
    """
    try:
        return graph, traced(Forward(model, graph, pixels))
    except UserError as error:
        if not graph.sized:
            raise
        ports = tuple(replace(port, axes={axis: name for axis, name in port.axes.items() if axis == 0})
                      for port in graph.ports)  # fmt: skip
        fixed = replace(graph, sized=False, ports=ports, note=f"Images have one size. {error}")
        return fixed, traced(Forward(model, fixed, pixels))


def _files(
    format: Format, program: Any, graph: Graph, folder: Path, aoti: bool, facts: Mapping[str, str]
) -> Iterator[tuple[str, Run]]:
    """Writes the files of a graph; yields what runs each, by the name of the provider."""
    if format == "onnx":
        from gan_lab.inference.export.onnx_files import OnnxGraph, providers, write_onnx

        path = folder / f"{graph.name}.onnx"
        write_onnx(program, graph, path, facts)
        for provider in providers():
            yield f"onnxruntime {provider}", OnnxGraph(path, provider)
        return
    from gan_lab.inference.export.pt2_files import write_package, write_pt2

    yield "torch.export cpu", write_pt2(program, folder / f"{graph.name}.pt2")
    if aoti:
        yield "AOTInductor cpu", write_package(program, graph, folder / f"{graph.name}.aoti.pt2")
