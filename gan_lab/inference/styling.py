"""Style transfer by optimisation: a photograph's content in the style of other pictures (Gatys et al. 2016)."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.bounds import NonNegative, PositiveFloat, PositiveInt, Seed
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float, to_uint8
from gan_lab.losses.style import content_loss, gram, style_loss, total_variation

Features = Callable[[Tensor], Sequence[Tensor]]
"""Maps images (N, 3, H, W) in [-1, 1] to maps of several layers, from fine to coarse."""
Watch = Callable[[float, Callable[[], Tensor]], None]
"""Called with the share that is done, and a function that returns the image so far, uint8 (3, h, w)."""

SCALES = (0.5, 1.0)
"""Sizes of the rounds, in shares of the last: large shapes come from the small image."""
SMALLEST = 64
"""Least longer side of a round, in pixels."""
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luminance, of ITU-R BT.601."""
MARGIN = 16
"""Pixels that an image is reflected by at its borders: behind them networks see black, which leaves coloured lines."""
OUTSIDE = 10.0
"""Weight of the squared distance of values from [-1, 1]."""


@dataclass(frozen=True)
class StyleOptions:
    """Options of style transfer.

    Args:
        size: longer side of the result in pixels; None keeps the photograph's.
        content: weight of the content, relative to the style's.
        smoothness: weight of the total variation.
        steps: iterations of L-BFGS in each round, at most.
        style_size: of the style pictures, in shares of the result's: larger values make larger strokes.
        keep_colour: "no" takes the style's colours; "histogram" gives the style the photograph's mean colour and
            covariance first; "luminance" transfers the brightness alone (Gatys et al. 2016, "Preserving Color").
        start: "content", or "noise" of the seed.
        seed: of the noise.
    """

    size: PositiveInt | None = 512
    content: NonNegative = 0.05
    smoothness: NonNegative = 0.02
    steps: PositiveInt = 80
    style_size: PositiveFloat = 1.0
    keep_colour: Literal["no", "histogram", "luminance"] = "no"
    start: Literal["content", "noise"] = "content"
    seed: Seed = 0


