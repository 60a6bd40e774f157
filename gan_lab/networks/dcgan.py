"""DCGAN (Radford, Metz and Chintala 2016): all-convolutional, for images whose sides halve down to 4 to 7 px."""

from itertools import pairwise

from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.networks.layers import concat_labels, init_normal, make_norm, num_downsamplings, upsampling


class Generator(nn.Module):
    """Maps latents (N, Z) to images (N, C, H, W) in [-1, 1]: transposed convolutions, batch norm, ReLU, tanh.

    At 64×64×3 the layers have 512, 256, 128 and 64 feature maps, and the network has 3,576,704 parameters.

    Args:
        latent: Z.
        channels, height, width: size of the images.
        base: feature maps at half the final resolution, doubled at each halving.
        classes: K; if not 0, labels (N,) are taken as well and concatenated one-hot to the latents.
        upsample: "transposed", the paper's, or "resize"; see ``upsampling``.

    Raises:
        ValueError: for sides that do not halve down to 4 to 7 px, and for another upsampling.
    """

    def __init__(
        self,
        latent: PositiveInt,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        base: PositiveInt = 64,
        classes: Natural = 0,
        upsample: str = "transposed",
    ) -> None:
        super().__init__()
        self.classes = classes
        times = num_downsamplings(height, width)
        maps = [base << i for i in reversed(range(times))]
        start = (height >> times, width >> times)
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent + classes, maps[0], start, bias=False)]
        for before, after in pairwise(maps):
            layers += [nn.BatchNorm2d(before), nn.ReLU(inplace=True)]
            layers += upsampling(upsample, nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False))
        layers += [nn.BatchNorm2d(maps[-1]), nn.ReLU(inplace=True)]
        layers += [*upsampling(upsample, nn.ConvTranspose2d(maps[-1], channels, 4, 2, 1, bias=False)), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        init_normal(self)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.layers(concat_labels(latents, labels, self.classes)[:, :, None, None])


class Discriminator(nn.Module):
    """Maps images (N, C, H, W) to logits (N,): strided convolutions, LeakyReLU 0.2, norm in the inner layers.

    At 64×64×3 it has 2,765,568 parameters.

    Args:
        channels, height, width: size of the images.
        base: feature maps after the first halving, doubled at each further one.
        norm: batch (the paper's), instance, layer or none; with none, convolutions have biases instead.
        classes: K; if not 0, labels (N,) are taken as well and concatenated one-hot to the images.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        base: PositiveInt = 64,
        norm: str = "batch",
        classes: Natural = 0,
    ) -> None:
        super().__init__()
        self.classes = classes
        times = num_downsamplings(height, width)
        maps = [base << i for i in range(times)]
        biased = norm == "none"  # norms have biases of their own
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
        """Maps images (N, C, H, W), and labels (N,) if conditional, to the last features (N, F, h, w).

        They are ``width`` numbers for each image, from which ``logits`` computes the logits.
        """
        return self.layers(concat_labels(images, labels, self.classes))

    def logits(self, features: Tensor) -> Tensor:
        """Maps features (N, F, h, w) to logits (N,)."""
        return self.out(features).flatten()

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.logits(self.features(images, labels))
