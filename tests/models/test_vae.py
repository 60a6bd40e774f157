"""Bounds of the likelihood, for models whose likelihood is known in closed form."""

import math
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import nn

from gan_lab.common.errors import UserError
from gan_lab.losses.likelihoods import BIN_WIDTH, Bernoulli, Gaussian
from gan_lab.models.bases.latents import Normal
from gan_lab.models.hvae import HVAE
from gan_lab.models.iwae import IWAE
from gan_lab.models.vae import VAE, kl_with_free_bits
from gan_lab.networks import hierarchical_vae as networks
from gan_lab.networks.vae import MLPDecoder, MLPEncoder
from gan_lab.training.noise import KeyedStream

SCALE, WEIGHTS = 0.5, torch.tensor([[0.8, 0.0], [0.0, 0.6], [0.4, 0.0]])
"""x = W z + s ε over three values and two latents; W's columns are orthogonal, so that the posterior is diagonal."""

ADAM = partial(torch.optim.Adam, lr=1e-2)


class Linear(nn.Module):
    """Encoder whose output is the posterior of z given x, shifted by ``off``."""

    def __init__(self, off=0.0):
        super().__init__()
        precision = 1 + WEIGHTS.square().sum(0) / SCALE**2
        self.to_mean = (WEIGHTS / SCALE**2 / precision).t()
        self.log_variance, self.off = -precision.log(), off

    def forward(self, images):
        mean = images.flatten(1) @ self.to_mean.t() + self.off
        return torch.cat([mean, self.log_variance.expand(len(images), -1)], 1)


class Emission(nn.Module):
    def forward(self, latents):
        return (latents @ WEIGHTS.t()).view(-1, 3, 1, 1)


def model(off=0.0):
    return VAE(Linear(off), Emission(), Gaussian(SCALE), ADAM, prior=Normal(2))


def evidence(images):
    """log N(x; 0, W Wᵀ + s² I), in the units of a level."""
    covariance = WEIGHTS @ WEIGHTS.t() + SCALE**2 * torch.eye(3)
    marginal = torch.distributions.MultivariateNormal(torch.zeros(3), covariance)
    return marginal.log_prob(images.flatten(1)) + 3 * math.log(BIN_WIDTH)


@pytest.fixture
def images():
    return torch.randn(5, 3, 1, 1, generator=torch.Generator().manual_seed(0)) / 2


def draws(k):
    return torch.randn(5, k, 2, generator=torch.Generator().manual_seed(1))


def test_with_the_true_posterior_every_log_weight_is_the_evidence(images):
    vae = model()
    weights, log_likelihood, kl = vae.log_weights(vae.decoder, images, vae.encoder(images), draws(20_000))
    torch.testing.assert_close(weights, evidence(images)[:, None].expand_as(weights), atol=1e-4, rtol=1e-5)
    torch.testing.assert_close((log_likelihood - kl).mean(1), evidence(images), atol=0.05, rtol=0)


def test_with_another_posterior_the_bound_is_lower_by_the_kl_divergence(images):
    """KL(q ‖ p(z | x)) of Gaussians with equal covariance is half the squared Mahalanobis distance of their means."""
    vae = model(off=0.7)
    weights, log_likelihood, kl = vae.log_weights(vae.decoder, images, vae.encoder(images), draws(40_000))
    short = (0.7**2 / vae.encoder.log_variance.exp() / 2).sum()
    for each in (weights, log_likelihood - kl):
        torch.testing.assert_close(each.mean(1), evidence(images) - short, atol=0.1, rtol=0)


def test_the_bound_approaches_the_evidence_with_more_samples(images):
    vae = model(off=0.7)
    weights, *_ = vae.log_weights(vae.decoder, images, vae.encoder(images), draws(40_000))
    bounds = [(weights.view(5, -1, k).logsumexp(2) - math.log(k)).mean(1) for k in (1, 10, 100, 40_000)]
    assert all((low < high).all() for low, high in pairwise(bounds))
    torch.testing.assert_close(bounds[-1], evidence(images), atol=0.1, rtol=0)


