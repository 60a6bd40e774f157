"""Style transfer by optimisation: a photograph's content in the style of other pictures (Gatys et al. 2016)."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.bounds import NonNegative, PositiveInt, Seed
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_uint8
from gan_lab.inference.stylist import StyleOptions, Stylist, Watch, resized
from gan_lab.losses.style import content_loss, gram, style_loss, total_variation

Features = Callable[[Tensor], Sequence[Tensor]]
"""Maps images (N, 3, H, W) in [-1, 1] to maps of several layers, from fine to coarse."""

SCALES = (0.5, 1.0)
"""Sizes of the rounds, in shares of the last: large shapes come from the small image."""
SMALLEST = 64
"""Least longer side of a round, in pixels."""
MARGIN = 16
"""Pixels that an image is reflected by at its borders: behind them networks see black, which leaves coloured lines."""
OUTSIDE = 10.0
"""Weight of the squared distance of values from [-1, 1]."""


@dataclass(frozen=True)
class TransferOptions(StyleOptions):
    """Options of style transfer by optimisation.

    Args:
        content: weight of the content, relative to the style's.
        smoothness: weight of the total variation.
        steps: iterations of L-BFGS in each round, at most.
        start: "content", or "noise" of the seed.
        seed: of the noise.
    """

    content: NonNegative = 0.05
    smoothness: NonNegative = 0.02
    steps: PositiveInt = 80
    start: Literal["content", "noise"] = "content"
    seed: Seed = 0


class StyleTransfer(Stylist):
    """Gives photographs the style of pictures, by optimisation.

    Example: ``stylised = StyleTransfer(general(), [painting])(photo)``

    Args:
        features: network of which the maps state content and style.
        styles, weights, device: see ``Stylist``; at least one style.
        options: see ``TransferOptions``.

    Raises:
        UserError: without a style, and for another number of weights.
    """

    largest = 2048 * 2048  # L-BFGS keeps forty copies of it
    options: TransferOptions

    def __init__(
        self,
        features: Features,
        styles: Sequence[Tensor],
        weights: Sequence[float] | None = None,
        options: TransferOptions | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        if not styles:
            raise UserError("There is no style picture: give at least one.")
        super().__init__(styles, weights, options or TransferOptions(), device)
        self.network = features

    def _stylised(self, content: Tensor, styles: Sequence[Tensor], masks: Tensor | None, watch: Watch | None) -> Tensor:
        return self._rounds(content, styles, masks, watch)

    def features(self, image: Tensor) -> Sequence[Tensor]:
        """Returns the maps of an image (1, 3, H, W) with its reflected borders."""
        return self.network(with_margin(image))

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
        with torch.no_grad():
            wanted = [maps.clone() for maps in self.features(content)[-2:]]
            own = [[gram(maps) for maps in self.features(style)] for style in self.sized(styles, content)]
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
