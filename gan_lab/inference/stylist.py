"""Style transfer: what giving photographs a style has in common, by optimisation or by trained models."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.bounds import PositiveFloat, PositiveInt
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float, to_uint8

Watch = Callable[[float, Callable[[], Tensor]], None]
"""Called with the share that is done, and a function that returns the image so far, uint8 (3, h, w)."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luminance, of ITU-R BT.601."""


@dataclass(frozen=True)
class StyleOptions:
    """Options of every way to give a style.

    Args:
        size: longer side of the result in pixels; None keeps the photograph's.
        style_size: of the style pictures, in shares of the result's: larger values make larger strokes.
        keep_colour: "no" takes the style's colours; "histogram" gives the style the photograph's mean colour and
            covariance first; "luminance" transfers the brightness alone (Gatys et al. 2016, "Preserving Color").
    """

    size: PositiveInt | None = 512
    style_size: PositiveFloat = 1.0
    keep_colour: Literal["no", "histogram", "luminance"] = "no"


class Stylist(ABC):
    """Gives photographs the style of pictures.

    Args:
        styles: pictures, uint8 (3, h, w) of any sizes.
        weights: of the styles; None weighs all alike.
        options: see ``StyleOptions``.
        device: where it is computed.

    Raises:
        UserError: for another number of weights.
    """

    largest: ClassVar[int]
    """Pixels of a result: more take too much memory."""

    def __init__(
        self,
        styles: Sequence[Tensor],
        weights: Sequence[float] | None,
        options: StyleOptions,
        device: str | torch.device,
    ) -> None:
        if weights is not None and len(weights) != len(styles):
            raise UserError(f"There are {len(weights)} weights and {len(styles)} style pictures: give one for each.")
        self.styles, self.options, self.device = styles, options, torch.device(device)
        given = torch.tensor([1.0] * len(styles) if weights is None else list(weights))
        self.weights: list[float] = (given / given.sum()).tolist()

    @abstractmethod
    def _stylised(self, content: Tensor, styles: Sequence[Tensor], masks: Tensor | None, watch: Watch | None) -> Tensor:
        """Returns the stylised photograph (1, 3, H, W).

        Args:
            content: the photograph (1, 3, H, W) in [-1, 1].
            styles: the pictures (1, 3, h, w) in [-1, 1].
            masks: where each style applies, (K, 1, h', w') in [0, 1].
            watch: called now and then.
        """

    def seconds(self, pixels: Tensor) -> float | None:
        """Returns about how long a photograph (3, h, w) takes; None if it takes next to nothing."""
        return None

    def __call__(self, pixels: Tensor, masks: Tensor | None = None, watch: Watch | None = None) -> Tensor:
        """Returns the stylised photograph, uint8 (3, H, W).

        Args:
            pixels: the photograph, uint8 (3, h, w).
            masks: where each style applies, uint8 or float (K, h', w') of any size, more than 0 where it does; None
                mixes the styles everywhere.
            watch: called as the work goes on.

        Raises:
            UserError: for another number of masks, or one that is empty.
            ValueError: if the result is not finite.
        """
        if masks is not None and len(masks) != len(self.styles):
            raise UserError(f"There are {len(masks)} masks and {len(self.styles)} style pictures: give one for each.")
        if masks is not None and not (masks > 0).flatten(1).any(1).all():
            raise UserError("A mask is empty: make it white where its style is to be.")
        plain = resized(to_float(pixels[None]).to(self.device), self.sides(pixels))
        content, styles = self._coloured(plain)
        where = None if masks is None else (masks[:, None].to(self.device) > 0).float()
        image = self._stylised(content, styles, where, watch)
        if not image.isfinite().all():
            raise ValueError("its result is not finite")
        if self.options.keep_colour == "luminance":
            image = plain + luminance(image) - luminance(plain)
        return to_uint8(image)[0].cpu()

    def _coloured(self, content: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Returns the photograph (1, 3, H, W) and the styles (1, 3, h, w) as their colours shall be kept."""
        styles = [to_float(style[None]).to(self.device) for style in self.styles]
        if self.options.keep_colour == "luminance":
            content = luminance(content)
            styles = [luminance(style) for style in styles]
        if self.options.keep_colour != "no":
            styles = [with_moments(style, content) for style in styles]
        return content, styles

    def sides(self, pixels: Tensor) -> tuple[int, int]:
        """Returns height and width of the result for a photograph (3, h, w)."""
        return sides_of(pixels[None], self.options.size or max(pixels.shape[1:]))

    def sized(self, styles: Sequence[Tensor], content: Tensor) -> list[Tensor]:
        """Returns the styles (1, 3, h, w) in the size for a photograph (1, 3, H, W)."""
        longer = round(max(content.shape[2:]) * self.options.style_size)
        return [resized(style, sides_of(style, longer)) for style in styles]


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Returns images (N, C, h, w) in another size (H, W), antialiased."""
    if tuple(images.shape[2:]) == size:
        return images
    return F.interpolate(images, size=size, mode="bicubic", antialias=True).clamp(-1, 1)


def sides_of(image: Tensor, longer: int) -> tuple[int, int]:
    """Returns height and width of an image (N, C, h, w) whose longer side is given."""
    scale = longer / max(image.shape[2:])
    return max(1, round(image.shape[2] * scale)), max(1, round(image.shape[3] * scale))


def luminance(images: Tensor) -> Tensor:
    """Returns the luminance of images (N, 3, H, W) in three equal channels."""
    weights = torch.tensor(LUMA, device=images.device).view(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True).expand_as(images)


def with_moments(style: Tensor, content: Tensor) -> Tensor:
    """Returns a picture (1, 3, h, w) with the mean colour and the covariance of another (1, 3, H, W), clipped.

    Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer", section 3, with symmetric roots.
    """
    own, there = (image.flatten(2)[0].double() for image in (style, content))
    roots = [_root(each) for each in (own, there)]
    whitened = torch.linalg.solve(roots[0], own - own.mean(1, keepdim=True))
    return (roots[1] @ whitened + there.mean(1, keepdim=True)).float().view_as(style).clamp(-1, 1)


def _root(values: Tensor) -> Tensor:
    """Returns the symmetric root of the covariance of values (3, n)."""
    covariance = torch.cov(values, correction=0) + 1e-5 * torch.eye(3).to(values)
    eigenvalues, vectors = torch.linalg.eigh(covariance)
    return (vectors * eigenvalues.clamp(min=1e-5).sqrt()) @ vectors.T
