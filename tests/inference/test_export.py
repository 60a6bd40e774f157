"""Exported graphs equal their models, in ONNX Runtime alone and in torch."""

import json
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import onnx
import pytest
import torch
from cases import plain
from torch import nn

import gan_lab
from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.inference.export.exporting import export
from gan_lab.inference.export.graphs import Forward, graphs_of
from gan_lab.inference.export.onnx_files import OnnxGraph
from gan_lab.inference.export.pictures import Pictures
from gan_lab.inference.export.tracing import OwnStatistics, for_inference, symbolic_lengths, traced
from gan_lab.training.alternating import to_channels_last

KINDS = {
    "acgan": ("generator",),
    "stylegan2": ("synthesis",),
    "vae": ("decoder", "encoder"),
    "cut": ("a2b",),
    "pix2pix": ("a2b",),
    "inpaint": ("restore",),
    "convlstm": ("predict",),
    "mocogan": ("generator",),
    "pixelcnn": ("logits",),
}
"""A model of each family, and graphs of it; ``experiments/export_table.py`` exports every model."""
SIZED = ("cut", "pix2pix", "inpaint")
THINNER = {"inpaint": ["model.network.blocks=1", "model.network.num_downsamplings=1"]}


def model(name):
    torch.manual_seed(0)
    made = instantiate(plain([f"model={name}"], "/nowhere/run", *THINNER.get(name, []))["model"]).eval()
    for parameter in made.ema.parameters() if made.ema is not None else ():
        parameter.data += 0.01  # so that averaged and live weights differ
    return made


@pytest.fixture(scope="module")
def dcgan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dcgan")
    made = model("dcgan")
    export(made, folder, "onnx", (16, 16), Pictures())
    return made, folder / "generator.onnx"


@pytest.mark.parametrize("name", KINDS)
def test_graphs_of_each_capability_equal_the_model(name, tmp_path):
    graphs, found = export(model(name), tmp_path, "onnx", (16, 16), Pictures(), KINDS[name], n=4)
    assert {path.stem for path in tmp_path.iterdir()} == {graph.name for graph in graphs} == {*KINDS[name]}
    assert max(each.largest for each in found) < 2e-5 and {each.batch for each in found} == {1, 3}
    sizes = {each.size for each in found}
    assert len(sizes) == (2 if name in SIZED else 1)


def test_maps_with_many_pixels_are_exported_for_any_batch(tmp_path):
    """StarGAN v2 has another form of its convolutions from some number of pixels on."""
    torch.manual_seed(0)
    large = instantiate(
        plain(["model=starganv2", "model.generator.height=64", "model.generator.width=64"], "/nowhere/run")["model"]
    ).eval()
    to_channels_last(large)  # as models are trained
    _, found = export(large, tmp_path, "onnx", (64, 64), Pictures(), ["translate"], n=4)
    assert max(each.largest for each in found) < 2e-5 and {each.batch for each in found} == {1, 3}
    kinds = {node.op_type for node in onnx.load(tmp_path / "translate.onnx").graph.node}
    assert "DepthToSpace" in kinds and "ConvTranspose" not in kinds


ALONE = """
import sys
class Blocked:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("torch", "gan_lab"): raise ImportError(name)
sys.meta_path.insert(0, Blocked())
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
(latents,), (image,) = session.get_inputs(), session.get_outputs()
assert (latents.name, latents.shape[0], image.name, image.shape[0]) == ("latents", "batch", "image", "batch")
numpy.save(sys.argv[3], session.run(None, {"latents": numpy.load(sys.argv[2])})[0])
"""


def test_a_file_runs_where_there_is_no_torch(dcgan, tmp_path):
    made, path = dcgan
    latents = made.latents(5, seed=3)
    np.save(tmp_path / "latents.npy", latents.numpy())
    arguments = [path, tmp_path / "latents.npy", tmp_path / "image.npy"]
    subprocess.run([sys.executable, "-c", ALONE, *map(str, arguments)], check=True)
    images = torch.from_numpy(np.load(tmp_path / "image.npy"))
    torch.testing.assert_close(images, made.decode(latents), atol=1e-6, rtol=0)


def test_averaged_weights_are_exported_and_nothing_of_training(dcgan):
    made, path = dcgan
    sizes = {name: value.numel() for name, value in made.ema.networks["generator"].named_parameters()}
    stored = [np.prod(each.dims) for each in onnx.load(path).graph.initializer if each.data_type == 1]
    assert sum(stored) < 1.05 * sum(sizes.values()) + 64
    latents = made.latents(2)
    made.use_live_weights = True
    live = made.decode(latents)
    made.use_live_weights = False
    assert (OnnxGraph(path)(latents) - live).abs().max() > 1e-4


@pytest.mark.parametrize("format", ["onnx", "pt2"])
def test_files_have_weights_and_no_traces_of_this_machine(format, tmp_path):
    made = model("denoise")
    export(made, tmp_path, format, (16, 16), Pictures())
    content = b"".join(_content(tmp_path / f"restore.{format}"))
    assert str(Path(gan_lab.__file__).parents[1]).encode() not in content and b"stack_trace" not in content
    if format == "onnx":
        assert len(content) < 1.05 * sum(weight.nbytes for weight in made.network.parameters()) + 12_000


