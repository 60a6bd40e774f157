"""FastGAN: noise from the model's stream, and the reconstruction of real images alone."""

from functools import partial

import pytest
import torch
from torch import nn

from gan_lab.common.errors import UserError
from gan_lab.losses.adversarial import Hinge
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.losses.penalties import R1
from gan_lab.models.bases.latents import Normal
from gan_lab.models.fastgan import FastGAN, cropped
from gan_lab.networks.fastgan import Discriminator, Generator
from gan_lab.training.augment import DiffAugment
from gan_lab.training.noise import KeyedStream

SIZE = 3, 64, 32


def model(norm="none", penalties=None, **options):
    torch.manual_seed(0)
    objective, adam = AdversarialObjective(Hinge(), penalties), partial(torch.optim.Adam, lr=1e-3)
    networks = Generator(5, *SIZE, base=2), Discriminator(*SIZE, base=2, norm=norm)
    return FastGAN(*networks, Normal(5), objective, adam, adam, **options)


def images(n=4):
    return torch.rand(n, *SIZE, generator=torch.Generator().manual_seed(1)) * 2 - 1


class Witness(nn.Module):
    """A distance that keeps the images it is given."""

    def __init__(self):
        super().__init__()
        self.pairs = []

    def forward(self, a, b):
        self.pairs.append((a, b))
        return (a - b).square().mean((1, 2, 3))


def reconstructed(gan, real, key=0):
    return gan.reconstruction_loss(real, *gan.discriminator.maps(real), KeyedStream(key, "turn"))


def test_training_draws_noise_from_the_stream_and_samples_have_the_constant_one():
    gan, batch = model(), {"image": images()}
    for name, strength in gan.generator.named_parameters():
        if name.endswith("strength"):
            nn.init.ones_(strength)
    fakes = [gan.shared_forward(batch, KeyedStream(key, "draw"))["fake"] for key in (0, 0, 1)]
    assert torch.equal(fakes[0], fakes[1]) and not torch.allclose(fakes[0], fakes[2])
    noise = KeyedStream(0, "draw")
    latents = gan.prior(noise, 4)
    own = [noise.normal(4, 1, *size) for size in gan.generator.noise_sizes]
    assert torch.equal(gan.generator(latents, own), fakes[0])
    assert not torch.allclose(gan.generator(latents), fakes[0])


def test_a_part_of_the_maps_is_compared_with_the_same_part_of_the_image():
    """At 64×32 px f1 has 32×16 cells of 2 px; the decoders' images have half the sides."""
    witness = Witness()
    gan, real = model(perceptual=lambda: witness), images()
    loss = reconstructed(gan, real)
    (whole, all_of_it), (part, some) = witness.pairs
    torch.testing.assert_close(loss, (whole - all_of_it).square().mean() + (part - some).square().mean())
    torch.testing.assert_close(all_of_it, nn.functional.avg_pool2d(real, 2))
    f1, f2 = gan.discriminator.maps(real)
    torch.testing.assert_close(whole, gan.discriminator.decode_whole(f2))
    rows, columns = f2.shape[2] + 1, f2.shape[3] + 1
    places = []
    for image, wanted in zip(real, some, strict=True):
        fits = [(i, j) for i in range(rows) for j in range(columns)
                if torch.allclose(image[:, 2 * i : 2 * i + 32, 2 * j : 2 * j + 16], wanted)]  # fmt: skip
        assert len(fits) == 1
        places += fits
    cells = torch.stack([maps[:, i : i + 16, j : j + 8] for maps, (i, j) in zip(f1, places, strict=True)])
    torch.testing.assert_close(part, gan.discriminator.decode_part(cells))
    assert len(set(places)) > 1


def test_parts_may_lie_in_every_corner():
    maps = torch.arange(16.0).view(1, 1, 4, 4).expand(2, -1, -1, -1)
    assert cropped(maps, [0, 1], [1, 0], 1, 1, scale=2).flatten(1).tolist() == [[2, 3, 6, 7], [8, 9, 12, 13]]


@pytest.mark.parametrize("penalties", [{}, {"r1": R1(1.0)}])
def test_real_images_alone_are_reconstructed_as_the_discriminator_sees_them(penalties):
    witness = Witness()
    gan = model(perceptual=lambda: witness, augment={"diff": DiffAugment(cutout=False)}, penalties=penalties)
    real, fake = images(), torch.zeros(4, *SIZE, requires_grad=True)
    losses = gan.d_losses({"image": real}, {"fake": fake}, KeyedStream(0, "turn"))
    seen = gan.apply_augmentations(real, KeyedStream(0, "turn"))  # the first that the turn draws
    torch.testing.assert_close(witness.pairs[0][1], nn.functional.avg_pool2d(seen, 2))
    assert len(witness.pairs) == 2
    (gradient,) = torch.autograd.grad(losses.terms["reconstruction"], fake, allow_unused=True)
    assert gradient is None


def test_the_adversarial_loss_is_that_of_other_gans_and_the_reconstruction_is_weighted():
    gan, batch, fake = model(reconstruction=3.0), {"image": images()}, images().flip(0)
    losses = gan.d_losses(batch, {"fake": fake}, KeyedStream(0, "turn"))
    expected = gan.objective.d(gan.discriminator, batch["image"], fake, KeyedStream(0, "turn"))
    torch.testing.assert_close(losses.terms["adversarial"], expected.terms["adversarial"])
    torch.testing.assert_close(losses.terms["reconstruction"], 3 * reconstructed(gan, batch["image"]))


def test_without_a_perceptual_distance_it_is_l1():
    witness = Witness()
    gan, other, real = model(), model(perceptual=lambda: witness), images()
    reconstructed(other, real)
    expected = sum((a - b).abs().mean() for a, b in witness.pairs)
    torch.testing.assert_close(reconstructed(gan, real), expected)


def test_the_decoders_learn():
    gan, real = model("batch"), images()
    optimizer = torch.optim.Adam(gan.discriminator.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        losses.append(reconstructed(gan, real))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.8 * losses[0]


def test_images_that_no_perceptual_distance_can_look_at_are_refused():
    with pytest.raises(UserError, match=r"model\.perceptual=null"):
        FastGAN.check_data({"channels": 4}, perceptual={})
    FastGAN.check_data({"channels": 4})


def test_other_networks_are_refused():
    with pytest.raises(UserError, match="leave network= out"):
        FastGAN(nn.Linear(1, 1), Discriminator(*SIZE, base=2), *[None] * 4)
