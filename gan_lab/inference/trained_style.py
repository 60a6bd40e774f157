"""Giving photographs a style with trained models, those with the capability ``Stylizes``."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gan_lab.common.bounds import Probability
from gan_lab.common.capabilities import Stylizes
from gan_lab.common.errors import UserError
from gan_lab.common.images import reflect_pad, round_up
from gan_lab.inference.stylist import StyleOptions, Stylist, Watch


class TrainedStylist(Stylist):
    """Gives photographs the style of pictures, or that which a model learnt, in one pass.

    Example: ``stylised = TrainedStylist(gan_lab.load("last.ckpt"), [painting])(photo)``

    Args:
        model: the model, on the device that is to compute.
        styles, weights, options: see ``Stylist``; no styles for a model of one style.
        strength: 0 keeps the photograph's own style, 1 takes the pictures'.

    Raises:
        UserError: for styles that the model does not take, or if it lacks them.
    """

    largest = 2048 * 2048

    def __init__(
        self,
        model: Stylizes,
        styles: Sequence[Tensor] = (),
        weights: Sequence[float] | None = None,
        options: StyleOptions | None = None,
        strength: Probability = 1.0,
    ) -> None:
        options = options or StyleOptions()
        if model.any_style and not styles:
            raise UserError("This model takes the style of any picture: give style=, one picture or several.")
        if styles and not model.any_style:
            raise UserError("This model has learnt its style: leave out style=.")
        if not model.any_style and options.keep_colour == "histogram":
            raise UserError("keep_colour=histogram changes style pictures, and this model takes none: give luminance.")
        super().__init__(styles, weights, options, getattr(model, "device", "cpu"))
        self.model, self.strength = model, strength

    def _stylised(self, content: Tensor, styles: Sequence[Tensor], masks: Tensor | None, watch: Watch | None) -> Tensor:
        shares = torch.tensor(self.weights, device=self.device).view(-1, 1, 1, 1)
        if masks is not None:
            shares = shares * masks
            shares = shares / shares.sum(0).clamp(min=1e-6)
        pictures = self.sized(styles, content)
        return stylised(self.model, content, pictures, [share[None] for share in shares], self.strength)


def stylised(
    model: Stylizes,
    image: Tensor,
    styles: Sequence[Tensor] = (),
    shares: Sequence[Tensor] = (),
    strength: float = 1.0,
) -> Tensor:
    """Returns stylised images of any size (N, 3, H, W), see ``Stylizes``; a model of one style gets no pictures.

    Args:
        model: the model.
        image: (N, 3, H, W) in [-1, 1].
        styles, shares, strength: see ``Stylizes.stylize``.
    """
    (height, width), multiple = image.shape[2:], model.multiple  # networks reflect their smallest maps: two pixels
    size = max(2 * multiple, round_up(height, multiple)), max(2 * multiple, round_up(width, multiple))
    given = (styles, shares) if model.any_style else ((), ())
    with torch.no_grad():
        return model.stylize(reflect_pad(image, size), *given, strength)[..., :height, :width]
