"""An encoder for a given generator (Tov et al. 2021, e4e, "Designing an Encoder for StyleGAN Image Manipulation")."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.functional import mse_loss, pad

from gan_lab.common.bounds import Natural, NonNegative, PositiveInt
from gan_lab.common.capabilities import Decodes, Samples, Styles
from gan_lab.common.constraints import height_and_width
from gan_lab.common.errors import UserError
from gan_lab.common.fixed_network import FixedNetwork
from gan_lab.common.gradients import gradients
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared, Stateful
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.given import GivenGenerator, GivenStyles
from gan_lab.models.bases.labels import Label, Labels
from gan_lab.training.alternating import AlternatingModule, MakeOptimizer
from gan_lab.training.growth import Growth
from gan_lab.training.options import EngineOptions
from gan_lab.training.turns import Outputs

MEASURED, AT_ONCE = 4000, 500
"""Samples whose codes give the mean and the deviation, and how many are drawn together."""


class Inverter(GivenGenerator, AlternatingModule):
    """Learns the codes from which a fixed generator draws images; samples and edits by that generator.

    The base class of ``LatentInverter`` and ``StyleInverter``. Codes are learnt in deviations from the mean of samples'
    codes. The encoder gives a base code and, for styles, its changes Δ for each layer, which are switched on one after
    the other: first images are explained by codes like those of samples. Satisfies ``Samples``, ``Decodes`` and
    ``Reconstructs``.

    Args:
        generator: the model that is inverted; its weights stay as they are, and checkpoints have them.
        encoder: images (N, C, H, W) → base codes (N, W) and changes (N, L - 1, W).
        discriminator: codes (N, W) → logits (N,); tells samples' codes from encoded ones.
        objective: adversarial loss of codes and its penalties.
        optimizer, d_optimizer: functions from parameters to an optimizer, of encoder and discriminator.
        perceptual: function that returns a distance of images, (a, b) → (N,); called once, when training begins.
        growth: the layer up to which changes are switched on.
        size, channels: of the generator's images.
        classes: K of a conditional generator, else 0.
        pixel, perceptual_weight: weights of the mean squared error and of that distance.
        delta: weight of the mean square of changes, summed over layers ("minimize variation"; the paper sums norms of
            512 numbers, with another weight, and has a loss of identities besides).
        adversarial: weight of the encoder's adversarial loss ("minimize deviation from W").
        engine: options that do not depend on the method.

    Raises:
        UserError: for a generator without such codes.
    """

    shares_graph = "encoder"
    needs: type = Decodes
    """The capability that the generator must have, besides ``Samples``."""
    lacks = "generates nothing from codes: give a GAN, or an autoencoder"
    """The rest of the sentence that refuses others."""
    generator: LightningModule
    mean: Tensor
    deviation: Tensor
    level: Tensor

    def __init__(
        self,
        generator: LightningModule,
        encoder: nn.Module,
        discriminator: nn.Module,
        objective: AdversarialObjective,
        optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        perceptual: Callable[[], nn.Module],
        growth: Growth,
        size: PositiveInt | Sequence[PositiveInt],
        channels: PositiveInt,
        classes: Natural = 0,
        pixel: NonNegative = 1.0,
        perceptual_weight: NonNegative = 0.8,
        delta: NonNegative = 2e-3,
        adversarial: NonNegative = 0.1,
        engine: EngineOptions | None = None,
    ) -> None:
        super().__init__({"discriminator": d_optimizer, "encoder": optimizer}, engine, {"encoder": encoder})
        if not (isinstance(generator, self.needs) and isinstance(generator, Samples)):
            raise UserError(f"{type(generator).__name__} {self.lacks}.")
        self.generator, self.encoder, self.code_discriminator = generator.requires_grad_(False), encoder, discriminator
        self.objective, self.growth, self.perceptual_loss = objective, growth, FixedNetwork(perceptual)
        self.size, self.channels, self.labels, self.classes = size, channels, Labels(classes), classes
        self.pixel, self.perceptual_weight = pixel, perceptual_weight
        self.delta, self.adversarial = delta, adversarial
        objective.check({"discriminator": discriminator})
        width = self.points(self.latents(1), 0 if classes else None).shape[1]
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(()))
        self.register_buffer("level", torch.zeros((), dtype=torch.float64))

    @staticmethod
    def check_data(data: Mapping[str, Any], **arguments: Any) -> None:
        """Checks that there is a generator, and that the data are images of its size; see ``ChecksData``.

        Raises:
            UserError: if they are not.
        """
        if arguments.get("generator") is None:
            raise UserError("An inverter is trained for a generator: give generator_from=, the path of its checkpoint.")
        (height, width), channels = height_and_width(arguments["size"]), arguments["channels"]
        if (*height_and_width(data["size"]), data["channels"]) != (height, width, channels):
            side = height if height == width else f"[{height},{width}]"
            raise UserError(
                f"The generator's images have {width}×{height} px and C={channels}, not those of the data: give "
                f"data.size={side} data.channels={channels}."
            )
        if arguments.get("classes") and data.get("classes") != arguments["classes"]:
            raise UserError(
                f"The generator knows {arguments['classes']} classes, and the data have {data.get('classes')}: give "
                "the data that it was trained on."
            )

    def phases(self) -> Sequence[Phase]:
        return [Phase("discriminator", self.d_losses), Phase("encoder", self.losses, self.objective.n_critic)]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.encoder if phase == "encoder" else self.code_discriminator]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        """Encodes the images, and draws samples' codes; the discriminator sees a random layer that is switched on."""
        codes, changes = self.codes(self.encoder, batch["image"])
        layers = noise.integers(len(codes), 1 + int(self.level))
        judged = codes[torch.arange(len(codes), device=codes.device), layers]
        return {"codes": codes, "changes": changes, "judged": judged, "real": self.sampled_codes(batch, noise)}

    def codes(self, encoder: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns codes (N, L, W) of images (N, C, H, W), and their changes (N, L, W), both in deviations."""
        base, changes = encoder(images)
        on = (self.level - torch.arange(changes.shape[1], device=changes.device)).clamp(0, 1).float()
        changes = pad(changes.float() * on[:, None], (0, 0, 1, 0))
        return base.float()[:, None] + changes, changes

    def sampled_codes(self, batch: Batch, noise: RandomStream) -> Tensor:
        """Returns codes (N, W) of samples, with the labels of the batch, in deviations."""
        seeds = noise.on_host().integers(len(batch["image"]), 2**31).tolist()
        label = batch["label"] if self.classes else None
        rows = [
            self.latents(1, seed, label=None if label is None else label[i : i + 1]) for i, seed in enumerate(seeds)
        ]
        return (self.points(torch.cat(rows), label) - self.mean) / self.deviation

    def losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the encoder's losses."""
        images = batch["image"]
        with gradients():
            drawn = self.drawn(self.mean + self.deviation * shared["codes"], batch["label"] if self.classes else None)
        terms = {"pixel": self.pixel * mse_loss(drawn, images)}
        terms["perceptual"] = self.perceptual_weight * self.perceptual_loss(drawn, images).mean()
        terms["delta"] = self.delta * shared["changes"].square().mean(2).sum(1).mean()
        adversarial = self.objective.g(self.discriminate, shared["judged"], shared["real"])
        return Losses({**terms, "adversarial": self.adversarial * adversarial}, {"level": self.level})

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the losses of the discriminator of codes."""
        return self.objective.d(self.discriminate, shared["real"], shared["judged"], noise, self.iteration)

    def discriminate(self, codes: Tensor) -> Tensor:
        """Returns logits (N,), float32, of codes (N, W) in deviations."""
        logits: Tensor = self.code_discriminator(codes)
        return logits.float()

    def after_step(self, phase: str) -> None:
        if phase == "discriminator":
            self.objective.project(self.code_discriminator)

    def after_iteration(self, outputs: Outputs, images: int) -> None:
        self._switch_on()

    def on_train_start(self) -> None:
        super().on_train_start()
        if self.iteration == 0:
            self.measure()
        self._switch_on()

    def _switch_on(self) -> None:
        """Moves to the layer of the images seen; a run that goes on with a larger budget keeps its own."""
        level = self.growth.at(self.num_layers - 1, self.images_seen, self.progress)
        self.level.fill_(max(float(self.level), level))

    @torch.no_grad()
    def measure(self) -> None:
        """Measures the mean of samples' codes, and the root mean square of their distance from it."""
        every = []
        for start in range(0, MEASURED, AT_ONCE):
            label = torch.arange(start, start + AT_ONCE, device=self.device) % self.classes if self.classes else None
            every.append(self.points(self.latents(AT_ONCE, 0, start, label=label), label))
        codes = torch.cat(every).double()
        self.mean.copy_(codes.mean(0))
        self.deviation.copy_((codes - codes.mean(0)).square().mean().sqrt())

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.generator.eval()
        return self

    def extra_state(self) -> Mapping[str, Stateful]:
        return self.objective.extra_state()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["generator"] = {}
        self.generator.on_save_checkpoint(checkpoint["generator"])

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.generator.on_load_checkpoint(checkpoint.get("generator", checkpoint))  # files of weights have no state

    def modules_to_compile(self) -> Sequence[nn.Module]:
        return [self.encoder]

    # What the kinds of codes differ in.

    @property
    def num_layers(self) -> int:
        """L."""
        return 1

    def points(self, latents: Tensor, label: Label) -> Tensor:
        """Maps latents (n, Z) to codes (n, W)."""
        return latents

    def drawn(self, codes: Tensor, label: Label) -> Tensor:
        """Maps codes (N, L, W) to images (N, C, H, W)."""
        return self.decode(codes[:, 0], label)

    # Capabilities.

    def encoded(self, image: Tensor) -> Tensor:
        """Returns codes (N, L, W) of images (N, C, H, W) in [-1, 1], by the averaged encoder."""
        with self.inference_mode():
            return self.mean + self.deviation * self.codes(self.averaged("encoder"), image.to(self.device))[0]

    def reconstruct(self, image: Tensor, label: Label = None) -> Tensor:
        return self.drawn(self.encoded(image), label)


class LatentInverter(Inverter):
    """An encoder of images as latents z of a generator. Satisfies ``Encodes``; see ``Inverter``."""

    def encode(self, image: Tensor, label: Label = None) -> Tensor:
        """Returns latents (N, Z), given images (N, C, H, W) in [-1, 1]; the label is not used."""
        return self.encoded(image)[:, 0]


class StyleInverter(GivenStyles, Inverter):
    """An encoder of images as a style for each layer. Satisfies ``Styles`` and ``EncodesStyles``; see ``Inverter``."""

    needs = Styles
    lacks = "has no styles: take a LatentInverter for it"

    @property
    def num_layers(self) -> int:
        """L."""
        return self.num_styles

    def points(self, latents: Tensor, label: Label) -> Tensor:
        """Maps latents (n, Z) to styles (n, W)."""
        return self.map_styles(latents, label)[:, 0]

    def drawn(self, codes: Tensor, label: Label) -> Tensor:
        """Maps styles (N, L, W) to images (N, C, H, W); the label is not used."""
        return self.synthesize(codes)

    def encode_styles(self, image: Tensor, label: Label = None) -> Tensor:
        """Returns styles (N, L, W), given images (N, C, H, W) in [-1, 1]; the label is not used."""
        return self.encoded(image)
