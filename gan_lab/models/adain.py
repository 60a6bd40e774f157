"""Arbitrary style transfer by adaptive instance normalisation (Huang and Belongie 2017)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from gan_lab.common.bounds import NonNegative
from gan_lab.common.constraints import check_colour
from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.losses.style import content_loss, moments, style_loss, total_variation
from gan_lab.models.bases.translation import eval_mode
from gan_lab.networks.adain import adain
from gan_lab.training.alternating import AlternatingModule, MakeOptimizer
from gan_lab.training.options import EngineOptions


class AdaIN(AlternatingModule):
    """Photographs "a" get the style of pictures "b", any of them. Satisfies ``Stylizes`` by the decoder's average.

    Args:
        encoder: images (N, 3, H, W) → maps of several layers, from fine to coarse. It is not trained.
        trained: function that returns the encoder with its weights; called once, before training; None keeps those
            that it has.
        decoder: maps, and the image's (H, W) → images (N, 3, H, W).
        optimizer: function from parameters to an optimizer.
        content, style, smoothness: weights of the content loss (eq. 12), of the style loss (eq. 13) and of the total
            variation.
        engine: options that do not depend on the method.

    Raises:
        UserError: if the decoder is for other maps than the encoder's.
    """

    any_style = True
    multiple = 1
    check_data = staticmethod(check_colour)

    def __init__(
        self,
        encoder: nn.Module,
        trained: Callable[[], nn.Module] | None,
        decoder: nn.Module,
        optimizer: MakeOptimizer,
        content: NonNegative = 1.0,
        style: NonNegative = 10.0,
        smoothness: NonNegative = 0.0,
        engine: EngineOptions | None = None,
    ) -> None:
        super().__init__({"decoder": optimizer}, engine, {"decoder": decoder})
        self.encoder, self.trained, self.decoder = encoder.requires_grad_(False), trained, decoder
        self.content, self.style, self.smoothness = content, style, smoothness
        widths = [list(getattr(part, "widths", [])) for part in (encoder, decoder)]
        if all(widths) and widths[0] != widths[1]:
            raise UserError(f"The encoder has {widths[0]} maps, the decoder takes {widths[1]}: give encoder.widths=.")

    def on_fit_start(self) -> None:
        """Loads the encoder's weights before the first iteration."""
        if self.iteration == 0 and self.trained is not None:
            self.encoder.load_state_dict(self.trained().state_dict())

    def phases(self) -> Sequence[Phase]:
        return [Phase("decoder", self.losses)]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.decoder]

    def losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        self.encoder.eval()  # Lightning puts it into training mode
        with torch.no_grad():
            targets = [moments(each.float()) for each in self.encoder(batch["b"])]
            wanted = normalised(self.encoder(batch["a"]), targets)
        stylised = self.decoder(wanted, batch["a"].shape[2:]).float()
        maps = [each.float() for each in self.encoder(stylised)]
        terms = {
            "content": self.content * content_loss(maps[-1:], wanted[-1:]),
            "style": self.style * style_loss([moments(each) for each in maps], targets),
            "smoothness": self.smoothness * total_variation(stylised),
        }
        return Losses(terms)

    def modules_to_compile(self) -> Sequence[nn.Module]:
        return [self.decoder]

    # The capability Stylizes.

    def stylize(
        self,
        image: Tensor,
        styles: Sequence[Tensor] = (),
        shares: Sequence[Tensor] = (),
        strength: float = 1.0,
    ) -> Tensor:
        """Returns images in the style of pictures, see ``Stylizes``.

        Raises:
            UserError: without a picture.
        """
        if not styles:
            raise UserError("This model takes the style of any picture: give style=, one or several.")
        alike = torch.full((1, 1, 1, 1), 1 / len(styles))
        decoder = self.averaged("decoder")
        with self.inference_mode(), eval_mode(self.encoder), eval_mode(decoder):
            content = [maps.float() for maps in self.encoder(image.to(self.device))]
            maps = [each.clone() for each in content]
            for style, share in zip(styles, shares or [alike] * len(styles), strict=True):
                targets = [moments(each.float()) for each in self.encoder(style.to(self.device))]
                for mixed, own, other in zip(maps, content, normalised(content, targets), strict=True):
                    there = share.to(self.device)
                    if there.shape[2:].numel() > 1:
                        there = adaptive_avg_pool2d(there, own.shape[2:])  # type: ignore[arg-type]
                    mixed += strength * there * (other - own)
            stylised: Tensor = decoder(maps, image.shape[2:])
            return stylised.float().clamp(-1, 1)


def normalised(content: Sequence[Tensor], targets: Sequence[Tensor]) -> list[Tensor]:
    """Returns the content's maps with the moments (N, 2, C) of a style."""
    pairs = zip(content, targets, strict=True)
    return [adain(maps.float(), target[:, 0], target[:, 1]) for maps, target in pairs]
