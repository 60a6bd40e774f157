"""Adaptive discriminator augmentation (Karras et al. 2020b, "Training Generative Adversarial Networks with Limited
Data", StyleGAN2-ADA; the transformations are those of appendix B).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from gan_lab.common.bounds import PositiveInt, Probability
from gan_lab.common.constraints import has_single_images, height_and_width
from gan_lab.common.errors import UserError
from gan_lab.common.types import RandomStream
from gan_lab.training import wavelets
from gan_lab.training.warping import in_order, rotation, scaling, translation, warped

SETS = {
    "b": "blit", "g": "geometry", "c": "colour", "f": "filter", "n": "noise", "k": "cutout",
}  # fmt: skip
"""Transformations by their letter in the name of a set; in the paper's bgcfnc, the second c is cutout."""
Pipeline = Literal["b", "g", "c", "f", "n", "k", "bg", "bgc", "bgcf", "bgcfn", "bgcfnk", "bgcfnc"]
GREY = torch.tensor([1.0, 1.0, 1.0, 0.0]) / math.sqrt(3)
"""Direction of grey in the space of colours, homogeneous."""
POWERS = torch.tensor([10.0, 1.0, 1.0, 1.0]) / 13
"""Expected power of the bands, from the lowest, of natural images."""


class ADA:
    """Changes each image by each transformation with probability p, which follows how sure the discriminator is.

    p rises where r, the mean sign of the logits of real images over the threshold of the loss, is above the target, and
    falls where it is below. Where a loss has no threshold, it is the sign over the logits of generated images.

    Args:
        pipeline: letters of the transformations: b flips, right angles and whole pixels; g scales, rotations and parts
            of pixels; c colours; f octave bands; n noise; k cutout. The paper recommends bgc.
        p: probability at the start.
        target: of r; None keeps p.
        images: images in which p moves from 0 to 1 if it always rises.
        interval: iterations between two changes of p.
    """

    def __init__(
        self,
        pipeline: Pipeline = "bgc",
        p: Probability = 0.0,
        target: Probability | None = 0.6,
        images: PositiveInt = 500_000,
        interval: PositiveInt = 4,
    ) -> None:
        self.transformations = [SETS[letter] for letter in pipeline.replace("nc", "nk")]
        self.p, self.target, self.images, self.interval = p, target, images, interval
        self.signs: list[Tensor] = []
        self.seen = 0

    @staticmethod
    def check_data(data: Mapping[str, Any], pipeline: str = "bgc", **_: object) -> None:
        """Checks that the data are images, see ``ChecksData``.

        Raises:
            UserError: for clips, points of the plane and models that translate, and for a number of channels that is
                neither that of grey nor that of RGB.
        """
        if height_and_width(data["size"]) == (1, 1) or not has_single_images(data):
            raise UserError("ADA works with GANs of single images: leave remedy=ada out.")
        if "c" in pipeline and data["channels"] not in (1, 3):
            raise UserError(
                f"ADA changes colours of images with 1 or 3 channels, not {data['channels']}: "
                "set model.augment.ada.pipeline=bg."
            )

    def __call__(self, images: Tensor, noise: RandomStream) -> Tensor:
        """Returns images (N, C, H, W), given as many."""
        if self.p <= 0:
            return images
        with torch.autocast(images.device.type, enabled=False):
            x = images.to(torch.promote_types(images.dtype, torch.float32))
            maybe, host = Maybe(self.p, len(x), noise.on_host()), noise.on_host()
            if {"blit", "geometry"} & {*self.transformations}:
                x = warped(x, geometry(maybe, (x.shape[2], x.shape[3]), self.transformations))
            if "colour" in self.transformations:
                x = recoloured(x, colours(maybe, grey=x.shape[1] == 1))
            if "filter" in self.transformations:
                x = filtered(x, band_gains(maybe))
            if "noise" in self.transformations:
                deviation = maybe(0.1 * host.normal(len(x)).abs(), 0.0)
                x = x + noise.normal(*x.shape).to(x.dtype) * deviation.to(x, non_blocking=True)[:, None, None, None]
            if "cutout" in self.transformations:
                x = cut_out(x, maybe(torch.full((len(x),), 0.5), 0.0), host.uniform(len(x), 2))
        return x

    def follow(self, sign: Tensor, images: int) -> None:
        """Counts an iteration, and changes p if it is due.

        Args:
            sign: r, a scalar that is equal on all ranks.
            images: images of the iteration, over all ranks.
        """
        if self.target is None:
            return
        self.signs.append(sign.detach())
        self.seen += images
        if len(self.signs) < self.interval:
            return
        mean = float(torch.stack([each.to(sign.device) for each in self.signs]).mean())
        step = (mean > self.target) - (mean < self.target)
        self.p = min(1.0, max(0.0, self.p + step * self.seen / self.images))
        self.signs, self.seen = [], 0

    def state_dict(self) -> dict[str, Any]:
        return {"p": self.p, "signs": [float(sign) for sign in self.signs], "seen": self.seen}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.p, self.seen = state_dict["p"], state_dict["seen"]
        self.signs = [torch.tensor(sign) for sign in state_dict["signs"]]


class Maybe:
    """Draws for each of n images, on the CPU, whether a change is made: with probability p."""

    def __init__(self, p: float, n: int, noise: RandomStream) -> None:
        self.p, self.n, self.noise = p, n, noise

    def __call__(self, values: Tensor, neutral: float, p: float | None = None) -> Tensor:
        """Returns values (n, …), the neutral one for images that are not changed."""
        chosen = self.noise.uniform(self.n) < (self.p if p is None else p)
        return torch.where(chosen.view(-1, *[1] * (values.ndim - 1)), values, neutral)

    def normal(self, *shape: int) -> Tensor:
        """Returns normal numbers (n, *shape)."""
        return self.noise.normal(self.n, *shape)

    def signed(self, *shape: int) -> Tensor:
        """Returns numbers (n, *shape) uniform in [-1, 1)."""
        return 2 * self.noise.uniform(self.n, *shape) - 1