def test_the_training_losses_are_the_bound(images):
    vae = model(off=0.7)
    losses = vae.losses({"image": images}, {}, KeyedStream(0, "a"))
    torch.testing.assert_close(losses.total, -losses.logs["elbo"])
    assert losses.logs["bits"].item() == pytest.approx(-losses.logs["elbo"].item() / (3 * math.log(2)), rel=1e-5)


def small(cls=VAE, **more):
    torch.manual_seed(0)
    coders = MLPEncoder(8, 1, 4, 4, [16]), MLPDecoder(4, 1, 4, 4, [16])
    options = {"likelihood": Bernoulli(), "optimizer": ADAM, "prior": Normal(4)} | more
    return cls(encoder=coders[0], decoder=coders[1], **options)


@pytest.fixture
def binary():
    return (torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(2)) > 0.5).float() * 2 - 1


def test_the_bound_of_an_image_depends_on_its_number_alone(binary):
    vae = small()
    whole = vae.log_likelihood(binary, k=7, seed=3)
    parts = [vae.log_likelihood(binary[i : i + 2], k=7, seed=3, start=i) for i in (0, 2, 4)]
    torch.testing.assert_close(torch.cat(parts), whole)
    assert not torch.allclose(vae.log_likelihood(binary, k=7, seed=4), whole)


def test_iwae_minimises_the_bound_by_k_samples(images):
    """One sample gives the evidence minus the posterior's KL divergence, many give the evidence itself."""

    def bound(k, batch):
        made = IWAE(Linear(0.7), Emission(), likelihood=Gaussian(SCALE), optimizer=ADAM, prior=Normal(2), samples=k)
        return -made.losses({"image": batch}, {}, KeyedStream(0, "a")).total

    short = (0.7**2 / Linear().log_variance.exp() / 2).sum()
    torch.testing.assert_close(
        bound(1, images.repeat(8_000, 1, 1, 1)), evidence(images).mean() - short, atol=0.1, rtol=0
    )
    torch.testing.assert_close(bound(20_000, images), evidence(images).mean(), atol=0.1, rtol=0)
    for wrong in (0, 1.5):
        with pytest.raises(UserError, match="samples="):
            small(IWAE, samples=wrong)


def test_the_importance_weighted_bound_refuses_beta():
    with pytest.raises(UserError, match="no KL term"):
        small(IWAE, beta=2.0)


def test_samples_are_means_or_draws_of_the_likelihood():
    vae = small()
    means = vae.sample(4, seed=3)
    vae.set_inference_options(draws=True)
    drawn = torch.stack([vae.sample(4, seed=3, start=4 * i) for i in range(500)]).flatten(0, 1)
    assert means.abs().max() < 1 and set(drawn.unique().tolist()) == {-1, 1}
    torch.testing.assert_close(vae.sample(2, seed=3, start=2), drawn[2:4])
    vae.set_inference_options(draws=False)
    torch.testing.assert_close(drawn.mean(0), vae.sample(2000, seed=3).mean(0), atol=0.1, rtol=0)


def test_free_bits_have_no_cost_and_no_gradient():
    kl = torch.tensor([[0.1, 0.9], [0.2, 1.1]], requires_grad=True)
    total = kl_with_free_bits(kl, 0.5)
    total.backward()
    assert total.item() == pytest.approx(0.5 + 1.0)
    assert kl.grad.tolist() == [[0, 0.5], [0, 0.5]]


def test_known_pixels_are_kept_when_restoring(binary):
    mask = torch.zeros(6, 1, 4, 4)
    mask[..., :2, :] = 1
    made = small().restore(binary, mask, seed=1)
    assert torch.equal(made[..., :2, :], binary[..., :2, :]) and made[..., 2:, :].abs().max() < 1
    torch.testing.assert_close(small().restore(binary[2:3], mask[2:3], seed=1, start=2), made[2:3])


# Hierarchical latents.


@pytest.fixture
def hierarchical():
    torch.manual_seed(0)
    size = (1, 16, 16)
    coders = networks.Encoder(*size, maps=8, cells=1), networks.Decoder(*size, maps=8, groups=2, dim=2)
    for parameter in [p for coder in coders for p in coder.parameters()]:  # some of which are initialised with zeros
        nn.init.normal_(parameter, 0, 0.1)
    return HVAE(*coders, likelihood=Bernoulli(), optimizer=ADAM)