class StyleTransfer:
    """Gives photographs the style of pictures.

    Example: ``stylised = StyleTransfer(general(), [painting])(photo)``

    Args:
        features: network of which the maps state content and style.
        styles: pictures, uint8 (3, h, w) of any sizes.
        weights: of the styles; None weighs all alike.
        options: see ``StyleOptions``.
        device: where it is computed.

    Raises:
        UserError: without a style, and for another number of weights.
    """

    def __init__(
        self,
        features: Features,
        styles: Sequence[Tensor],
        weights: Sequence[float] | None = None,
        options: StyleOptions | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        if not styles:
            raise UserError("There is no style picture: give at least one.")
        if weights is not None and len(weights) != len(styles):
            raise UserError(f"There are {len(weights)} weights and {len(styles)} style pictures: give one for each.")
        self.network, self.styles, self.device = features, styles, torch.device(device)
        given = torch.tensor([1.0] * len(styles) if weights is None else list(weights))
        self.weights, self.options = (given / given.sum()).tolist(), options or StyleOptions()

    def __call__(self, pixels: Tensor, masks: Tensor | None = None, watch: Watch | None = None) -> Tensor:
        """Returns the stylised photograph, uint8 (3, H, W).

        Args:
            pixels: the photograph, uint8 (3, h, w).
            masks: where each style applies, uint8 or float (K, h', w') of any size, more than 0 where it does; None
                mixes the styles everywhere.
            watch: called after each evaluation of the loss.

        Raises:
            UserError: for another number of masks, or one that is empty.
            ValueError: if the losses are not finite.
        """
        if masks is not None and len(masks) != len(self.styles):
            raise UserError(f"There are {len(masks)} masks and {len(self.styles)} style pictures: give one for each.")
        if masks is not None and not (masks > 0).flatten(1).any(1).all():
            raise UserError("A mask is empty: make it white where its style is to be.")
        plain = resized(to_float(pixels[None]).to(self.device), self.sides(pixels))
        content, styles = self._coloured(plain)
        where = None if masks is None else (masks[:, None].to(self.device) > 0).float()
        image = self._rounds(content, styles, where, watch)
        if not image.isfinite().all():
            raise ValueError("its losses are not finite")
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

    def features(self, image: Tensor) -> Sequence[Tensor]:
        """Returns the maps of an image (1, 3, H, W) with its reflected borders."""
        return self.network(with_margin(image))

    def sides(self, pixels: Tensor) -> tuple[int, int]:
        """Returns height and width of the result for a photograph (3, h, w)."""
        return sides_of(pixels[None], self.options.size or max(pixels.shape[1:]))

    def seconds(self, pixels: Tensor) -> float:
        """Returns about how long a photograph (3, h, w) takes: the time of one evaluation at each size, times steps."""
        found = 0.0
        for height, width in rounds(self.sides(pixels)):
            image, times = torch.zeros(1, 3, height, width, device=self.device, requires_grad=True), []
            for _ in range(2):  # the first call takes longer
                began = time.perf_counter()
                torch.stack([maps.square().mean() for maps in self.features(image)]).sum().backward()  # type: ignore[no-untyped-call]
                if self.device.type == "cuda":
                    torch.cuda.synchronize(self.device)
                times.append(time.perf_counter() - began)
            found += 1.2 * times[-1] * self.options.steps
        return found

    def _rounds(self, content: Tensor, styles: Sequence[Tensor], masks: Tensor | None, watch: Watch | None) -> Tensor:
        """Optimises at one size after the other, each from the result before."""
        sizes, image = rounds((content.shape[2], content.shape[3])), None
        area, done = sum(height * width for height, width in sizes), 0
        for size in sizes:
            there, part = resized(content, size), size[0] * size[1]
            if image is not None:
                image = resized(image, size)
            elif self.options.start == "noise":
                noise = torch.randn(there.shape, generator=torch.Generator().manual_seed(self.options.seed))
                image = noise.mul(0.2).to(self.device)
            else:
                image = there
            begin, share = done / area, part / area
            where = None if masks is None else F.interpolate(masks, size=size, mode="area")
            image = self._optimised(image, there, styles, where, self._watching(watch, begin, share))
            done += part
        assert image is not None
        return image

    def _watching(self, watch: Watch | None, begin: float, share: float) -> Callable[[int, Tensor], None]:
        def told(step: int, image: Tensor) -> None:
            if watch is not None:
                watch(begin + share * min(1.0, step / self.options.steps), lambda: to_uint8(image.detach())[0].cpu())

        return told

    def _optimised(
        self, image: Tensor, content: Tensor, styles: Sequence[Tensor], masks: Tensor | None,
        told: Callable[[int, Tensor], None],
    ) -> Tensor:  # fmt: skip
        """Minimises the losses over the image (1, 3, H, W), from the one given, by L-BFGS."""
        longer = round(max(content.shape[2:]) * self.options.style_size)
        with torch.no_grad():
            wanted = [maps.clone() for maps in self.features(content)[-2:]]
            own = [[gram(maps) for maps in self.features(resized(style, sides_of(style, longer)))] for style in styles]
        mixed = [sum(w * each for w, each in zip(self.weights, layer, strict=True)) for layer in zip(*own, strict=True)]
        image = image.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
        keys: dict[str, Any] = {"max_iter": self.options.steps, "history_size": 20, "line_search_fn": "strong_wolfe"}
        optimizer, steps = torch.optim.LBFGS([image], tolerance_change=0, tolerance_grad=0, **keys), 0

        def loss() -> Tensor:
            nonlocal steps
            optimizer.zero_grad()
            maps = self.features(image)
            style = style_loss([gram(each) for each in maps], mixed) if masks is None else self._apart(maps, own, masks)
            outside = (image.abs() - 1).clamp(min=0).square().mean()
            total = style + self.options.content * content_loss(maps[-2:], wanted) + OUTSIDE * outside
            total = total + self.options.smoothness * total_variation(image)
            total.backward()  # type: ignore[no-untyped-call]
            steps += 1
            told(steps, image)
            return total

        optimizer.step(loss)  # type: ignore[arg-type]
        return image.detach()

    def _apart(self, maps: Sequence[Tensor], targets: Sequence[Sequence[Tensor]], masks: Tensor) -> Tensor:
        """Returns the weighted sum of the styles' losses, each where its mask (K, 1, H, W) is."""
        parts = [
            weight * style_loss([gram(each, with_margin(mask[None])) for each in maps], target)
            for weight, mask, target in zip(self.weights, masks, targets, strict=True)
        ]
        return torch.stack(parts).sum()


def rounds(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Returns the sizes of the rounds for a result of a height and width."""
    scaled = [(max(1, round(size[0] * scale)), max(1, round(size[1] * scale))) for scale in SCALES]
    return [*dict.fromkeys(each for each in scaled if max(each) >= SMALLEST or each == scaled[-1])]


def with_margin(images: Tensor) -> Tensor:
    """Returns images (N, C, H, W) with reflected borders."""
    margins = [min(MARGIN, side - 1) for side in images.shape[2:]]
    return F.pad(images, [margins[1], margins[1], margins[0], margins[0]], mode="reflect")


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
