"""Convolutions in phases equal torch's, and take no room in the file."""

import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

from gan_lab.inference.export.phases import SizeChanges

NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


def made(nodes, weights, out="out"):
    """A model of nodes from "x" (N, 3, H, W) to ``out``, with weights of these shapes or values."""
    torch.manual_seed(0)
    tensors = {name: torch.randn(each) if isinstance(each, tuple) else each for name, each in weights.items()}
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [*"nchw"]) for name in ("x", out))
    kept = [numpy_helper.from_array(each.numpy(), name) for name, each in tensors.items()]
    graph = helper.make_graph(nodes, "graph", [x], [y], kept)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tensors


def run(model, x):
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"x": x.numpy()})[0])


def check(model, expected, side=(5, 7), rewritten=1):
    """The graph is rewritten and has the expected output; returns the kinds of its nodes."""
    size = model.ByteSize()
    assert SizeChanges(model.graph).rewrite() == rewritten
    x = torch.randn(2, 3, *side)
    torch.testing.assert_close(run(model, x), expected(x), rtol=1e-5, atol=1e-5)
    assert model.ByteSize() < size + 8000  # no kernels are written
    return [node.op_type for node in model.graph.node]


def conv(x="x", out="out", weight="w", kernel=3, pad=1, **more):
    return helper.make_node("Conv", [x, weight, "b"], [out], kernel_shape=[kernel] * 2, pads=[pad] * 4, **more)


def doubled(x="x", out="up", **given):
    return helper.make_node("Resize", [x, "", "scales"], [out], **{**NEAREST, **given})


SCALES = {"scales": torch.tensor([1.0, 1.0, 2.0, 2.0])}


@pytest.mark.parametrize(("kernel", "pad"), [(3, 1), (5, 2)])
def test_a_convolution_of_repeated_values(kernel, pad):
    nodes = [doubled(), conv("up", kernel=kernel, pad=pad)]
    model, w = made(nodes, {"w": (4, 3, kernel, kernel), "b": (4,), **SCALES})
    kinds = check(
        model, lambda x: F.conv2d(x.repeat_interleave(2, 2).repeat_interleave(2, 3), w["w"], w["b"], padding=pad)
    )
    assert "Resize" not in kinds and kinds.count("Conv") == 4


@pytest.mark.parametrize(("kernel", "pad", "extra"), [(4, 1, 0), (3, 1, 1), (3, 0, 0), (2, 0, 0), (3, 1, 0), (5, 2, 1)])
def test_a_transposed_convolution(kernel, pad, extra):
    more = {"kernel_shape": [kernel] * 2, "pads": [pad] * 4, "strides": [2, 2], "output_padding": [extra] * 2}
    nodes = [helper.make_node("ConvTranspose", ["x", "w", "b"], ["out"], **more)]
    model, w = made(nodes, {"w": (3, 4, kernel, kernel), "b": (4,)})
    kinds = check(model, lambda x: F.conv_transpose2d(x, w["w"], w["b"], 2, pad, extra))
    assert "ConvTranspose" not in kinds


@pytest.mark.parametrize("side", [(6, 8), (5, 7)])
def test_means_of_a_convolution(side):
    pool = helper.make_node("AveragePool", ["inner"], ["out"], kernel_shape=[2, 2], strides=[2, 2])
    model, w = made([conv(out="inner"), pool], {"w": (4, 3, 3, 3), "b": (4,)})
    kinds = check(model, lambda x: F.avg_pool2d(F.conv2d(x, w["w"], w["b"], padding=1), 2), side)
    assert kinds.count("Conv") == 1 and "AveragePool" not in kinds


def test_a_convolution_between_both_is_rewritten_once():
    pool = helper.make_node("AveragePool", ["inner"], ["out"], kernel_shape=[2, 2], strides=[2, 2])
    model, w = made([doubled(), conv("up", "inner"), pool], {"w": (4, 3, 3, 3), "b": (4,), **SCALES})
    repeated = lambda x: x.repeat_interleave(2, 2).repeat_interleave(2, 3)  # noqa: E731
    check(model, lambda x: F.avg_pool2d(F.conv2d(repeated(x), w["w"], w["b"], padding=1), 2))
    assert "scales" not in {each.name for each in model.graph.initializer}


