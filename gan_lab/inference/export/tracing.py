"""Traces a graph with torch.export, and says which layer cannot be exported."""

import builtins
import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from gan_lab.common.errors import UserError
from gan_lab.common.left_out import leave_out
from gan_lab.inference.export.graphs import Forward


def for_inference(model: Any) -> Any:
    """Returns a copy of a model with the averaged networks in place of the live ones, and without those of training.

    All weights are contiguous, so that the graph does not depend on the memory layout.
    """
    found = copy.deepcopy(model).eval().requires_grad_(False)
    if getattr(found, "inference_options", {}).get("batch_statistics"):
        normalise_alone(found)
        found.set_inference_options(batch_statistics=False)
    for name in getattr(found.ema, "networks", {}):
        setattr(found, name, found.averaged(name))
    found.ema = None
    leave_out(found, found.training_only)
    for weight in (*found.parameters(), *found.buffers()):
        # contiguous() leaves kernels of 1×1 as they are, which then depend on the batch.
        weight.data = weight.data.clone(memory_format=torch.contiguous_format)
    return found


class OwnStatistics(nn.Module):
    """A batch normalisation of each image by its own statistics: maps (N, C, H, W) → the same."""

    def __init__(self, norm: nn.modules.batchnorm._BatchNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, (2, 3), keepdim=True, correction=0)
        normalised = (x - mean) * (variance + self.eps).rsqrt()
        return normalised if self.weight is None else normalised * self.weight[:, None, None] + self.bias[:, None, None]


def normalise_alone(model: nn.Module) -> None:
    """Replaces batch normalisations by ones with each image's own statistics, which take any batch."""
    for layer in [*model.modules()]:
        for name, child in layer.named_children():
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                setattr(layer, name, OwnStatistics(child))


def without_dropout(model: Any) -> Any:
    """Returns a model that draws nothing at random: itself, or a copy without the dropout of pix2pix."""
    if not getattr(model, "inference_options", {}).get("dropout"):
        return model
    found = copy.deepcopy(model)
    found.set_inference_options(dropout=False)
    return found


def traced(forward: Forward) -> ExportedProgram:
    """Returns the program of a graph with dynamic axes.

    Raises:
        UserError: if it cannot be traced; the sentence names the layer and says why.
    """
    inputs = forward.inputs(2, forward.graph.sizes()[-1])  # sides that differ, and no batch of 1, stay variables
    shapes = tuple(dict.fromkeys(port.axes, Dim.DYNAMIC) for port in forward.graph.ports)
    layers: list[str] = []
    forward(*inputs)  # the model's own errors come first, and what it works out once is worked out
    try:
        with quiet(), symbolic_lengths(), _followed(forward.model, layers):
            program = torch.export.export(forward, inputs, dynamic_shapes=(shapes,), strict=False)
        layers.clear()
        _check_guards(program, forward)
        return program
    except Exception as error:  # torch raises errors of many kinds
        where = f"the layer {layers[-1]} of " if layers else ""
        raise UserError(
            f"The graph {forward.graph.name} cannot be exported because of {where}{type(forward.model).__name__}: "
            f"{reason(error)}"
        ) from error


def _check_guards(program: ExportedProgram, forward: Forward) -> None:
    """Runs a program at other sizes, where it fails if a layer decides by the size: an ONNX file would be wrong.

    Raises:
        ValueError: if one does.
    """
    run = program.module()
    for size in forward.graph.sizes(3):
        try:
            run(*forward.inputs(1, size))
        except AssertionError as error:
            raise ValueError("A layer decides by the size of its maps") from error


def reason(error: BaseException) -> str:
    """Returns the sentence of an error that says most, in one line: the first that its innermost cause begins with."""
    while error.__cause__ is not None and not isinstance(error, ValueError):
        error = error.__cause__
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return f"{text.split('. ')[0].rstrip('.!:')[:200]}."


@contextmanager
def symbolic_lengths() -> Iterator[None]:
    """Lets ``len`` of a tensor be a variable while it is traced: Python's own makes a number of it, for every batch."""
    own = builtins.len

    def length(value: Any, /) -> Any:
        return value.shape[0] if isinstance(value, Tensor) and value.ndim else own(value)

    builtins.len = length
    try:
        yield
    finally:
        builtins.len = own


@contextmanager
def _followed(model: nn.Module, layers: list[str]) -> Iterator[None]:
    """Keeps the names of the layers that run in a list, the innermost last."""
    handles = []
    for name, layer in model.named_modules():
        if name:
            handles.append(layer.register_forward_pre_hook(lambda *_, name=name: layers.append(name)))
            handles.append(layer.register_forward_hook(lambda *_: layers.pop() and None))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def quiet() -> Iterator[None]:
    """Hides the notes of torch's exporter about itself."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
