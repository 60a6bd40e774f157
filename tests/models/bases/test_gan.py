"""GANs: labels, replayed fakes, augmentations and wrappers, auxiliary heads."""

from functools import partial

import pytest
import torch
from torch import nn

from gan_lab.common.errors import UserError
from gan_lab.losses.adversarial import Wasserstein
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.acgan import ACGAN
from gan_lab.models.bases.gan import GANModule
from gan_lab.models.bases.latents import Normal
from gan_lab.models.infogan import InfoGAN
from gan_lab.networks import mlp
from gan_lab.training.budget import Budget
from gan_lab.training.image_pool import ImagePool
from gan_lab.training.noise import KeyedStream
from gan_lab.training.options import EngineOptions

K, N, SHAPE = 3, 6, (1, 2, 2)


class ShowsLabel(nn.Module):
    """A generator of images that show the label; as a discriminator it recycle the label."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x, labels):
        value = self.weight * labels.float()
        return value if x.ndim == 4 else (value / 10 + 0 * x[:, 0]).view(-1, 1, 1, 1).expand(-1, *SHAPE)


def make(cls=GANModule, generator=None, discriminator=None, **options):
    sgd = partial(torch.optim.SGD, lr=0.1)
    options = {"prior": Normal(2), "objective": AdversarialObjective(Wasserstein()), **options}
    options |= {"engine": EngineOptions(Budget(images=N)), "g_optimizer": sgd, "d_optimizer": sgd}
    return cls(generator=generator or ShowsLabel(), discriminator=discriminator or ShowsLabel(), **options)


def batch():
    return {"image": torch.zeros(N, *SHAPE), "label": torch.arange(N) % K}


def test_both_networks_get_the_labels_of_the_batch():
    model = make(classes=K)
    fake = model.shared_forward(batch(), KeyedStream(0))["fake"]
    assert fake[:, 0, 0, 0].tolist() == pytest.approx([0, 0.1, 0.2] * 2)
    assert model.discriminate(fake, batch(), KeyedStream(0)).tolist() == [0, 1, 2] * 2


def test_samples_have_the_given_label_or_cycle_through_the_classes():
    model = make(classes=K)
    assert model.sample(4, label=2).unique().tolist() == pytest.approx([0.2])
    assert model.sample(3, label=torch.tensor([2, 0, 1]))[:, 0, 0, 0].tolist() == pytest.approx([0.2, 0, 0.1])
    cycle = model.sample(7, seed=1)[:, 0, 0, 0]
    assert cycle.tolist() == pytest.approx([0, 0.1, 0.2, 0, 0.1, 0.2, 0])
    assert torch.equal(model.sample(3, seed=1, start=4)[:, 0, 0, 0], cycle[4:])


@pytest.mark.parametrize(
    ("classes", "label", "message"),
    [
        (K, 3, "classes 0 to 2"),
        (K, -1, "classes 0 to 2"),
        (K, "two", "an integer"),
        (K, 1.5, "an integer"),
        (K, torch.tensor([0, 1, 2]), "an integer"),
    ],
)
def test_unknown_labels_are_refused(classes, label, message):
    with pytest.raises(UserError, match=message):
        make(classes=classes).sample(2, label=label)
    unconditional = mlp.Generator(2, *SHAPE, widths=(4,))
    with pytest.raises(UserError, match="without labels"):
        make(generator=unconditional, discriminator=mlp.Discriminator(*SHAPE, widths=(4,))).sample(2, label=0)


def test_only_the_discriminator_sees_replayed_fakes(monkeypatch):
    pool = ImagePool(N)
    pool.images = [torch.full(SHAPE, -1.0)] * N
    generator, discriminator = mlp.Generator(2, *SHAPE, widths=(4,)), mlp.Discriminator(*SHAPE, widths=(4,))
    model = make(generator=generator, discriminator=discriminator, replay_pool=pool)
    seen = []
    monkeypatch.setattr(model.objective, "d", lambda discriminator, real, fake, *_: seen.append(fake))
    shared = model.shared_forward(batch(), KeyedStream(0))
    model.d_losses(batch(), {name: value.detach() for name, value in shared.items()}, KeyedStream(0))
    assert (seen[0] == -1).flatten(1).all(1).any()
    assert model.extra_state()["replay_pool"] is pool


def test_augmentations_and_wrappers_are_applied_in_order():
    doubled, raised = (lambda x, noise: 2 * x), (lambda x, noise: x + 1)
    wrap = {"discriminator": {"none": None, "flat": lambda network: nn.Sequential(nn.Flatten(), network)}}
    model = make(discriminator=nn.Linear(4, 1), augment={"a": doubled, "b": None, "c": raised}, wrappers=wrap)
    assert isinstance(model.discriminator[0], nn.Flatten)
    assert model.apply_augmentations(torch.ones(1), KeyedStream(0)).item() == 3


def networks(latent, classes):
    torch.manual_seed(0)
    generator = mlp.Generator(latent, *SHAPE, widths=(8,), norm=False, classes=classes)
    return {"generator": generator, "discriminator": mlp.Discriminator(*SHAPE, widths=(8,))}


def test_acgan_losses_are_cross_entropies_of_the_classes():
    model = make(ACGAN, **networks(2, K), classes=K, auxiliary=2.0)
    data, noise = batch(), KeyedStream(0)
    fake = model.shared_forward(data, noise)["fake"]

    def expected_loss(images):
        votes = model.classifier(model.discriminator.features(images))
        return -torch.log_softmax(votes, 1)[range(N), data["label"]].mean()

    d, g = model.d_losses(data, {"fake": fake.detach()}, noise), model.g_losses(data, {"fake": fake}, noise)
    torch.testing.assert_close(d.terms["class"], 2 * (expected_loss(data["image"]) + expected_loss(fake)))
    torch.testing.assert_close(g.terms["class"], 2 * expected_loss(fake))
    torch.testing.assert_close(g.terms["adversarial"], -model.discriminator(fake).mean())


def test_infogan_losses_are_likelihoods_of_the_codes():
    model = make(InfoGAN, **networks(2 + 4 + 2, 0), codes=4, shades=2, information=2.0, shading=0.5)
    shared = model.shared_forward(batch(), KeyedStream(0))
    code, mean, log_variance = model.reader(model.discriminator.features(shared["fake"])).split([4, 2, 2], 1)
    g = model.g_losses(batch(), shared, KeyedStream(0)).terms
    categorical = torch.distributions.Categorical(logits=code).log_prob(shared["code"]).mean()
    off, variance = shared["shade"] - mean, log_variance.exp()
    normal = -(off.square() / variance + torch.log(2 * torch.pi * variance)).sum(1).mean() / 2
    torch.testing.assert_close(g["code"], -2 * categorical)
    torch.testing.assert_close(g["shade"], -0.5 * normal)


def test_a_label_replaces_infogans_code_and_truncation_does_not_change_it():
    model = make(InfoGAN, **networks(2 + 4 + 1, 0), codes=4, shades=1)
    assert model.latent_range().tolist() == [3, 3, 0, 0, 0, 0, 1], "codes are one-hot, a shade lies between -1 and 1"
    latents = model.latents(50, truncation=0.5)
    assert latents[:, 2:6].sum(1).tolist() == [1] * 50
    assert latents[:, 6].abs().max() <= 0.5
    whole = model.latents(50)
    torch.testing.assert_close(whole[:, :2] / 2, latents[:, :2])
    relabelled = whole.clone()
    relabelled[:, 2:6] = torch.tensor([0, 0, 0, 1.0])
    assert torch.equal(model.sample(50, label=3), model.decode(relabelled))
    with pytest.raises(UserError, match="classes 0 to 3"):
        model.sample(1, label=4)
