"""Files of torch.export (.pt2), and packages compiled ahead of time."""

import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import GraphModule

from gan_lab.common.errors import UserError
from gan_lab.inference.export.graphs import Graph
from gan_lab.inference.export.tracing import reason

Function = Callable[..., Tensor]


def write_pt2(program: ExportedProgram, path: Path) -> Function:
    """Writes a traced graph; returns it as read from the file."""
    plain = program.run_decompositions({})  # a file cannot hold blocks without autocast or gradients
    for module in plain.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, GraphModule) else ():
            node.meta.pop("stack_trace", None)  # it has paths of this machine
    torch.export.save(plain, path)
    return torch.export.load(path).module()


def write_package(program: ExportedProgram, graph: Graph, path: Path) -> Function:
    """Writes a traced graph as a package of machine code for this kind of machine; returns it as read from the file.

    Raises:
        UserError: without a compiler, and if the graph cannot be compiled.
    """
    import os

    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise UserError(f"aoti=true needs a C++ compiler, and there is no {compiler}: install one, or give aoti=false.")
    try:
        torch._inductor.aoti_compile_and_package(program, package_path=str(path))
        package = torch._inductor.aoti_load_package(str(path))
    except Exception as error:  # the compiler raises errors of many kinds
        raise UserError(
            f"The graph {graph.name} cannot be compiled ahead of time: {reason(error).rstrip('.')}: give aoti=false."
        ) from error

    def run(*inputs: Tensor) -> Tensor:
        found = package(*inputs)
        output: Tensor = found[0] if isinstance(found, list | tuple) else found
        return output

    return run
