"""Translation in styles: among many domains, and to the other of two."""

import torch
from torch import Tensor, nn

from gan_lab.common.capabilities import TranslatesAmong, TranslatesInStyles
from gan_lab.common.domains import Domain
from gan_lab.common.precision import full_precision
from gan_lab.inference.tiling.parts import Part
from gan_lab.inference.translation import Tiling, Translator, padded

TILING = Tiling()


@torch.no_grad()
@full_precision()
def restyled(model: TranslatesAmong, images: Tensor, to: int | Tensor, styles: Tensor) -> Tensor:
    """Translates a batch of images, float32 (N, C, H, W), padding by reflection if the model needs another size.

    Example: ``restyled(model, images, 2, model.random_styles(len(images), 2))``

    Args:
        model: a model of many domains.
        images: (N, C, H, W) in [-1, 1], on the model's device.
        to: the domain of all, or int64 (N,).
        styles: (N, S).
    """
    return padded(images, model.multiple, lambda image: model.restyle(image, to, styles))


def num_styles(model: TranslatesAmong) -> int:
    """Returns S, the numbers of a style; 0 for a model without styles."""
    return model.random_styles(1, 0).shape[1]


class StyledTranslator(Translator):
    """Translates images of any size to one domain, in a style of one's choice or in one that is drawn for each.

    Images keep their size, or get ``size``: networks that take sides of any multiple are convolutional. Those that do
    not fit in memory are translated in overlapping tiles that are blended, all in one style.

    Example: ``cat = StyledTranslator(gan_lab.load("last.ckpt"), to=0)(pixels).pixels``

    Args:
        model: a model that translates among many domains, or in styles between two, on the device that is to compute.
        to: the number of a domain, or "a" or "b".
        styles: the style (1, S) of all images; None draws style i of the seed for image i.
        size, tiling: see ``Translator``.
        seed: seed of styles that are drawn.
        channels: of the images of many domains.

    Raises:
        UserError: for a domain that a model of two does not translate to.
    """

    parts: list[Part] | None = None  # type: ignore[assignment]

    def __init__(
        self,
        model: TranslatesAmong | TranslatesInStyles,
        to: int | str,
        styles: Tensor | None = None,
        size: tuple[int, int] | int | None = None,
        tiling: Tiling = TILING,
        seed: int = 0,
        channels: int = 3,
    ) -> None:
        self.styles = styles
        if isinstance(model, TranslatesInStyles):
            super().__init__(model, {"a": "b2a", "b": "a2b"}.get(str(to), str(to)), size, tiling, seed)
            return
        assert isinstance(model, nn.Module)
        self.source = self.target = Domain(channels)
        self.network, self.model = model, model  # type: ignore[assignment]
        self.to, self.size, self.tiling, self.seed = to, size, tiling, seed  # type: ignore[assignment]

    def _translate(self, image: Tensor, number: int) -> Tensor:
        model: TranslatesInStyles = self.model  # type: ignore[assignment]
        styles = model.random_styles(1, self.to, self.seed, number) if self.styles is None else self.styles
        return model.restyle(image, self.to, styles.to(image))
