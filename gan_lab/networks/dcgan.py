"""DCGAN (Radford, Metz and Chintala 2016): all-convolutional, for any picture that halves down to 4 px."""

from itertools import pairwise

from torch import Tensor, nn

from gan_lab.networks.layers import beside, halvings, init_normal, make_norm


class Generator(nn.Module):
    """Latents (N, Z) → images (N, C, H, W) in [-1, 1]: transposed convolutions, batch norm, ReLU, tanh.

    At 64×64×3 the widths are 512, 256, 128, 64 and the network has 3,576,704 parameters.

    Args:
        latent: Z.
        channels, height, width: of the images.
        base: maps at half the final resolution; doubled at each halving.
        classes: K; then labels (N,) are taken as well, their indicators beside the latents.
    """

    def __init__(self, latent: int, channels: int, height: int, width: int, base: int = 64, classes: int = 0) -> None:
        super().__init__()
        self.classes = classes
        times = halvings(height, width)
        maps = [base << i for i in reversed(range(times))]
        start = (height >> times, width >> times)
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent + classes, maps[0], start, bias=False)]
        for before, after in pairwise(maps):
            layers += [nn.BatchNorm2d(before), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(maps[-1]), nn.ReLU(inplace=True)]
        layers += [nn.ConvTranspose2d(maps[-1], channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        init_normal(self)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.layers(beside(latents, labels, self.classes)[:, :, None, None])


class Discriminator(nn.Module):
    """Images (N, C, H, W) → logits (N,): strided convolutions, LeakyReLU 0.2, norm in all but the first and last.

    At 64×64×3 it has 2,765,568 parameters.

    Args:
        channels, height, width: of the images.
        base: maps after the first halving; doubled at each further one.
        norm: batch (the paper's), instance, layer or none, in whose place convolutions have biases.
        classes: K; then labels (N,) are taken as well, their indicators as maps beside the images.
    """

    def __init__(
        self, channels: int, height: int, width: int, base: int = 64, norm: str = "batch", classes: int = 0
    ) -> None:
        super().__init__()
        self.classes = classes
        times = halvings(height, width)
        maps = [base << i for i in range(times)]
        biased = norm == "none"  # else the norms bring what biases there are
        layers: list[nn.Module] = [
            nn.Conv2d(channels + classes, base, 4, 2, 1, bias=biased),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for before, after in pairwise(maps):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=biased), make_norm(norm, after)]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.out = nn.Conv2d(maps[-1], 1, (height >> times, width >> times), bias=biased)
        self.width = maps[-1] * (height >> times) * (width >> times)
        init_normal(self)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """What the logits are made from, maps (N, …) of ``width`` numbers."""
        return self.layers(beside(images, labels, self.classes))

    def logits(self, features: Tensor) -> Tensor:
        return self.out(features).flatten()

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.logits(self.features(images, labels))
