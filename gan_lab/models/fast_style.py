"""Fast style transfer (Johnson et al. 2016): a network learns the style of one picture, or of a set of pictures."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import NonNegative
from gan_lab.common.constraints import check_colour
from gan_lab.common.fixed_network import FixedNetwork
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
    check_data = staticmethod(check_colour)

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
        self.generator, self.features = generator, FixedNetwork(features)
        self.content, self.style, self.smoothness = content, style, smoothness

    def phases(self) -> Sequence[Phase]:
        return [Phase("generator", self.losses)]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.generator]

    def losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        stylised = self.generator(batch["a"])
        maps = self.features(stylised)
        with torch.no_grad():
            wanted, styles = self.features(batch["a"]), self.features(batch["b"])
        with torch.autocast(stylised.device.type, enabled=False):
            targets = [gram(each.float()) for each in styles]
            style = style_loss([gram(each.float()) for each in maps], targets)
            content = content_loss([each.float() for each in maps[-2:]], [each.float() for each in wanted[-2:]])
            smoothness = total_variation(stylised.float())
        terms = {"content": self.content * content, "style": self.style * style}
        return Losses({**terms, "smoothness": self.smoothness * smoothness})

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
