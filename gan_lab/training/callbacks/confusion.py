"""Shows which images the discriminators of a translation model take for real, in each of the two domains."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from gan_lab.common.bounds import Natural, PositiveInt, Seed
from gan_lab.common.capabilities import Discriminates, Translates, TwoDomains
from gan_lab.common.images import heatmap
from gan_lab.data.subsets import evenly_spaced
from gan_lab.inference.translation import SPLIT, translated
from gan_lab.training.alternating import AlternatingModule
from gan_lab.training.callbacks.interval import ImageInterval, State
from gan_lab.training.callbacks.stop import is_stopped, long_step
from gan_lab.training.loggers import log_image

REAL, TRANSLATED = "real", "made"
"""Kinds of images, as they stand in the names of logged metrics."""

Verdicts = dict[tuple[str, str, str], float]
"""Values by the images' kind (``REAL`` or ``TRANSLATED``), their domain, and the discriminator's domain."""


@runtime_checkable
class DiscriminatingTranslator(Discriminates, Translates, Protocol):
    """A translation model that gives its discriminators' logits."""


class Confusion(Callback):
    """Logs how the discriminators of a translation model judge real and translated test images of both domains.

    ``confusion/critic_b/made_b`` is the share of logits with which the discriminator of b takes translations to b for
    real; where the objective has no decision threshold (``Discriminates.decision_threshold``), it is the mean logit. A
    heat map of all values is logged as the image ``confusion``.

    The test images are spread evenly over the split. A discriminator judges only images with the channels, or labels,
    of its own domain.

    Args:
        every: images between evaluations; there is always one at the end, and with 0 no other.
        n: test images of each domain.
        seed: seed of stochastic translations.
    """

    def __init__(self, every: Natural, n: PositiveInt = 8, seed: Seed = 0) -> None:
        self.every, self.n, self.seed = ImageInterval(every), n, seed
        self.shown = -1

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: object) -> None:
        if self.every.due(module.images_seen):
            self._show(trainer, module)

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        if self.shown != module.images_seen and not is_stopped(trainer):
            self._show(trainer, module)

    def _show(self, trainer: Trainer, module: AlternatingModule) -> None:
        """Averages the buffers over all ranks (collective); then rank 0 evaluates and logs."""
        data = getattr(trainer, "datamodule", None)
        if not isinstance(module, DiscriminatingTranslator) or not isinstance(data, TwoDomains):
            return
        module.sync_buffers()
        values: Verdicts = {}
        if trainer.is_global_zero and not long_step(
            trainer, lambda: values.update(verdicts(module, data, self.n, self.seed))
        ):
            return
        self.shown = module.images_seen
        if not values:
            return
        metrics = {f"confusion/critic_{of}/{kind}_{domain}": value for (kind, domain, of), value in values.items()}
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=self.shown)
        image = _heatmap(values, list(module.discriminated), module.decision_threshold)
        log_image(trainer.loggers, "confusion", image, self.shown)

    def state_dict(self) -> State:
        return {"every": self.every.state_dict(), "shown": self.shown}

    def load_state_dict(self, state: State) -> None:
        self.every.load_state_dict(state["every"])
        self.shown = state["shown"]


def verdicts(model: DiscriminatingTranslator, data: TwoDomains, n: int, seed: int = 0) -> Verdicts:
    """Evaluates every discriminator on at most n test images of each domain and on their translations.

    Returns:
        The share of logits above the decision threshold, or the mean logit if the objective has no threshold.
    """
    values: dict[tuple[str, str, str], list[float]] = {}
    for shown in _exhibits(model, data, n, seed):
        for of in model.discriminated:
            if model.domains[of].network_channels == model.domains[shown.domain].network_channels:
                logits = model.logits(shown.image, of, shown.source)
                verdict = logits if model.decision_threshold is None else (logits > model.decision_threshold).float()
                values.setdefault((shown.kind, shown.domain, of), []).append(float(verdict.mean()))
    return {key: sum(each) / len(each) for key, each in values.items()}


@dataclass(frozen=True)
class _Exhibit:
    """An image (1, C, H, W) for the discriminators, and the image (1, C', H, W) that it was made from or belongs to."""

    kind: str
    domain: str
    image: Tensor
    source: Tensor


def _exhibits(model: DiscriminatingTranslator, data: TwoDomains, n: int, seed: int) -> Iterator[_Exhibit]:
    """Yields the images one at a time, since they may differ in size."""
    device = getattr(model, "device", "cpu")
    count = min(n, *(data.sides[side].count(SPLIT) for side in ("a", "b")))
    real = {
        side: [
            model.domains[side].encode(pixels.to(device))
            for _, pixels in evenly_spaced(data.sides[side], SPLIT, count, 1)
        ]
        for side in ("a", "b")
    }
    for side, other in (("a", "b"), ("b", "a")):
        for number, (own, foreign) in enumerate(zip(real[side], real[other], strict=True)):
            # A conditional discriminator sees a source too: the image of a, for one of a the image itself.
            yield _Exhibit(REAL, side, own, real["a"][number])
            if f"{other}2{side}" in model.directions:
                yield _Exhibit(TRANSLATED, side, translated(model, foreign, side, seed, number), foreign)


def _heatmap(values: Verdicts, discriminated: list[str], decision_threshold: float | None) -> Tensor:
    rows = [(kind, domain) for domain in ("a", "b") for kind in (REAL, TRANSLATED)]
    rows = [row for row in rows if any(row == key[:2] for key in values)]
    cells = torch.tensor([[values.get((*row, of), float("nan")) for of in discriminated] for row in rows])
    title, limits = ("mean logits", None) if decision_threshold is None else ("share taken for real", (0.0, 1.0))
    names = [f"real {domain}" if kind == REAL else f"translated to {domain}" for kind, domain in rows]
    return heatmap(cells, names, [f"D of {side}" for side in discriminated], title, limits)
