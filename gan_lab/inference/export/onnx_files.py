"""ONNX files of traced graphs, and ONNX Runtime to run them."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram

from gan_lab.common.errors import UserError
from gan_lab.inference.export.graphs import Graph
from gan_lab.inference.export.phases import SizeChanges
from gan_lab.inference.export.tracing import quiet, reason

OPSET = 20
"""Version of the operators that files state."""
LARGEST = 1_900_000_000
"""Bytes of weights from which on they lie in a file of their own: one ONNX file holds less than 2 GiB."""
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def write_onnx(program: ExportedProgram, graph: Graph, path: Path, facts: Mapping[str, str]) -> None:
    """Writes a traced graph as an ONNX file with names of its inputs, output and dynamic axes.

    The shapes that the exporter noted for inner values are left out: those of Fourier transforms are wrong, and a
    runtime refuses the file then. Convolutions that change the size of maps are written in a faster form.

    Raises:
        UserError: without onnx, and if an operator cannot be translated.
    """
    onnx = _module("onnx")
    _module("onnxscript")
    with quiet():
        try:
            made = torch.onnx.export(program, dynamo=True, verbose=False, opset_version=OPSET)
        except Exception as error:  # the exporter raises errors of many kinds
            raise UserError(f"The graph {graph.name} cannot be written as ONNX: {reason(error)}") from error
    assert made is not None
    model = made.model_proto
    del model.graph.value_info[:]
    for part in (model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]  # the exporter's traces, with paths of this machine, and up to 40 MB of them
    SizeChanges(model.graph).rewrite()
    _name(model.graph, graph)
    for key, value in facts.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    large = sum(value.numel() * value.element_size() for value in program.state_dict.values()) > LARGEST
    onnx.save(model, path, save_as_external_data=large, location=f"{path.name}.data")


def _name(proto: Any, graph: Graph) -> None:
    """Gives inputs, output and dynamic axes their names."""
    new = {value.name: port.name for value, port in zip(proto.input, graph.ports, strict=True)}
    new[proto.output[0].name] = f"{graph.output}_out" if graph.output in new.values() else graph.output
    symbols: dict[str, str] = {}
    for value, port in zip(proto.input, graph.ports, strict=True):
        sides = value.type.tensor_type.shape.dim
        symbols |= {sides[axis].dim_param: name for axis, name in port.axes.items() if sides[axis].dim_param}
    for value in (*proto.input, *proto.output):
        for side in value.type.tensor_type.shape.dim:
            if side.dim_param:
                side.dim_param = re.sub(r"s\d+", lambda match: symbols.get(match[0], match[0]), side.dim_param)
    inner = {name for node in proto.node for name in node.output} | {each.name for each in proto.initializer}
    names = {name: f"{name}_inner" for name in new.values() if name in inner and name not in new} | new
    for each in proto.initializer:
        each.name = names.get(each.name, each.name)
    for node in proto.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*proto.input, *proto.output):
        value.name = new[value.name]


class OnnxGraph:
    """An ONNX file as a function of tensors.

    Args:
        path: the file.
        provider: "cpu" or "cuda".
        threads: of the CPU; 0 for ONNX Runtime's own number.
    """

    def __init__(self, path: Path, provider: str = "cpu", threads: int = 0) -> None:
        runtime = _module("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        self.session = runtime.InferenceSession(str(path), options, providers=[PROVIDERS[provider]])
        self.names = [each.name for each in self.session.get_inputs()]

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Returns the output, given the inputs in the shapes of the graph's ports (N, …)."""
        feed: dict[str, np.ndarray] = {name: value.numpy() for name, value in zip(self.names, inputs, strict=True)}
        return torch.from_numpy(self.session.run(None, feed)[0])


def providers() -> Sequence[str]:
    """Returns the providers of the installed ONNX Runtime that graphs are tried with."""
    found = _module("onnxruntime").get_available_providers()
    return [name for name, provider in PROVIDERS.items() if provider in found]


def _module(name: str) -> Any:
    """Imports a module of the extra ``onnx``.

    Raises:
        UserError: if it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"format=onnx needs the package {name}: pip install 'gan_lab[onnx]'.") from error
