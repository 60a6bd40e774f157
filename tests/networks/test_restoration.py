"""Networks of restoration against the published implementations: parameters, names of weights, formulas."""

import pytest
import torch
import torch.nn.functional as F

from gan_lab.networks.colorize import Colorizer, from_lab, lightness_of
from gan_lab.networks.denoising import Denoiser
from gan_lab.networks.superres import RRDBNet, SRResNet
from gan_lab.networks.unet_discriminator import Discriminator


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        (SRResNet(3, 4), 1_517_571),
        (RRDBNet(3, 4), 16_697_987),
        (Discriminator(3), 4_376_897),
        (Denoiser(3, 64, 8), 9 * (12 * 64 + 16 * 64 * 64 + 64 * 12) + 17 * 64 + 12),
    ],
    ids=["srresnet", "rrdb", "unet", "denoiser"],
)
def test_networks_have_the_published_parameters(network, parameters):
    assert count(network) == parameters


def test_weights_have_the_names_that_other_programs_look_for():
    names = set(RRDBNet(3, 4, 8, 2, 4).state_dict())
    assert {
        "conv_first.weight",
        "body.1.rdb3.conv5.bias",
        "conv_body.weight",
        "conv_up2.bias",
        "conv_hr.weight",
    } <= names
    assert {"body.0.conv2.weight", "upconv2.weight", "conv_last.bias"} <= set(SRResNet(3, 4, 8, 2).state_dict())
    assert "upconv2.weight" not in SRResNet(3, 2, 8, 2).state_dict()


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_srresnet_begins_near_the_bilinear_image(factor):
    torch.manual_seed(0)
    x = torch.rand(2, 3, 10, 14) * 2 - 1
    with torch.no_grad():
        found = SRResNet(3, factor, 16, 2)(x)
    base = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    assert found.shape == (2, 3, 10 * factor, 14 * factor) and (found - base).abs().mean() < 0.2


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_rrdb_takes_every_factor(factor):
    network = RRDBNet(3, factor, 8, 1, 4)
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 8, 12)).shape == (1, 3, 8 * factor, 12 * factor)
    assert network.multiple == 4 // factor


def test_a_denoiser_begins_with_its_input_and_takes_conditions():
    x = torch.rand(2, 3, 12, 16) * 2 - 1
    assert torch.equal(Denoiser(3, 16, 2)(x), x) and Denoiser(3, patch=4).multiple == 4
    assert Denoiser(3, 16, 2, conditions=1)(x, torch.zeros(2, 1, 12, 16)).shape == x.shape


def test_the_discriminator_judges_every_pixel_with_spectral_norm_inside():
    torch.manual_seed(0)
    network = Discriminator(3, 8, spectral=True).eval()
    assert network(torch.zeros(2, 3, 16, 24)).shape == (2, 1, 16, 24)
    for number in range(10):
        largest = torch.linalg.matrix_norm(network.get_submodule(f"conv{number}").weight.flatten(1), 2)
        assert (abs(largest - 1) < 0.03) == (0 < number < 9)
    assert not torch.nn.utils.parametrize.is_parametrized(Discriminator(3, 8).conv1)


@pytest.mark.parametrize("make", [lambda: SRResNet(3, 5), lambda: RRDBNet(3, 3)], ids=["sr", "rrdb"])
def test_other_sizes_are_refused(make):
    with pytest.raises(ValueError, match="is not valid: give"):
        make()


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [((255, 255, 255), (100, 0, 0)), ((0, 0, 0), (0, 0, 0)), ((255, 0, 0), (53.24, 80.09, 67.20)),
     ((0, 0, 255), (32.30, 79.19, -107.86)), ((119, 119, 119), (50.03, 0, 0)), ((5, 5, 5), (1.37, 0, 0))],
)  # fmt: skip
def test_lab_has_the_published_values(rgb, lab):
    image, wanted = (torch.tensor(each, dtype=torch.float32).view(1, 3, 1, 1) for each in (rgb, lab))
    assert lightness_of(image / 127.5 - 1).item() == pytest.approx(lab[0], abs=0.02)
    torch.testing.assert_close((from_lab(wanted) + 1) * 127.5, image, atol=0.2, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(16, 24), (40, 12)])
def test_colours_leave_the_lightness_and_large_images_get_those_of_a_smaller_one(height, width):
    torch.manual_seed(0)
    network = Colorizer(4, 1, largest=24)
    grey = (torch.rand(2, 1, height, width) - 0.5).expand(-1, 3, -1, -1)
    torch.nn.init.normal_(network.network.layers[-2].weight, std=0.002)  # faint colours, which sRGB has
    made = network(grey)
    assert made.shape == grey.shape and (made - grey).abs().mean() > 1e-3
    torch.testing.assert_close(lightness_of(made), lightness_of(grey), atol=0.1, rtol=0)
    assert Colorizer(4, 1, lab=False, largest=24)(grey).shape == grey.shape
