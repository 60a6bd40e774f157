"""DRAW (Gregor et al. 2015): pictures drawn step by step."""

from typing import Any

from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.models.hvae import HVAE


class DRAW(HVAE):
    """Latents in groups, one a step, each of whose posteriors knows the picture as it is drawn so far (section 2).

    Priors know nothing of other steps, so that the numbers ε are the latents themselves.

    Args:
        encoder: images → what the decoder looks at, step by step: themselves, without parameters.
        decoder: ε (N, T·Z) → what the likelihood is given, with ``infer`` and with ``canvases(epsilon)`` of each step.
        hvae: what ``HVAE`` takes.
    """

    def __init__(self, encoder: Any, decoder: Any, **hvae: Any) -> None:
        if not hasattr(decoder, "canvases"):
            raise UserError("DRAW needs a decoder that draws step by step: leave coder= away.")
        super().__init__(encoder, decoder, **hvae)

    def canvases(self, n: int, seed: int = 0, start: int = 0, label: int | Tensor | None = None) -> Tensor:
        """Samples start … start + n - 1 of the seed after each step, (n, T, C, H, W) in [-1, 1], float32.

        The last is what ``sample`` gives of the same numbers, where it does not draw each pixel (``draws``).

        Raises:
            UserError: for a label that the model does not know.
        """
        labels = self.expand_labels(self.cyclic_labels(label, n, start), n)
        decoder: Any = self.averaged("decoder")
        with self.inference_mode():
            drawn = decoder.canvases(self.latents(n, seed, start), *labels)
            return self.to_images(drawn.flatten(0, 1)).unflatten(0, drawn.shape[:2]).float().clamp(-1, 1)
