"""Samples by styles: truncation of some layers, noise of the layers, walks, mixing."""

from functools import partial

import pytest
import torch
from torch import nn

from gan_lab.common.capabilities import Decodes, Samples, Styles
from gan_lab.common.errors import UserError
from gan_lab.inference.interpolation import slerp
from gan_lab.inference.sampling import sample_walk
from gan_lab.inference.styles import StyledLatents, StyledSamples, mix_styles
from gan_lab.losses.adversarial import NonSaturating
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.latents import Normal
from gan_lab.models.stylegan2 import StyleGAN2
from gan_lab.networks.stylegan2 import Generator


@pytest.fixture(scope="module", params=[0, 3])
def model(request):
    torch.manual_seed(0)
    generator = Generator(4, 3, 16, 16, base=64, most=8, style=6, mapping_layers=2, classes=request.param)
    for layer in generator.synthesis.layers:
        layer.strength.data.fill_(0.5)
    generator.average_style.normal_()
    sgd, objective = partial(torch.optim.SGD, lr=0.1), AdversarialObjective(NonSaturating())
    return StyleGAN2(generator, nn.Linear(1, 1), Normal(4), objective, sgd, sgd, classes=request.param).eval()


def test_the_plain_view_samples_as_the_model_does(model):
    view = StyledSamples(model)
    assert isinstance(model, Styles) and isinstance(view, Samples) and isinstance(view, Decodes)
    torch.testing.assert_close(view.sample(5, seed=3, start=1), model.sample(5, seed=3, start=1))
    assert torch.equal(view.sample(5, truncation=0.4), model.sample(5, truncation=0.4))


def test_truncation_moves_styles_to_their_average_up_to_the_cutoff(model):
    latents = model.latents(3)
    plain, cut = model.map_styles(latents), model.map_styles(latents, truncation=0.25, cutoff=2)
    average = model.averaged("generator").average_style
    torch.testing.assert_close(cut[:, :2], average + 0.25 * (plain[:, :2] - average))
    assert torch.equal(cut[:, 2:], plain[:, 2:])
    torch.testing.assert_close(
        model.map_styles(latents, truncation=0.25)[:, 2:], average + 0.25 * (plain - average)[:, 2:]
    )
    with pytest.raises(UserError, match="truncation_cutoff=7"):
        StyledSamples(model, cutoff=7)


def test_noise_of_the_layers_is_constant_or_random_by_sample_or_none(model):
    styles = model.map_styles(model.latents(1)).repeat(3, 1, 1)
    constant, none = model.synthesize(styles), model.synthesize(styles, "none")
    torch.testing.assert_close(constant[1], constant[0])
    assert (constant - none).abs().max() > 0.01
    random = model.synthesize(styles, "random", seed=2, start=5)
    assert (random[1] - random[0]).abs().max() > 0.01
    torch.testing.assert_close(model.synthesize(styles[:1], "random", seed=2, start=7), random[2:], atol=1e-5, rtol=0)


def test_a_walk_through_styles_is_straight_between_samples_and_returns(model):
    view, label = StyledSamples(model), 1 if model.num_labels else None
    frames = sample_walk(view, points=2, steps=2, seed=4, label=label, truncation=0.5, loop=True)
    assert len(frames) == 4
    ends = view.latents(2, 4, truncation=0.5, label=label)
    expected = view.decode(torch.stack([ends[0], ends.mean(0), ends[1], ends.mean(0)]))
    torch.testing.assert_close(frames, expected, atol=1e-5, rtol=0)


def test_a_walk_through_latents_has_truncated_styles(model):
    label = 1 if model.num_labels else None
    view = StyledLatents(model, truncation=0.5, cutoff=2, noise="none")
    frames = sample_walk(view, points=2, steps=2, seed=4, label=label, truncation=0.5, loop=True)
    ends = model.latents(2, 4)
    path = torch.stack([ends[0], slerp(*ends, 0.5), ends[1], slerp(*ends.flip(0), 0.5)])
    expected = model.synthesize(model.map_styles(path, label, 0.5, 2), "none")
    torch.testing.assert_close(frames, expected, atol=1e-5, rtol=0)
    assert not torch.allclose(frames, model.decode(path, label), atol=1e-3)


def test_mixed_samples_have_the_first_styles_of_their_row(model):
    view, label = StyledSamples(model), 0 if model.num_labels else None
    table = mix_styles(view, 2, layers=4, seed=1, label=label)
    assert table.shape == (3, 3, 3, 16, 16) and (table[0, 0] == 1).all()
    styles = model.map_styles(model.latents(4, 1), label)
    torch.testing.assert_close(table[1:, 0], model.synthesize(styles[:2]), atol=1e-5, rtol=0)
    torch.testing.assert_close(table[0, 1:], model.synthesize(styles[2:]), atol=1e-5, rtol=0)
    mixed = torch.cat([styles[1:2, :4], styles[2:3, 4:]], 1)
    torch.testing.assert_close(table[2, 1], model.synthesize(mixed)[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(mix_styles(view, 2, 4, 1, label=label, batch_size=3), table, atol=1e-5, rtol=0)
    with pytest.raises(UserError, match="mix_layers=6"):
        mix_styles(view, 2, layers=6)
    with pytest.raises(UserError, match="layer_noise=random"):
        mix_styles(StyledSamples(model, noise="random"), 2)