def geometry(maybe: Maybe, size: tuple[int, int], groups: Sequence[str]) -> Tensor:
    """Returns matrices (N, 3, 3) that move points (x, y, 1), in pixels from the centre, of images to where they go."""
    n, sides = maybe.n, torch.tensor([size[1], size[0]])
    moves = []
    if "blit" in groups:
        flip = maybe(1.0 - 2 * maybe.noise.integers(n, 2), 1.0)
        moves += [scaling(flip, torch.ones(n)), rotation(maybe(math.pi / 2 * maybe.noise.integers(n, 4), 0.0))]
        moves += [translation((maybe(maybe.signed(2) / 8, 0.0) * sides).round())]
    if "geometry" in groups:
        either = 1 - math.sqrt(1 - maybe.p)  # the probability of at least one of two rotations is p
        scale = maybe((0.2 * maybe.normal()).exp2(), 1.0)
        moves += [scaling(scale, scale), rotation(maybe(math.pi * maybe.signed(), 0.0, either))]
        stretch = maybe((0.2 * maybe.normal()).exp2(), 1.0)
        moves += [scaling(stretch, 1 / stretch), rotation(maybe(math.pi * maybe.signed(), 0.0, either))]
        moves += [translation(maybe(maybe.normal(2) / 8, 0.0) * sides)]
    return in_order(moves)


def colours(maybe: Maybe, grey: bool) -> Tensor:
    """Returns matrices (N, 4, 4) that map colours (r, g, b, 1); without hue and saturation if the images are grey."""
    n, along = maybe.n, torch.outer(GREY, GREY)
    brightness = torch.eye(4).repeat(n, 1, 1)
    brightness[:, :3, 3] = maybe(0.2 * maybe.normal(1), 0.0)
    contrast = maybe((0.5 * maybe.normal()).exp2(), 1.0)
    changes = [brightness, torch.diag_embed(torch.stack([contrast] * 3 + [torch.ones(n)], 1))]
    inverted = maybe(maybe.noise.integers(n, 2).float(), 0.0)[:, None, None]
    changes += [torch.eye(4) - 2 * along * inverted]
    if not grey:
        changes += [hue_rotation(maybe(math.pi * maybe.signed(), 0.0))]
        saturation = maybe(maybe.normal().exp2(), 1.0)[:, None, None]
        changes += [along + (torch.eye(4) - along) * torch.where(torch.eye(4)[3] > 0, 1.0, saturation)]
    return in_order(changes)


def band_gains(maybe: Maybe) -> Tensor:
    """Returns factors (N, bands) of octave bands, each of which keeps the expected power of natural images."""
    gains = torch.ones(maybe.n, wavelets.BANDS)
    for band in range(wavelets.BANDS):
        own = torch.ones_like(gains)
        own[:, band] = maybe(maybe.normal().exp2(), 1.0)
        gains = gains * own / (own.square() @ POWERS).sqrt()[:, None]
    return gains


def recoloured(images: Tensor, matrices: Tensor) -> Tensor:
    """Returns images (N, C, H, W) with colours mapped by matrices (N, 4, 4); of grey ones, by the mean of the rows."""
    matrices = matrices[:, :3].to(images, non_blocking=True)
    if images.shape[1] == 1:
        mean = matrices.mean(1)
        return images * mean[:, :3].sum(1)[:, None, None, None] + mean[:, 3, None, None, None]
    return (matrices[:, :, :3] @ images.flatten(2) + matrices[:, :, 3:]).view(images.shape)


def filtered(images: Tensor, gains: Tensor) -> Tensor:
    """Returns images (N, C, H, W) with octave bands multiplied by gains (N, bands), along one side and the other."""
    rows, columns = (
        torch.einsum(
            "nb,bij->nij",
            gains.to(images, non_blocking=True),
            wavelets.placed(wavelets.bands, side, device=images.device, dtype=images.dtype),
        )[:, None]
        for side in images.shape[2:]
    )
    return rows @ images @ columns.mT


def cut_out(images: Tensor, sizes: Tensor, centres: Tensor) -> Tensor:
    """Sets a rectangle of images (N, C, H, W) to 0, by shares of both sides: sizes (N,) and centres (N, 2)."""
    outside = []
    for side, centre in zip(images.shape[2:], centres.unbind(1), strict=True):
        pixels = (torch.arange(side) + 0.5) / side
        outside.append((pixels - centre[:, None]).abs() >= sizes[:, None] / 2)
    kept = outside[0][:, :, None] | outside[1][:, None, :]
    return images * kept[:, None].to(images, non_blocking=True)


def hue_rotation(angle: Tensor) -> Tensor:
    """Returns matrices (N, 4, 4) that rotate colours (r, g, b, 1) about grey by angles (N,), in radians (Rodrigues)."""
    x = GREY[0]
    cross = torch.tensor([[0.0, -1, 1, 0], [1, 0, -1, 0], [-1, 1, 0, 0], [0, 0, 0, 0]]) * x
    colour, along = torch.diag(torch.tensor([1.0, 1, 1, 0])), torch.outer(GREY, GREY)
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return along + cos * (colour - along) + sin * cross + torch.diag(torch.tensor([0.0, 0, 0, 1]))
