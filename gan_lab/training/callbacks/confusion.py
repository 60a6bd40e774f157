"""Which domain's critic takes what for real: where a translation stands between two domains."""

from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from gan_lab.common.capabilities import Discriminates, Translates, TwoDomains
from gan_lab.common.images import heatmap
from gan_lab.data.subsets import spread
from gan_lab.inference.translation import SPLIT, translated
from gan_lab.training.callbacks.every import Every
from gan_lab.training.loggers import log_image

Judgements = dict[tuple[str, str], float]
"""By what was shown, such as "made b", and by the domain whose critic saw it."""


class Confusion(Callback):
    """Shows the critics of a model that translates real pictures of both domains and made ones, and logs what they say:
    ``confusion/critic_b/made_b`` is the share of logits by which the critic of b takes translations to b for real, or
    their mean where the objective draws no line between real and made. All together are one picture, ``confusion``.

    It looks at test pictures spread over the set, every so many images and at the end. A critic is shown only what has
    the channels, or labels, of its domain.

    Args:
        every: images between looks.
        n: test pictures of each domain.
        seed: of a translation's chance.
    """

    def __init__(self, every: int, n: int = 8, seed: int = 0) -> None:
        self.every, self.n, self.seed = Every(every), n, seed
        self.shown = -1

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.every.due(module.images_seen):
            self._show(trainer, module)

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        if self.shown != module.images_seen:
            self._show(trainer, module)

    def _show(self, trainer: Trainer, module: Any) -> None:
        """All ranks agree on the buffers first (a collective); rank zero looks."""
        data: Any = getattr(trainer, "datamodule", None)
        if not _suits(module, data):
            return
        self.shown = module.images_seen
        module.sync_buffers()
        if not trainer.is_global_zero:
            return
        found = judgements(module, data, self.n, self.seed)
        told = {f"confusion/critic_{of}/{shown.replace(' ', '_')}": value for (shown, of), value in found.items()}
        for logger in trainer.loggers:
            logger.log_metrics(told, step=self.shown)
        log_image(
            trainer.loggers,
            "confusion",
            _picture(found, list(module.discriminated), module.decision_threshold),
            self.shown,
        )

    def state_dict(self) -> dict[str, Any]:
        return {"every": self.every.state_dict(), "shown": self.shown}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.every.load_state_dict(state["every"])
        self.shown = state["shown"]


def _suits(model: Any, data: Any) -> bool:
    return isinstance(model, Discriminates) and isinstance(model, Translates) and isinstance(data, TwoDomains)


def judgements(model: Any, data: TwoDomains, n: int, seed: int = 0) -> Judgements:
    """What the critics say of n test pictures of each domain at most and of their translations, where it is defined.

    Shares of logits above the decision_threshold, or mean logits where there is none.
    """
    said: dict[tuple[str, str], list[float]] = {}
    for shown, side, picture, source in _exhibits(model, data, n, seed):
        for of in model.discriminated:
            if model.domains[of].network_channels == model.domains[side].network_channels:
                logits = model.logits(picture, of, source)
                verdict = logits if model.decision_threshold is None else (logits > model.decision_threshold).float()
                said.setdefault((shown, of), []).append(float(verdict.mean()))
    return {key: sum(values) / len(values) for key, values in said.items()}


def _exhibits(model: Any, data: TwoDomains, n: int, seed: int) -> Iterator[tuple[str, str, Tensor, Tensor]]:
    """A name, the domain, a picture (1, C, H, W), and what it was made from or belongs to; one at a time, for pictures
    may differ in size.
    """
    device = getattr(model, "device", "cpu")
    count = min(n, *(data.sides[side].count(SPLIT) for side in ("a", "b")))
    real = {
        side: [model.domains[side].encode(pixels.to(device)) for _, pixels in spread(data.sides[side], SPLIT, count, 1)]
        for side in ("a", "b")
    }
    for side, other in (("a", "b"), ("b", "a")):
        for number, (own, foreign) in enumerate(zip(real[side], real[other], strict=True)):
            # Of a critic that knows the source: pictures of b belong to those of a, which themselves stand unchanged.
            yield f"real {side}", side, own, real["a"][number]
            if f"{other}2{side}" in model.directions:
                yield f"made {side}", side, translated(model, foreign, side, seed, number), foreign


def _picture(found: Judgements, discriminated: list[str], decision_threshold: float | None) -> Tensor:
    shown = [name for name in ("real a", "made a", "real b", "made b") if any(name == key[0] for key in found)]
    cells = torch.tensor([[found.get((name, of), float("nan")) for of in discriminated] for name in shown])
    what, limits = ("mean logits", None) if decision_threshold is None else ("share taken for real", (0.0, 1.0))
    return heatmap(cells, shown, [f"critic of {side}" for side in discriminated], what, limits)
