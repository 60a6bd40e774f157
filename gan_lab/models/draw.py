"""DRAW (Gregor et al. 2015): images drawn step by step."""

from typing import cast

from torch import Tensor, nn

from gan_lab.common.errors import UserError
from gan_lab.models.bases.labels import Label
from gan_lab.models.hvae import HVAE
from gan_lab.networks import draw as networks


class DRAW(HVAE):
    """One group of latents per step; each posterior is conditioned on the canvas so far (section 2).

    Priors are independent of other steps, so that the numbers ε are the latents themselves. The encoder passes the
    images to the decoder, which looks at them step by step; the decoder has ``infer``, and ``canvases(epsilon)`` of
    each step. Satisfies ``DrawsStepwise`` too.
    """

    @staticmethod
    def check_decoder(decoder: nn.Module) -> None:
        """Checks that the decoder fits the method.

        Raises:
            UserError: if it does not.
        """
        if not hasattr(decoder, "canvases"):
            raise UserError("DRAW needs a decoder that draws step by step: leave coder= out.")

    def canvases(self, n: int, seed: int = 0, start: int = 0, label: Label = None) -> Tensor:
        """Returns samples start … start + n - 1 of the seed after each step, (n, T, C, H, W) in [-1, 1], float32.

        The last canvas is the result of ``sample``, unless that draws each pixel (``draws``).

        Raises:
            UserError: for a label that the model does not know.
        """
        labels = self.labels.of_samples(label, n, start, self.device)
        with self.inference_mode():
            canvases = cast(networks.DRAW, self.averaged("decoder")).canvases(self.latents(n, seed, start), *labels)
            return self.to_images(canvases.flatten(0, 1)).unflatten(0, canvases.shape[:2]).float().clamp(-1, 1)
