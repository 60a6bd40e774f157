"""A monitor that warns when a model's latents carry no information: a collapsed posterior or a dead codebook."""

from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from gan_lab.common.bounds import NonNegative, PositiveInt, Probability
from gan_lab.training.callbacks.interval import State


class Collapse(Callback):
    """Warns, once for each, of a collapsed posterior and of a dead codebook.

    It averages what the phases log over ``window`` iterations:

    - the posterior has collapsed if ``kl_nats``, the unweighted KL divergence from the prior per image, is below
      ``kl``;
    - the codebook has died if ``usage``, the share of its entries in use, is below ``usage``.

    It reads what ``training_step`` returned, {phase: {term: scalar}}, and synchronises with the device once a window.
    Early in a run neither value says much, and a KL weight that is annealed from 0 may hold the divergence up for a
    while: nothing is judged before the share ``after`` of the budget is used.

    Args:
        window: iterations that are averaged.
        kl: threshold in nats.
        usage: threshold in [0, 1].
        after: share of the budget in [0, 1].
    """

    def __init__(
        self, window: PositiveInt = 500, kl: NonNegative = 0.5, usage: Probability = 0.1, after: Probability = 0.1
    ) -> None:
        self.window, self.thresholds, self.after = window, {"kl_nats": kl, "usage": usage}, after
        self.values: dict[str, list[Tensor]] = {name: [] for name in self.thresholds}
        self.warned: set[str] = set()

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, *_: object) -> None:
        if module.budget is not None and module.progress < self.after:
            return
        for terms in outputs.values():
            for name in self.thresholds.keys() & terms.keys() - self.warned:
                self._watch(name, terms[name])

    def _watch(self, name: str, value: Tensor) -> None:
        values = self.values[name]
        values.append(value.detach().float())
        if len(values) < self.window:
            return
        mean = torch.stack(values).mean().item()
        values.clear()
        if mean < self.thresholds[name]:
            self.warned.add(name)
            rank_zero_warn(WARNINGS[name].format(mean=mean, window=self.window))

    def state_dict(self) -> State:
        return {"warned": sorted(self.warned)}

    def load_state_dict(self, state: State) -> None:
        self.warned = set(state["warned"])


WARNINGS = {
    "kl_nats": (
        "The posterior has collapsed to the prior: over the last {window} iterations an image's latents carried "
        "{mean:.2g} nats on average, so the decoder ignores them, and samples do not depend on them. Try a weight that "
        "grows or free bits (vae: model.engine.schedules.beta, model.free_bits=0.1), a smaller model.beta, or a weaker "
        "decoder."
    ),
    "usage": (
        "The codebook has died: over the last {window} iterations {mean:.1%} of the entries that a batch could use "
        "were in use on average, so few codes must stand for all images. Try model.quantizer.restart, fewer entries, "
        "or a lower learning rate."
    ),
}
"""The warning for each logged term, with the fields ``window`` and ``mean``."""
