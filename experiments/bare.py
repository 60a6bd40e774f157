"""Training loops in bare PyTorch, to compare with: bench.py compares the speed, tests compare the result."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss, mse_loss, relu, softplus

from gan_lab.networks import dcgan, patchgan, r3gan, resnet, sngan
from gan_lab.networks.spectral import spectral_norm

Step = Callable[[], None]


def adam(*networks: nn.Module) -> torch.optim.Optimizer:
    parameters = chain.from_iterable(network.parameters() for network in networks)
    return torch.optim.Adam(parameters, 2e-4, (0.5, 0.999))


class DCGAN:
    """Two networks, two Adam optimizers and a batch of real images of 64×64×3."""

    latent, size = 100, 64

    def __init__(self, device: torch.device, layout: torch.memory_format, batch: int) -> None:
        self.device, self.batch = device, batch
        self.g = dcgan.Generator(self.latent, 3, self.size, self.size).to(device=device).to(memory_format=layout)
        self.d = dcgan.Discriminator(3, self.size, self.size).to(device=device).to(memory_format=layout)
        self.g_optimizer, self.d_optimizer = adam(self.g), adam(self.d)
        self.real = torch.rand(batch, 3, self.size, self.size, device=device).mul(2).sub(1).to(memory_format=layout)

    def latents(self) -> Tensor:
        return torch.randn(self.batch, self.latent, device=self.device)


class DCGANAsOurs(DCGAN):
    """One step with gan_lab's precision, memory layout and shared forward pass."""

    def __init__(self, device: torch.device, batch: int, bf16: bool) -> None:
        super().__init__(device, torch.channels_last, batch)
        self.bf16 = bf16

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def __call__(self) -> None:
        with self.autocast():
            fake = self.g(self.latents())
            loss = softplus(-self.d(self.real).float()).mean() + softplus(self.d(fake.detach()).float()).mean()
        self.d_optimizer.zero_grad()
        loss.backward()
        self.d_optimizer.step()
        self.d.requires_grad_(False)
        with self.autocast():
            loss = softplus(-self.d(fake).float()).mean()
        self.g_optimizer.zero_grad()
        loss.backward()
        self.g_optimizer.step()
        self.d.requires_grad_(True)


class DCGANExample(DCGAN):
    """One step as in PyTorch's example: float32, contiguous, separate backward passes for real and fake images."""

    def __init__(self, device: torch.device, batch: int) -> None:
        super().__init__(device, torch.contiguous_format, batch)

    def loss(self, images: Tensor, label: float) -> Tensor:
        logits = self.d(images)
        return binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))

    def __call__(self) -> None:
        self.d.zero_grad()
        self.loss(self.real, 1.0).backward()
        fake = self.g(self.latents())
        self.loss(fake.detach(), 0.0).backward()
        self.d_optimizer.step()
        self.g.zero_grad()
        self.loss(fake, 1.0).backward()
        self.g_optimizer.step()


