"""Base of the methods that translate images from one domain to another."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.common.precision import at_inference, full_precision
from gan_lab.common.seeds import seed_of
from gan_lab.common.types import RandomStream, Stateful
from gan_lab.losses.objective import AdversarialObjective, OfImages
from gan_lab.networks.layers import Dropout
from gan_lab.training.alternating import AlternatingModule, MakeOptimizer
from gan_lab.training.augment import Augmentation, apply_in_order
from gan_lab.training.options import EngineOptions


class TranslationModule(AlternatingModule):
    """One or two generators against discriminators. Satisfies ``Translates`` and ``Discriminates``.

    The phases are ``discriminator`` and ``generator``; a method states their order and losses.

    Args:
        generators: networks by direction: "a2b" and, if the method translates back, "b2a".
        discriminators: networks by the name of their attribute.
        domains: arguments of ``gan_lab.common.domains.Domain`` for "a" and for "b".
        objective: adversarial loss and penalties.
        g_optimizer, d_optimizer: functions from parameters to an optimizer.
        dropout_at_test: keeps dropout on when translating (pix2pix's only source of randomness).
        batch_statistics_at_test: normalises each image by its own statistics in batch norm, as pix2pix does.
        engine: options that do not depend on the method.
        augment: augmentations, by name, in front of the discriminators, for real and generated images alike; null
            entries are skipped.

    Raises:
        UserError: if label maps are to be generated with objects.
    """

    def __init__(
        self,
        generators: Mapping[str, nn.Module],
        discriminators: Mapping[str, nn.Module],
        domains: Mapping[str, Mapping[str, Any]],
        objective: AdversarialObjective,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        dropout_at_test: bool = False,
        batch_statistics_at_test: bool = False,
        engine: EngineOptions | None = None,
        augment: Mapping[str, Augmentation | None] | None = None,
    ) -> None:
        super().__init__({"discriminator": d_optimizer, "generator": g_optimizer}, engine, generators)
        for name, network in {**generators, **discriminators}.items():
            self.add_module(name, network)
        self.objective = objective
        self.objective.check(discriminators)
        self.augment = {name: change for name, change in (augment or {}).items() if change is not None}
        self.domains = {side: Domain(**dict(domains[side])) for side in ("a", "b")}
        self.directions, self.discriminators = tuple(generators), tuple(discriminators)
        self._check_targets()
        self.inference_options = {"dropout": dropout_at_test, "batch_statistics": batch_statistics_at_test}

    def _check_targets(self) -> None:
        for to in (direction[-1] for direction in self.directions):
            if self.domains[to].instances:
                raise UserError(
                    f"{type(self).__name__} generates label maps of domain {to}, and numbers of objects cannot be "
                    f"generated: give data.domains.{to}.instances=false."
                )

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        names = self.discriminators if phase == "discriminator" else self.directions
        return [getattr(self, name) for name in names]

    def after_step(self, phase: str) -> None:
        if phase == "discriminator":
            self.objective.project(*self.trainable(phase))

    def extra_state(self) -> Mapping[str, Stateful]:
        return self.objective.extra_state()

    def augmented(self, discriminator: Callable[[Tensor], Tensor], noise: RandomStream) -> Callable[[Tensor], Tensor]:
        """Returns a function from images (N, C, H, W) to a discriminator's logits of them after the augmentations."""
        if not self.augment:
            return OfImages(discriminator)
        return lambda images: discriminator(apply_in_order(self.augment.values(), images, noise))

    def modules_to_compile(self) -> Sequence[nn.Module]:
        return [getattr(self, name) for name in (*self.directions, *self.discriminators)]

    def set_inference_options(self, dropout: bool | None = None, batch_statistics: bool | None = None) -> None:
        """Turns dropout and the use of batch statistics on or off when translating; None keeps the setting."""
        options = {"dropout": dropout, "batch_statistics": batch_statistics}
        self.inference_options |= {name: value for name, value in options.items() if value is not None}

    # The capability Translates.

    @property
    def multiple(self) -> int:
        """The sides of images must be multiples of this."""
        return max(int(getattr(getattr(self, name), "multiple", 1)) for name in self.directions)

    def translator(self, to: str) -> nn.Module:
        """Returns the generator of images of domain ``to``, averaged if the model keeps an average.

        Raises:
            UserError: for a direction that the model does not have.
        """
        name = {"a": "b2a", "b": "a2b"}.get(to, to)
        if name not in self.directions:
            raise UserError(f"This {type(self).__name__} translates {' and '.join(self.directions)}, not to {to!r}.")
        return self.averaged(name)

    @torch.no_grad()
    def translate(self, image: Tensor, to: str, seed: int = 0, start: int = 0) -> Tensor:
        """Returns translations to domain ``to``, float32, given images (N, C, H, W) encoded as the network's input."""
        network, image = self.translator(to), image.to(self.device)
        random = self.inference_options["dropout"] and any(isinstance(m, Dropout) for m in network.modules())
        own_statistics = self.inference_options["batch_statistics"] and bool(_batch_norms(network))
        with at_inference(self.device):
            if not random and not own_statistics:
                with eval_mode(network):
                    return network(image).float()
            translated = []
            for number, single in enumerate(image.split(1), start):
                dropout_seed = seed_of(seed, number, "translate") if random else None
                with eval_mode(network, dropout_seed, self.inference_options["batch_statistics"]):
                    translated.append(network(single).float())
            return torch.cat(translated)

    # The capability Discriminates.

    @property
    def discriminated(self) -> Sequence[str]:
        """The domains that have a discriminator."""
        return ("a", "b") if len(self.discriminators) > 1 else ("b",)

    @property
    def decision_threshold(self) -> float | None:
        return self.objective.loss.decision_threshold

    def discriminator_input(self, image: Tensor, source: Tensor) -> Tensor:
        """Returns the discriminator's input (N, …, H, W), given images (N, C, H, W) and their sources (N, C', H, W).

        Here it is the image alone.
        """
        return image

    @torch.no_grad()
    def logits(self, image: Tensor, of: str, source: Tensor) -> Tensor:
        discriminator = getattr(self, self.discriminators[self.discriminated.index(of)])
        image, source = image.to(self.device), source.to(self.device)
        with torch.autocast(self.device.type, enabled=False), full_precision(), eval_mode(discriminator):
            logits: Tensor = discriminator(self.discriminator_input(image, source)).float()
        return logits


@contextlib.contextmanager
def eval_mode(network: nn.Module, dropout: int | None = None, batch_statistics: bool = False) -> Iterator[None]:
    """Puts the network in evaluation mode, with exceptions; restores everything at the end.

    Args:
        network: network to run.
        dropout: seed with which dropout (``gan_lab.networks.layers.Dropout``) stays on; None turns it off.
        batch_statistics: batch norms use the statistics of their input, and do not update the running ones.
    """
    generator = None if dropout is None else torch.Generator().manual_seed(dropout)
    before = [(module, module.training) for module in network.modules()]
    norms = _batch_norms(network) if batch_statistics else []
    tracked = [norm.track_running_stats for norm in norms]
    network.eval()
    for norm in norms:
        norm.training, norm.track_running_stats = True, False
    dropouts = [module for module in network.modules() if isinstance(module, Dropout)]
    for layer in dropouts:
        layer.generator = generator
    try:
        yield
    finally:
        for norm, tracks in zip(norms, tracked, strict=True):
            norm.track_running_stats = tracks
        for layer in dropouts:
            layer.generator = None
        for module, training in before:
            module.training = training


def _batch_norms(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    return [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
