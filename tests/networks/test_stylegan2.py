"""StyleGAN2's networks and path lengths, against the published sizes and slow forms of the paper's equations."""

from functools import partial
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan_lab.cli.config.compose import compose, resolve
from gan_lab.common.errors import UserError
from gan_lab.losses.adversarial import NonSaturating
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.latents import Normal
from gan_lab.models.stylegan2 import StyleGAN2
from gan_lab.networks.equalised import Conv
from gan_lab.networks.filters import Filter
from gan_lab.networks.stylegan2 import Discriminator, Down, Generator, Mapping, Modulated, usual_base
from gan_lab.training.noise import KeyedStream

SIZE = 3, 16, 8


def narrow(classes=0):
    return Generator(5, *SIZE, base=32, most=6, style=7, mapping_layers=2, classes=classes)


def model(**options):
    objective, adam = AdversarialObjective(NonSaturating()), partial(torch.optim.Adam, lr=1e-3)
    return StyleGAN2(narrow(), Discriminator(*SIZE, 32, 6), Normal(5), objective, adam, adam, **options)


def layer(before, after, style=512):
    return 9 * before * after + after + style * before + before + 1


@pytest.mark.parametrize(("base", "total", "judge"), [(16384, 24_767_458, 24_001_089), (32768, 30_034_338, 28_864_129)])
def test_they_have_the_published_parameters(base, total, judge):
    """The totals are those of the public implementation, and the sums those of the paper's shapes, layer by layer."""
    with torch.device("meta"):
        generator, discriminator = Generator(512, 3, 256, 256, base), Discriminator(3, 256, 256, base)
    maps = [min(512, base >> level) for level in range(2, 9)]
    styled = [layer(a, a) + (layer(b, a) if b else 0) for b, a in zip([0, *maps], maps, strict=False)]
    images = [3 * a + 3 + 513 * a for a in maps]
    counts = 8 * 513 * 512 + 16 * maps[0] + sum(styled) + sum(images)
    assert sum(p.numel() for p in generator.parameters()) == counts == total
    blocks = [9 * a * a + a + 9 * a * b + b + a * b for b, a in pairwise(maps)]
    head = 9 * (maps[0] + 1) * maps[0] + maps[0] + (16 * maps[0] + 1) * maps[0] + maps[0] + 1
    assert sum(p.numel() for p in discriminator.parameters()) == 4 * maps[-1] + sum(blocks) + head == judge