def test_graphs_with_inner_graphs_or_other_floats_are_left_alone():
    model, _ = made([doubled(), conv("up")], {"w": (4, 3, 3, 3), "b": (4,), **SCALES})
    model.graph.initializer.append(numpy_helper.from_array(torch.zeros(1).double().numpy(), "other"))
    assert SizeChanges(model.graph).rewrite() == 0
    del model.graph.initializer[-1]
    inner = helper.make_graph([], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["flag"], ["else"], then_branch=inner, else_branch=inner))
    assert SizeChanges(model.graph).rewrite() == 0


def test_weights_may_be_computed_of_others():
    scaled = helper.make_node("Mul", ["w", "gain"], ["scaled"])
    model, w = made([scaled, doubled(), conv("up", weight="scaled")], {
        "w": (4, 3, 3, 3), "b": (4,), "gain": torch.tensor(0.5), **SCALES,
    })  # fmt: skip
    check(model, lambda x: F.conv2d(x.repeat_interleave(2, 2).repeat_interleave(2, 3), w["w"] / 2, w["b"], padding=1))


def test_repeated_values_that_others_use_stay():
    nodes = [doubled(), conv("up", "inner"), helper.make_node("ReduceMax", ["up"], ["most"], keepdims=1),
             helper.make_node("Add", ["inner", "most"], ["out"])]  # fmt: skip
    model, w = made(nodes, {"w": (4, 3, 3, 3), "b": (4,), **SCALES})
    check(
        model,
        lambda x: F.conv2d(x.repeat_interleave(2, 2).repeat_interleave(2, 3), w["w"], w["b"], padding=1) + x.max(),
    )


UNLIKE = {
    "linear": [doubled(mode="linear"), conv("up")],
    "other pixels": [doubled(coordinate_transformation_mode="half_pixel"), conv("up")],
    "smaller": [doubled(), conv("up", pad=0)],
    "strides": [doubled(), conv("up", strides=[2, 2])],
    "dilation": [doubled(), conv("up", pad=2, dilations=[2, 2])],
    "groups": [doubled(), conv("up", weight="grouped", group=3)],
    "one by one": [doubled(), conv("up", weight="point", kernel=1, pad=0)],
    "weights of the input": [helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=1),
                             helper.make_node("Mul", ["w", "mean"], ["own"]), doubled(), conv("up", weight="own")],
    "single pixels": [helper.make_node("ConvTranspose", ["x", "point", "b"], ["out"], kernel_shape=[1, 1],
                                       strides=[2, 2], pads=[0] * 4)],
    "a stated shape": [helper.make_node("ConvTranspose", ["x", "w", "b"], ["out"], kernel_shape=[3, 3],
                                        strides=[2, 2], pads=[0] * 4, output_shape=[12, 12])],
    "distant means": [conv(out="inner"), helper.make_node("AveragePool", ["inner"], ["out"], kernel_shape=[2, 2],
                                                          strides=[2, 2], dilations=[2, 2])],
    "wider means": [conv(out="inner"),
                    helper.make_node("AveragePool", ["inner"], ["out"], kernel_shape=[3, 3], strides=[2, 2])],
}  # fmt: skip


@pytest.mark.parametrize("name", UNLIKE)
def test_others_are_left_alone(name):
    model, _ = made(UNLIKE[name], {
        "w": (3, 3, 3, 3), "b": (3,), "grouped": (3, 1, 3, 3), "point": (3, 3, 1, 1), **SCALES,
    })  # fmt: skip
    before = run(model, x := torch.randn(1, 3, 6, 6))
    assert SizeChanges(model.graph).rewrite() == 0
    assert run(model, x).equal(before)
