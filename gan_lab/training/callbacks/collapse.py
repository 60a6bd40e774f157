"""A monitor that says when the latents of a model carry nothing: its posterior has collapsed, or its codebook died."""

from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor


class Collapse(Callback):
    """Warns once each, by the means over ``window`` turns of what phases log, as the share ``after`` of the budget is
    used:

    - the posterior has collapsed: ``kl_nats``, its divergence from the prior a picture, unweighted, is below ``kl``;
    - the codebook has died: ``usage``, the share of its entries in use, is below ``usage``.

    It reads what ``training_step`` returned, {phase: {term: scalar}}, and the device once a window. A weight that is
    annealed from 0 on may hold the divergence up for a while, and early in a run either figure says little: hence
    ``after``.

    Args:
        window: turns that are judged together.
        kl: nats.
        usage: in [0, 1].
        after: in [0, 1].
    """

    def __init__(self, window: int = 500, kl: float = 0.5, usage: float = 0.1, after: float = 0.1) -> None:
        self.window, self.least, self.after = window, {"kl_nats": kl, "usage": usage}, after
        self.turns: dict[str, list[Tensor]] = {name: [] for name in self.least}
        self.warned: set[str] = set()

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if module.budget is not None and module.progress < self.after:
            return
        for terms in outputs.values():
            for name in self.least.keys() & terms.keys() - self.warned:
                self._watch(name, terms[name])

    def _watch(self, name: str, value: Tensor) -> None:
        turns = self.turns[name]
        turns.append(value.detach().float())
        if len(turns) < self.window:
            return
        mean = torch.stack(turns).mean().item()
        turns.clear()
        if mean < self.least[name]:
            self.warned.add(name)
            rank_zero_warn(WORDS[name].format(mean=mean, window=self.window))

    def state_dict(self) -> dict[str, Any]:
        return {"warned": sorted(self.warned)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.warned = set(state["warned"])


WORDS = {
    "kl_nats": (
        "The posterior has collapsed to the prior: over the last {window} turns a picture's latents carried "
        "{mean:.2g} nats on average, so the decoder ignores them, and samples do not depend on them. Try a weight that "
        "grows or free bits (vae: model.schedules.beta, model.free_bits=0.1), a smaller model.beta, a weaker decoder."
    ),
    "usage": (
        "The codebook has died: over the last {window} turns {mean:.1%} of the entries that a batch could use were in "
        "use on average, so pictures are told apart by few codes. Try model.quantizer.restart, fewer entries, or a "
        "lower learning rate."
    ),
}
"""What is said, by the term that tells it."""