@pytest.mark.parametrize("double", [False, True])
def test_scaling_maps_is_a_convolution_with_other_kernels_for_each_sample(double):
    """Section 2.2, eq. 1 to 3, in a grouped convolution."""
    torch.manual_seed(0)
    own = Modulated(4, 6, 7, 3, double=double)
    x, style = torch.randn(3, 4, 8, 10), torch.randn(3, 7)
    kernels = own.gain * own.weight * own.affine(style)[:, None, :, None, None]
    kernels = kernels / (kernels.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
    alone = x.reshape(1, 12, 8, 10)
    if double:
        grouped = F.conv_transpose2d(alone, kernels.transpose(1, 2).reshape(12, 6, 3, 3), stride=2, groups=3)
        expected = 4 * filtered(F.pad(grouped.view(3, 6, 17, 21), [1] * 4))
    else:
        expected = F.conv2d(alone, kernels.reshape(18, 4, 3, 3), padding=1, groups=3).view(3, 6, 8, 10)
    torch.testing.assert_close(own(x, style), expected)


def filtered(x):
    line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    return torch.einsum("nchwij,i,j->nchw", x.unfold(2, 4, 1).unfold(3, 4, 1), line, line)


def test_filters_double_and_halve_as_they_are_defined():
    """Zeros between pixels and four times the filter; the filter, and every second pixel."""
    x = torch.randn(2, 3, 6, 8)
    between = torch.zeros(2, 3, 12, 16)
    between[..., ::2, ::2] = x
    torch.testing.assert_close(Filter().doubled(x), 4 * filtered(F.pad(between, (2, 1, 2, 1))))
    torch.testing.assert_close(Filter().halved(x), filtered(F.pad(x, [1] * 4))[..., ::2, ::2])
    torch.testing.assert_close(Filter().smoothed(x, 2), filtered(F.pad(x, [2] * 4)))


def test_a_halving_convolution_filters_first():
    conv, x = Conv(2, 3, 3, halve=True), torch.randn(1, 2, 8, 8)
    expected = F.conv2d(filtered(F.pad(x, [2] * 4)), conv.weight / 18**0.5, conv.bias, stride=2)
    torch.testing.assert_close(conv(x), expected)


def test_a_block_without_a_shortcut_is_the_other_branch_at_full_weight():
    residual, plain = Down(4, 6), Down(4, 6, residual=False)
    plain.load_state_dict({name: each for name, each in residual.state_dict().items() if "skip" not in name})
    x = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(plain(x), 2**0.5 * (residual(x) - residual.skip(x)))


@pytest.mark.parametrize("part", [Modulated(2, 3, 4, 3, double=True), Down(2, 3)])
def test_second_derivatives_are_exact(part):
    part, x = part.double(), torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    style = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    inputs = (x,) if isinstance(part, Down) else (x, style)
    assert torch.autograd.gradgradcheck(lambda *given: part(*given), inputs, atol=1e-4, rtol=1e-3)


def test_styles_do_not_depend_on_the_length_of_latents_but_on_labels():
    mapping, z, label = Mapping(5, 7, 2, classes=3), torch.randn(2, 5), torch.tensor([0, 2])
    torch.testing.assert_close(mapping(z, label), mapping(9 * z, label), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(mapping(z, label), mapping(z, label.flip(0)))


def test_latents_are_not_truncated():
    with pytest.raises(UserError, match="styles"):
        model().latents(1, truncation=0.5)


@pytest.mark.parametrize(("mixing", "kinds"), [(0.0, {1}), (1.0, {2})])
def test_mixed_images_have_two_styles(mixing, kinds):
    styles = model(mixing=mixing).draw_styles({}, 8, KeyedStream(0, "draw"))
    assert {len(own.unique(dim=0)) for own in styles} == kinds


def test_path_lengths_are_those_of_the_jacobian():
    """Section 3.2: ‖Jᵀy‖ with J the derivatives of an image by its styles, root of the mean over layers."""
    torch.manual_seed(0)
    gan, batch, key = model(), {"image": torch.zeros(4, *SIZE)}, (0, "turn")
    for strength in (each for name, each in gan.generator.named_parameters() if name.endswith("strength")):
        nn.init.ones_(strength)
    found, noise = gan.path_lengths(batch, KeyedStream(*key)), KeyedStream(*key)
    styles = gan.draw_styles(batch, 2, noise).detach()
    maps = gan.layer_noise(2, noise)
    y = noise.normal(2, *SIZE) / (SIZE[1] * SIZE[2]) ** 0.5
    for i in range(2):
        jacobian = torch.autograd.functional.jacobian(
            lambda own, i=i: gan.generator.synthesis(own[None], [each[i : i + 1] for each in maps])[0], styles[i]
        )
        slopes = torch.einsum("chwls,chw->ls", jacobian, y[i])
        torch.testing.assert_close(found[i], slopes.square().sum(1).mean().sqrt())


def test_the_average_style_moves_by_a_share_of_an_iterations_mean():
    gan = model()
    batch, average = {"image": torch.zeros(4, *SIZE)}, torch.randn(7)
    gan.generator.average_style.copy_(average)
    shared = gan.shared_forward(batch, KeyedStream(0, "turn"))
    mean = gan.draw_styles(batch, 4, KeyedStream(0, "turn"))[:, 0].mean(0)
    gan.g_losses(batch, shared, KeyedStream(0, "losses"))
    torch.testing.assert_close(gan.generator.average_style, 0.995 * average + 0.005 * mean)


def test_another_generator_is_refused():
    with pytest.raises(UserError, match="mixes the styles of its own generator"):
        StyleGAN2(nn.Linear(1, 1), *[None] * 5)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([], (8, 0.0025, 10_000)),
        (["config=auto", "batch_size=64"], (2, 0.0025, 20_000)),
        (["config=auto", "image_size=512", "batch_size=8"], (2, 0.0025, 2_500)),
        (["config=auto", "image_size=1024"], (2, 0.002, 10_000)),
    ],
)
def test_automatic_settings_are_stylegan2_adas(keys, expected):
    """Its "auto": two mapping layers, learning rate by size, a half-life of 10,000 images for a batch of 32."""
    model = resolve(compose(["model=stylegan2", "data=folder", "data.root=nowhere", "scale=paper", *keys]))["model"]
    found = model["generator"]["mapping_layers"], model["g_optimizer"]["lr"], model["engine"]["ema_half_life"]
    assert found == expected
    assert [usual_base(side, 2 * side) for side in (256, 512)] == [16384, 32768]