def _content(path):
    if path.suffix == ".onnx":
        yield path.read_bytes()
        return
    with ZipFile(path) as file:
        yield from map(file.read, file.namelist())


def test_pixels_go_in_and_come_out_rounded_as_files_are(tmp_path):
    made = model("denoise")
    _, found = export(made, tmp_path, "onnx", (16, 16), Pictures(), pixels=True)
    run, domain = OnnxGraph(tmp_path / "restore.onnx"), Domain(3)
    pixels = torch.randint(256, (2, 3, 20, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    output = run(pixels)
    assert output.dtype == torch.uint8 and all(each.pixels for each in found)
    assert (output.int() - domain.decode(made.repair(domain.encode(pixels))).int()).abs().max() <= 1


def test_truncation_is_an_input_of_generators_with_styles(tmp_path):
    made = model("stylegan2")
    made.ema.networks["generator"].average_style += 0.5
    export(made, tmp_path, "onnx", (16, 16), Pictures(), ["mapping"])
    run, latents = OnnxGraph(tmp_path / "mapping.onnx"), made.latents(3)
    for truncation in (0.5, 1.0):
        styles = made.map_styles(latents, truncation=truncation)
        torch.testing.assert_close(run(latents, torch.tensor(truncation)), styles, atol=1e-5, rtol=0)


def test_programs_of_torch_export_equal_the_model(tmp_path):
    made = model("vae")
    export(made, tmp_path, "pt2", (16, 16), Pictures())
    latents = made.latents(7)
    decoder = torch.export.load(tmp_path / "decoder.pt2").module()
    torch.testing.assert_close(decoder(latents), made.decode(latents), atol=1e-5, rtol=0)


def test_a_package_needs_a_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UserError, match=r"needs a C\+\+ compiler, and there is no no-such-compiler"):
        export(model("vae"), tmp_path, "pt2", (16, 16), Pictures(), ["decoder"], aoti=True)


def test_a_difference_beyond_the_bound_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"differs from the model's by up to .* more than bound=0"):
        export(model("acgan"), tmp_path, "onnx", (16, 16), Pictures(), bound=0.0)


class Sorts(nn.Module):
    """Looks at values while it runs, which a graph cannot."""

    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_the_layer_that_cannot_be_exported_is_named():
    made = model("dcgan")
    made.ema.networks["generator"].layers[1] = Sorts()
    lean = for_inference(made)
    (graph,) = graphs_of(lean, (16, 16), Pictures())
    with pytest.raises(UserError, match=r"cannot be exported because of the layer generator\.layers\.1 of GANModule"):
        traced(Forward(lean, graph))
    assert len(torch.zeros(3)) == 3, "len is Python's own again"


def test_lengths_are_variables_only_while_graphs_are_traced():
    with symbolic_lengths():
        assert len(torch.zeros(3)) == 3 and len([1, 2]) == 2 and len("abc") == 3


def test_each_image_is_normalised_by_its_own_statistics():
    norm = nn.BatchNorm2d(3)
    nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    maps = torch.randn(4, 3, 5, 6)
    alone = torch.cat([norm.train()(image) for image in maps.split(1)])
    torch.testing.assert_close(OwnStatistics(norm)(maps), alone)


def test_pictures_are_those_of_the_data_or_noise():
    own = Pictures(3, torch.full((2, 3, 8, 8), 0.25))
    assert own(3, Domain(1), (6, 4)).shape == (3, 1, 6, 4) and own(3, Domain(3), (6, 4)).eq(0.25).all()
    maps = Pictures()(2, Domain(labels=3), (8, 12))
    assert maps.shape == (2, 3, 8, 12) and maps.sum(1).eq(1).all()
    assert torch.equal(Pictures(seed=1)(2, Domain(), (8, 8)), Pictures(seed=1)(2, Domain(), (8, 8)))


@pytest.mark.parametrize("failing", [False, True])
def test_the_command_writes_a_report_or_nothing(tmp_path, failing, capsys):
    from variational import checkpoint

    from gan_lab.export import export as command

    checkpoint(tmp_path / "vae.ckpt")
    keys = [f"checkpoint={tmp_path / 'vae.ckpt'}", f"output={tmp_path / 'made'}", "format=onnx", "graphs=[decoder]"]
    if failing:
        with pytest.raises(UserError, match="more than bound=0"):
            command.run(*keys, "bound=0")
        assert [path.name for path in tmp_path.iterdir()] == ["vae.ckpt"]
        return
    command.run(*keys)
    report = json.loads((tmp_path / "made" / "parity.json").read_text())
    assert report["graphs"]["decoder"]["inputs"] == {"latents": ["batch", 4]}
    assert all(each["largest"] < 1e-4 for each in report["differences"])
    assert report["inputs"] == "6 images of the data"
    assert "onnxruntime cpu" in capsys.readouterr().out
