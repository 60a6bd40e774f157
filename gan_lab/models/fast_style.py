"""Fast style transfer (Johnson et al. 2016): a network learns the style of one picture, or of a set of pictures."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import NonNegative
from gan_lab.common.constraints import check_colour
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.losses.style import content_loss, gram, style_loss, total_variation
from gan_lab.models.bases.translation import eval_mode
from gan_lab.training.alternating import AlternatingModule, MakeOptimizer
from gan_lab.training.options import EngineOptions


class FastStyle(AlternatingModule):
    """Photographs "a" get the style of pictures "b". Satisfies ``Stylizes`` by the generator's moving average.

    Args:
        generator: images (N, 3, H, W) → images (N, 3, H, W) in [-1, 1].
        features: function that returns the network that describes content and style, images → maps of several layers,
            from fine to coarse; called once, when training begins.
        optimizer: function from parameters to an optimizer.
        content, style, smoothness: weights of the content loss, of the style loss and of the total variation.
        engine: options that do not depend on the method.
    """

    any_style = False

    def __init__(
        self,
        generator: nn.Module,
        features: Callable[[], nn.Module],
        optimizer: MakeOptimizer,
        content: NonNegative = 1.0,
        style: NonNegative = 10.0,
        smoothness: NonNegative = 0.1,
        engine: EngineOptions | None = None,
    ) -> None:
        super().__init__({"generator": optimizer}, engine, {"generator": generator})
        self.generator, self.make_features = generator, features
        self.features: list[nn.Module] = []  # in a list, so that its fixed weights are not part of the model
        self.content, self.style, self.smoothness = content, style, smoothness

    @staticmethod
    def check_data(data: Mapping[str, Any], **_: object) -> None:
        """Checks that both domains are images in colour, see ``ChecksData``.

        Raises:
            UserError: if they are not.
        """
        check_colour(data)

    def phases(self) -> Sequence[Phase]:
        return [Phase("generator", self.losses)]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.generator]

    def losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        stylised = self.generator(batch["a"])
        maps = self._maps(stylised)
        with torch.no_grad():
            wanted, styles = self._maps(batch["a"]), self._maps(batch["b"])
        with torch.autocast(stylised.device.type, enabled=False):
            targets = [gram(each.float()) for each in styles]
            style = style_loss([gram(each.float()) for each in maps], targets)
            content = content_loss([each.float() for each in maps[-2:]], [each.float() for each in wanted[-2:]])
            smoothness = total_variation(stylised.float())
        terms = {"content": self.content * content, "style": self.style * style}
        return Losses({**terms, "smoothness": self.smoothness * smoothness})

    def _maps(self, images: Tensor) -> Sequence[Tensor]:
        if not self.features:
            self.features.append(self.make_features().to(images.device).requires_grad_(False).eval())
        maps: Sequence[Tensor] = self.features[0](images)
        return maps

    def modules_to_compile(self) -> Sequence[nn.Module]:
        return [self.generator]

    # The capability Stylizes.

    @property
    def multiple(self) -> int:
        """Sides of the images must be multiples of it."""
        return int(getattr(self.generator, "multiple", 1))

    def stylize(
        self,
        image: Tensor,
        styles: Sequence[Tensor] = (),
        shares: Sequence[Tensor] = (),
        strength: float = 1.0,
    ) -> Tensor:
        """Returns images in the style that the model learnt, see ``Stylizes``."""
        image, network = image.to(self.device), self.averaged("generator")
        with self.inference_mode(), eval_mode(network):
            stylised = network(image).float()
            return torch.lerp(image, stylised, strength).clamp(-1, 1)
