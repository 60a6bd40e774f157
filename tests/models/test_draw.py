"""DRAW: canvases step by step, and the bound with sequential latents."""

import pytest
import torch
from cases import limited, plain
from torch import nn

from gan_lab.cli.config.checks import validate
from gan_lab.cli.config.compose import compose
from gan_lab.common.capabilities import Decodes, Encodes, HasLikelihood, HasPosterior, Reconstructs, Restores, Samples
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate

STEPS = 3
KINDS = {
    "two-coloured": ["likelihood=bernoulli", "data.binarize=static"],
    "coloured": ["data.channels=3"],
    "labels": ["conditional=true", "data.classes=3"],
}


def make(folder, kind, *more):
    torch.manual_seed(0)
    case = plain(["model=draw"], folder, *limited(8), "data.channels=1", *KINDS[kind], *more)
    model = instantiate(case["model"])
    for parameter in model.averaged("decoder").parameters():
        nn.init.normal_(parameter, 0, 0.3)
    return model


@pytest.fixture(params=KINDS)
def model(request, tmp_path):
    return make(tmp_path, request.param)


@pytest.fixture
def digits(tmp_path):
    return make(tmp_path, "two-coloured")


def make_images(n):
    return torch.randn(n, 1, 16, 16, generator=torch.Generator().manual_seed(1)).sign()


def test_it_has_the_capabilities_of_a_variational_autoencoder(model):
    for capability in (Samples, Decodes, Encodes, HasPosterior, Reconstructs, Restores, HasLikelihood):
        assert isinstance(model, capability)


def test_the_last_canvas_is_the_sample(model):
    canvases = model.canvases(4, seed=3, start=2)
    assert canvases.shape == (4, STEPS, *model.sample(1).shape[1:]) and canvases.dtype == torch.float32
    assert canvases.abs().max() <= 1 and not canvases.requires_grad
    torch.testing.assert_close(canvases[:, -1], model.sample(4, seed=3, start=2))
    assert not torch.allclose(canvases[:, 0], canvases[:, -1])
    assert model.canvases(0).shape == (0, *canvases.shape[1:])


def test_a_canvas_depends_on_its_seed_and_number_alone(model):
    whole = model.canvases(5, seed=3)
    torch.testing.assert_close(model.canvases(2, seed=3, start=3), whole[3:])
    assert not torch.allclose(model.canvases(5, seed=4), whole)


def test_canvases_of_a_label(tmp_path):
    model = make(tmp_path, "labels")
    for label in (1, torch.tensor([2, 0, 1])):
        torch.testing.assert_close(model.canvases(3, label=label)[:, -1], model.sample(3, label=label))
    with pytest.raises(UserError, match="classes 0 to 2"):
        model.canvases(3, label=3)


def test_latents_have_the_priors_shape_and_reconstruct_the_image(digits):
    images = make_images(3)
    mean, kl = digits.infer(images)
    assert mean.shape == kl.shape == digits.latents(3).shape == (3, digits.decoder.latent)
    torch.testing.assert_close(digits.decode(mean), digits.reconstruct(images))


def test_the_kl_divergence_is_the_mean_log_ratio_over_all_steps(digits):
    """Each step's closed form depends on the samples before it; its mean is that of log q - log p."""
    images, n = make_images(1).expand(20_000, -1, -1, -1), 20_000
    decoder = digits.averaged("decoder")
    epsilon = torch.randn(n, decoder.latent, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        sample = digits.posterior_sample(decoder, images, epsilon)
    assert sample.kl[:, 2:].std(0).min() > 0
    assert sample.kl.sum(1).mean().item() == pytest.approx(-sample.log_ratio.mean().item(), abs=0.1)


def test_averages_follow_the_live_network(tmp_path):
    model = make(tmp_path, "two-coloured", "model.engine.ema_half_life=0")
    model.ema.update({"encoder": model.encoder, "decoder": model.decoder}, 4, 4)
    for one, two in zip(model.averaged("decoder").parameters(), model.decoder.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["model=vae", "coder=draw"], "one level of latents.*coder=mlp or conv"),
        (["model=draw", "coder=ladder"], "draws step by step"),
        (["model=draw", "coder=mlp"], "draws step by step"),
        (["model=draw", "coder=draw", "model.decoder.steps=0"], "model.decoder.steps=0"),
    ],
)
def test_wrong_combinations_are_refused(tmp_path, words, sentence):
    with pytest.raises(UserError, match=sentence):
        instantiate(plain(words[:2], tmp_path, *limited(8), *words[2:])["model"])


def test_the_papers_own_size_composes():
    config = compose(["model=draw", "data=mnist", "data.root=nowhere", "likelihood=bernoulli", "data.binarize=static"])
    validate(config)
    assert (config.model.decoder.steps, config.model.decoder.read, config.model.decoder.write) == (64, 2, 5)
