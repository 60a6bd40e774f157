"""What the GAN does with labels, fakes of the past and parts by name."""

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


class Speaker(nn.Module):
    """Paints the label and the first latent; as a discriminator, says the label."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x, labels):
        said = self.weight * labels.float()
        return said if x.ndim == 4 else (said / 10 + 0 * x[:, 0]).view(-1, 1, 1, 1).expand(-1, *SHAPE)


def make(cls=GANModule, generator=None, discriminator=None, **options):
    sgd = partial(torch.optim.SGD, lr=0.1)
    options = {"prior": Normal(2), "objective": AdversarialObjective(Wasserstein()), **options}
    options |= {"engine": EngineOptions(Budget(images=N)), "g_optimizer": sgd, "d_optimizer": sgd}
    return cls(generator=generator or Speaker(), discriminator=discriminator or Speaker(), **options)


def batch():
    return {"image": torch.zeros(N, *SHAPE), "label": torch.arange(N) % K}


def test_both_networks_are_told_the_labels_of_the_batch():
    model = make(classes=K)
    fake = model.shared_forward(batch(), KeyedStream(0))["fake"]
    assert fake[:, 0, 0, 0].tolist() == pytest.approx([0, 0.1, 0.2] * 2)
    assert model.discriminate(fake, batch(), KeyedStream(0)).tolist() == [0, 1, 2] * 2


def test_a_label_says_what_is_sampled_and_without_one_classes_take_turns():
    model = make(classes=K)
    assert model.sample(4, label=2).unique().tolist() == pytest.approx([0.2])
    assert model.sample(3, label=torch.tensor([2, 0, 1]))[:, 0, 0, 0].tolist() == pytest.approx([0.2, 0, 0.1])
    turns = model.sample(7, seed=1)[:, 0, 0, 0]
    assert turns.tolist() == pytest.approx([0, 0.1, 0.2, 0, 0.1, 0.2, 0])
    assert torch.equal(model.sample(3, seed=1, start=4)[:, 0, 0, 0], turns[4:])


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
def test_labels_that_the_model_does_not_know_are_refused(classes, label, message):
    with pytest.raises(UserError, match=message):
        make(classes=classes).sample(2, label=label)
    plain = mlp.Generator(2, *SHAPE, widths=(4,))
    with pytest.raises(UserError, match="without labels"):
        make(generator=plain, discriminator=mlp.Discriminator(*SHAPE, widths=(4,))).sample(2, label=0)


def test_the_discriminator_is_shown_fakes_of_the_past_and_the_generator_is_not(monkeypatch):
    pool = ImagePool(N)
    pool.images = [torch.full(SHAPE, -1.0)] * N
    generator, discriminator = mlp.Generator(2, *SHAPE, widths=(4,)), mlp.Discriminator(*SHAPE, widths=(4,))
    model = make(generator=generator, discriminator=discriminator, replay_pool=pool)
    shown = []
    monkeypatch.setattr(model.objective, "d", lambda discriminator, real, fake, *_: shown.append(fake))
    drawn = model.shared_forward(batch(), KeyedStream(0))
    model.d_losses(batch(), {name: value.detach() for name, value in drawn.items()}, KeyedStream(0))
    assert (shown[0] == -1).flatten(1).all(1).any()
    assert model.extra_state()["replay_pool"] is pool


def test_what_is_put_before_the_discriminator_and_around_networks_goes_in_order():
    doubled, raised = (lambda x, noise: 2 * x), (lambda x, noise: x + 1)
    wrap = {"discriminator": {"none": None, "flat": lambda network: nn.Sequential(nn.Flatten(), network)}}
    model = make(discriminator=nn.Linear(4, 1), augment={"a": doubled, "b": None, "c": raised}, wrappers=wrap)
    assert isinstance(model.discriminator[0], nn.Flatten)
    assert model.augmented(torch.ones(1), KeyedStream(0)).item() == 3


def networks(latent, classes):
    torch.manual_seed(0)
    generator = mlp.Generator(latent, *SHAPE, widths=(8,), norm=False, classes=classes)
    return {"generator": generator, "discriminator": mlp.Discriminator(*SHAPE, widths=(8,))}


def test_acgans_terms_are_the_cross_entropies_of_the_classes():
    model = make(ACGAN, **networks(2, K), classes=K, auxiliary=2.0)
    data, noise = batch(), KeyedStream(0)
    fake = model.shared_forward(data, noise)["fake"]

    def wrong(images):
        votes = model.classifier(model.discriminator.features(images))
        return -torch.log_softmax(votes, 1)[range(N), data["label"]].mean()

    d, g = model.d_losses(data, {"fake": fake.detach()}, noise), model.g_losses(data, {"fake": fake}, noise)
    torch.testing.assert_close(d.terms["class"], 2 * (wrong(data["image"]) + wrong(fake)))
    torch.testing.assert_close(g.terms["class"], 2 * wrong(fake))
    torch.testing.assert_close(g.terms["adversarial"], -model.discriminator(fake).mean())


def test_infogans_terms_are_likelihoods_of_the_codes_that_made_the_fakes():
    model = make(InfoGAN, **networks(2 + 4 + 2, 0), codes=4, shades=2, information=2.0, shading=0.5)
    drawn = model.shared_forward(batch(), KeyedStream(0))
    code, mean, log_variance = model.reader(model.discriminator.features(drawn["fake"])).split([4, 2, 2], 1)
    g = model.g_losses(batch(), drawn, KeyedStream(0)).terms
    categorical = torch.distributions.Categorical(logits=code).log_prob(drawn["code"]).mean()
    off, variance = drawn["shade"] - mean, log_variance.exp()
    normal = -(off.square() / variance + torch.log(2 * torch.pi * variance)).sum(1).mean() / 2
    torch.testing.assert_close(g["code"], -2 * categorical)
    torch.testing.assert_close(g["shade"], -0.5 * normal)


def test_a_label_replaces_infogans_code_and_truncation_leaves_it_whole():
    model = make(InfoGAN, **networks(2 + 4 + 1, 0), codes=4, shades=1)
    assert model.latent_range().tolist() == [3, 3, 0, 0, 0, 0, 1], "a code is on alone, a shade lies between -1 and 1"
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