def test_a_hierarchy_has_at_least_three_groups_at_any_size():
    for size in ((16, 16), (28, 28), (32, 32), (20, 36)):
        assert len(networks.Decoder(1, *size, maps=8).groups) >= 3
        images = torch.randn(2, 3, *size)
        decoder = networks.Decoder(3, *size, maps=8, dim=1)
        seen = networks.Encoder(3, *size, maps=8)(images)
        assert decoder.infer(seen, torch.randn(2, decoder.latent)).output.shape == images.shape


def test_decoding_a_posterior_sample_gives_its_output(hierarchical):
    """The top-down pass with the posterior, and decoding its standard normal numbers, give the same image."""
    images = torch.randn(3, 1, 16, 16)
    epsilon = torch.randn(3, hierarchical.decoder.latent)
    found = hierarchical.decoder.infer(hierarchical.encoder(images), epsilon)
    torch.testing.assert_close(hierarchical.decoder(found.sample), found.output, atol=1e-4, rtol=1e-4)


def test_the_hierarchical_kl_divergence_is_the_mean_log_ratio(hierarchical):
    images = torch.randn(1, 1, 16, 16)
    top = sum(2 * 2 * h * w for h, w in networks.latent_sizes(16, 16)[:1])  # whose prior depends on no sample
    epsilon = torch.randn(4000, hierarchical.decoder.latent)
    seen = [maps.expand(4000, -1, -1, -1) for maps in hierarchical.encoder(images)]
    with torch.no_grad():
        found = hierarchical.decoder.infer(seen, epsilon)
    first = slice(0, top // 2)
    assert found.kl[0, first].sum().item() == pytest.approx(-found.log_ratio[:, first].sum(1).mean().item(), abs=0.15)
    assert (found.kl >= -1e-5).all()


def test_kl_divergences_are_taken_at_samples_of_the_latents_above(hierarchical):
    """Their mean over samples agrees with the mean in training."""
    images = torch.randn(2, 1, 16, 16)
    drawn = torch.stack([hierarchical.infer(images, seed=seed)[1] for seed in range(200)])
    with torch.no_grad():
        seen = [maps.repeat(1000, 1, 1, 1) for maps in hierarchical.encoder(images)]
        trained = hierarchical.decoder.infer(seen, torch.randn(2000, hierarchical.decoder.latent)).kl.view(1000, 2, -1)
    error = (drawn.sum(2).var(0) / 200 + trained.sum(2).var(0) / 1000).sqrt()
    assert ((drawn.sum(2).mean(0) - trained.sum(2).mean(0)).abs() < 4 * error + 1e-4).all()
    assert drawn.sum(2).std(0).min() > 1e-3, "they depend on the sample"
    torch.testing.assert_close(
        hierarchical.infer(images[1:], seed=3, start=1)[1], hierarchical.infer(images, seed=3)[1][1:]
    )


def test_another_number_of_latents_in_the_prior_is_refused(binary):
    with pytest.raises(UserError, match="has 4 latents and the prior 5"):
        small(prior=Normal(5)).losses({"image": binary}, {}, KeyedStream(0, "a"))


def test_large_images_are_decoded_in_smaller_chunks(binary, monkeypatch):
    whole = small().log_likelihood(binary, k=20, seed=3)
    monkeypatch.setattr("gan_lab.models.vae.MAX_VALUES", 16 * 12)
    asked = []
    monkeypatch.setattr(
        MLPDecoder, "forward", lambda self, z, own=MLPDecoder.forward: asked.append(len(z)) or own(self, z)
    )
    torch.testing.assert_close(small().log_likelihood(binary, k=20, seed=3), whole)
    assert asked == [12] * 10


def test_reconstruct_is_decode_of_encode(hierarchical):
    images = torch.randn(2, 1, 16, 16)
    torch.testing.assert_close(hierarchical.decode(hierarchical.encode(images)), hierarchical.reconstruct(images))