class Resnets:
    """Generator and discriminator at 32×32×3, two Adam optimizers without momentum, gan_lab's precision and layout."""

    latent = 128

    def __init__(self, device: torch.device, batch: int, bf16: bool, networks: tuple[nn.Module, nn.Module]) -> None:
        self.device, self.batch, self.bf16 = device, batch, bf16
        self.g, self.d = (network.to(device).to(memory_format=torch.channels_last) for network in networks)
        self.g_optimizer, self.d_optimizer = (
            torch.optim.Adam(n.parameters(), 2e-4, (0.0, 0.9), fused=True) for n in (self.g, self.d)
        )
        real = torch.rand(batch, 3, 32, 32, device=device).mul(2).sub(1)
        self.real = real.to(memory_format=torch.channels_last)

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def fakes(self) -> Tensor:
        return self.g(torch.randn(self.batch, self.latent, device=self.device))

    def step(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        torch.clear_autocast_cache()


class SNGAN(Resnets):
    """Hinge loss, spectral norm in the discriminator, one discriminator step for each generator step."""

    def __init__(self, device: torch.device, batch: int, bf16: bool, base: int) -> None:
        discriminator = spectral_norm(sngan.Discriminator(3, 32, 32, base))
        super().__init__(device, batch, bf16, (sngan.Generator(self.latent, 3, 32, 32, base), discriminator))

    def __call__(self) -> None:
        with self.autocast():
            fake = self.fakes()
            loss = relu(1 - self.d(self.real).float()).mean() + relu(1 + self.d(fake.detach()).float()).mean()
        self.step(self.d_optimizer, loss)
        self.d.requires_grad_(False)
        with self.autocast():
            loss = -self.d(fake).float().mean()
        self.step(self.g_optimizer, loss)
        self.d.requires_grad_(True)


class R3GAN(Resnets):
    """Relativistic pairing with R1 and R2 in float32; each player's step generates its own fakes."""

    latent, gamma = 64, 0.05

    def __init__(self, device: torch.device, batch: int, bf16: bool, width: int) -> None:
        networks = r3gan.Generator(self.latent, 3, 32, 32, width), r3gan.Discriminator(3, 32, 32, width)
        super().__init__(device, batch, bf16, networks)

    def __call__(self) -> None:
        with torch.no_grad(), self.autocast():
            fake = self.fakes()
        both = [images.detach().float().requires_grad_() for images in (self.real, fake)]
        logits = [self.d(images) for images in both]
        loss = softplus(logits[1] - logits[0]).mean()
        for images, its in zip(both, logits, strict=True):
            (gradient,) = torch.autograd.grad(its.sum(), images, create_graph=True)
            loss = loss + self.gamma / 2 * gradient.square().sum((1, 2, 3)).mean()
        self.step(self.d_optimizer, loss)
        self.d.requires_grad_(False)
        with self.autocast():
            loss = softplus(self.d(self.real).float() - self.d(self.fakes()).float()).mean()
        self.step(self.g_optimizer, loss)
        self.d.requires_grad_(True)


class CycleGAN:
    """One step as in the published implementation: one forward pass of the generators, image pools, two optimizers.

    Args:
        networks: generators a → b and b → a, discriminators of a and of b.
        batch: returns a pair of batches (a, b), each (N, C, H, W).
        bf16: use autocast, as gan_lab does; False is the published float32.
        pool: fakes kept for each discriminator; while the pool fills, fakes are shown as they come.
    """

    cycle, identity = 10.0, 0.5

    def __init__(
        self,
        networks: tuple[nn.Module, nn.Module, nn.Module, nn.Module],
        batch: Callable[[], tuple[Tensor, Tensor]],
        bf16: bool = False,
        pool: int = 50,
    ) -> None:
        self.a2b, self.b2a, self.discriminator_a, self.discriminator_b = networks
        self.batch, self.bf16, self.size = batch, bf16, pool
        self.g_optimizer, self.d_optimizer = adam(self.a2b, self.b2a), adam(self.discriminator_a, self.discriminator_b)
        self.pools: dict[str, list[Tensor]] = {"a": [], "b": []}

    def __call__(self) -> None:
        a, b = self.batch()
        with torch.autocast(a.device.type, torch.bfloat16, enabled=self.bf16):
            fake_a, fake_b = self.generator_step(a, b)
            self.discriminator_step(a, b, fake_a.detach(), fake_b.detach())

    def generator_step(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        fake_b, fake_a = self.a2b(a), self.b2a(b)
        self._discriminators_learn(False)
        loss = self.target_loss(self.discriminator_a(fake_a), 1.0) + self.target_loss(self.discriminator_b(fake_b), 1.0)
        loss = loss + self.cycle * (l1_loss(self.b2a(fake_b), a) + l1_loss(self.a2b(fake_a), b))
        loss = loss + self.cycle * self.identity * (l1_loss(self.b2a(a), a) + l1_loss(self.a2b(b), b))
        self.g_optimizer.zero_grad()
        loss.backward()
        self.g_optimizer.step()
        torch.clear_autocast_cache()
        return fake_a, fake_b

    def discriminator_step(self, a: Tensor, b: Tensor, fake_a: Tensor, fake_b: Tensor) -> None:
        self._discriminators_learn(True)
        self.d_optimizer.zero_grad()
        for side, discriminator, real, fake in (
            ("a", self.discriminator_a, a, fake_a),
            ("b", self.discriminator_b, b, fake_b),
        ):
            shown = self.query(self.pools[side], fake)
            loss = (self.target_loss(discriminator(real), 1.0) + self.target_loss(discriminator(shown), 0.0)) / 2
            loss.backward()
        self.d_optimizer.step()
        torch.clear_autocast_cache()

    def target_loss(self, logits: Tensor, value: float) -> Tensor:
        return mse_loss(logits.float(), torch.full_like(logits, value, dtype=torch.float32))

    def query(self, pool: list[Tensor], images: Tensor) -> Tensor:
        shown = []
        for image in images:
            if len(pool) < self.size:
                pool.append(image.clone())
            elif torch.rand(()) < 0.5:
                slot = int(torch.randint(self.size, ()))
                pool[slot], image = image.clone(), pool[slot]
            shown.append(image)
        return torch.stack(shown)

    def _discriminators_learn(self, learn: bool) -> None:
        self.discriminator_a.requires_grad_(learn)
        self.discriminator_b.requires_grad_(learn)


def cyclegan_networks(blocks: int = 6, **options: Any) -> tuple[nn.Module, nn.Module, nn.Module, nn.Module]:
    generators = (resnet.Generator(blocks=blocks, **options) for _ in range(2))
    discriminators = (patchgan.Discriminator(**options) for _ in range(2))
    return (*generators, *discriminators)  # type: ignore[return-value]
