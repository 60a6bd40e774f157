"""Every generator that upsamples by transposed convolutions can resize instead, and then leaves no checkerboard."""

import pytest
import torch
from torch import nn

from gan_lab.cli.config.compose import compose, resolve
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.inference.tiling.parts import decompose
from gan_lab.networks import completion, dcgan, fourier, mocogan, resnet, simvp, unet, vae, vqvae

N, C, SIDE = 2, 3, 64
GENERATORS = {
    "dcgan": lambda kind: dcgan.Generator(8, C, SIDE, SIDE, 4, upsample=kind),
    "resnet": lambda kind: resnet.Generator(C, C, 8, 1, upsample=kind),
    "unet": lambda kind: unet.Generator(C, C, 8, 3, dropout=0.0, upsample=kind),
    "vae": lambda kind: vae.ConvDecoder(8, C, SIDE, SIDE, 8, upsample=kind),
    "vqvae": lambda kind: vqvae.Decoder(C, 8, 8, 2, 1, upsample=kind),
    "simvp": lambda kind: simvp.SimVP(C, SIDE, SIDE, 2, 8, 4, 3, 8, 1, (3,), upsample=kind),
    "fourier": lambda kind: fourier.Generator(C, 4, 2, 1, upsample=kind),
    "completion": lambda kind: completion.Completer(C, 4, upsample=kind),
    "mocogan": lambda kind: mocogan.Generator(dcgan.Generator(8, C, SIDE, SIDE, 4, upsample=kind), 3),
}
INPUTS = {"dcgan": (8,), "resnet": (C, SIDE, SIDE), "unet": (C, SIDE, SIDE), "vae": (8,), "vqvae": (8, 16, 16)}


def run(name, kind):
    network = GENERATORS[name](kind)
    if name == "simvp":
        return network(torch.rand(N, 2, C, SIDE, SIDE), 2)[:, 0]
    if name == "mocogan":
        return network(torch.randn(N, 5), torch.randn(N, 3, 3))[:, 0]
    if name in ("fourier", "completion"):
        return network(torch.randn(N, C, SIDE, SIDE), torch.ones(N, 1, SIDE, SIDE))
    return network(torch.randn(N, *INPUTS[name]))


@pytest.mark.parametrize("kind", ["transposed", "resize"])
@pytest.mark.parametrize("name", GENERATORS)
def test_both_ways_give_images_of_the_same_size(name, kind):
    assert run(name, kind).shape == (N, C, SIDE, SIDE)


def upsampling_part(name, kind):
    """The layers after the smallest maps, and maps for them that are constant in space, (N, F, h, w)."""
    torch.manual_seed(0)
    network = GENERATORS[name](kind)
    if name == "simvp":
        return network.decoder, torch.randn(N, 8, 1, 1).expand(-1, -1, 16, 16)
    if name in ("resnet", "unet"):
        return network, torch.randn(N, C, 1, 1).expand(-1, -1, 128, 128)
    if name in ("fourier", "completion"):
        layers = network.up if name == "fourier" else network.layers[12 * 3 :]  # after twelve convolutions
        return layers, torch.randn(N, 16, 1, 1).expand(-1, -1, 16, 16)
    if name == "vqvae":
        return network, torch.randn(N, 8, 1, 1).expand(-1, -1, 16, 16)
    layers = network.layers[2:] if name == "vae" else (network.frame if name == "mocogan" else network).layers[1:]
    maps = next(layer for layer in layers if isinstance(layer, nn.BatchNorm2d | nn.GroupNorm)).weight.numel()
    return layers, torch.randn(N, maps, 1, 1).expand(-1, -1, 8, 8)


@pytest.mark.parametrize("name", GENERATORS)
def test_constant_maps_stay_constant_away_from_the_edges_if_they_are_resized(name):
    """Edges reach inwards by less than twice the scale: the middle pixels see nothing but constant maps."""

    def spread(kind):
        layers, maps = upsampling_part(name, kind)
        result = layers.eval()(maps)
        middle = result.shape[-1] // 2
        inner = result[..., middle - 4 : middle + 4, middle - 4 : middle + 4]
        return ((inner.amax((2, 3)) - inner.amin((2, 3))) / result.std()).max().item()

    assert spread("resize") < 1e-3
    assert spread("transposed") > 1e-2


@pytest.mark.parametrize("name", GENERATORS)
def test_the_weights_of_checkpoints_keep_their_names_and_shapes(name):
    """Without the argument nothing changes; the names are those of 4×4 or 3×3 transposed convolutions."""
    stated = GENERATORS[name]("transposed")
    transposed = [layer for layer in stated.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert transposed and not any(isinstance(layer, nn.Upsample) for layer in stated.modules())
    left = [layer for layer in GENERATORS[name]("resize").modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert all(layer.stride == (1, 1) for layer in left)


def test_odd_sides_are_met():
    assert vae.ConvDecoder(8, 1, 28, 31, 8, upsample="resize")(torch.randn(N, 8)).shape == (N, 1, 28, 31)


def test_only_doubling_is_computed_in_exact_tiles():
    assert decompose(resnet.Generator(C, C, 4, 1, upsample="resize")) is not None
    assert decompose(nn.Sequential(nn.Upsample(scale_factor=3))) is None


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match="upsample=bilinear is not valid: choose one of transposed, resize"):
        dcgan.Generator(8, C, SIDE, SIDE, upsample="bilinear")
    with pytest.raises(ValueError, match=r"blur filters.*leave upsample=resize out"):
        resnet.Generator(antialias=True, upsample="resize")


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("dcgan", "model.generator.upsample"),
        ("cyclegan", "generator.upsample"),
        ("pix2pix", "generator.upsample"),
        ("vae_gan", "model.decoder.upsample"),
        ("vqvae", "model.decoder.upsample"),
        ("mocogan", "model.generator.frame.upsample"),
        ("simvp", "model.network.upsample"),
    ],
)
def test_it_is_a_key_of_the_configuration(model, key):
    small = ["data=fake_unpaired"] if model == "cyclegan" else ["data=fake_paired"] if model == "pix2pix" else []
    made = instantiate(resolve(compose([f"model={model}", f"{key}=resize", *small]))["model"])
    assert any(isinstance(layer, nn.Upsample) for layer in made.modules())


def test_cut_says_that_it_has_no_checkerboard():
    config = resolve(compose(["model=cut", "data=fake_unpaired", "generator.upsample=resize"]))
    with pytest.raises(UserError, match="blur filters"):
        instantiate(config["model"])
