"""A monitor that stops a run that has broken, and speaks up where it learns nothing any more."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from gan_lab.common.capabilities import Samples, Translates, TwoDomains
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float
from gan_lab.inference.translation import SPLIT, ends, translated
from gan_lab.training.callbacks.every import Every

Term = tuple[str, str]
Outputs = Mapping[str, Mapping[str, Tensor]]
NEVER = torch.iinfo(torch.int64).max
CRITIC = "model.d_optimizer.lr"
RATES = {"discriminator": CRITIC, "critic": CRITIC, "generator": "model.g_optimizer.lr"}


class NonFinite(UserError):  # noqa: N818
    """A loss, a gradient or a weight is infinite or not a number."""


class Health(Callback):
    """Stops a run at a loss or gradient that is not finite, before anything broken is saved; put it first.

    It reads what ``training_step`` returned: {phase: {term: scalar, …, "grad_norm": scalar}}. On the CPU every
    iteration is checked; elsewhere the first broken iteration of each term is noted on the device and read every
    ``check_every`` iterations and before each save. With float16 and its loss scaling infinite gradients are routine,
    so only losses and logs count. A checkpoint with weights that are not finite is refused too.

    Two warnings, once each:

    - The critic has won: over ``window`` of its turns its accuracy (share of logits on the right side of the
      objective's decision_threshold, the phase's log ``accuracy``) is 99 % or more, and its lead (mean of ``real`` minus
      ``fake``) in the second
      half is no smaller than in the first. A critic that is right but whose lead shrinks is being caught up. Losses
      without a decision_threshold, such as Wasserstein's, know no such victory.
    - The samples have collapsed: at two checks in a row, ``every`` images apart, the mean distance between 16 samples
      is below 5 % of that between the pictures of the batch; or that between translations of 16 test pictures below
      5 % of that between the target's.

    At the same checks, and at the end, it logs how far averaged networks are from the live ones,
    ``health/ema_distance_<network>`` (relative, over all parameters), and at the checks those spreads, relative to
    real pictures': ``health/spread_<kind>``.

    Args:
        every: images between looks at what is made; 0 never looks.
        check_every: iterations between readings of the device.
        window: turns of the critic that are judged together.

    Raises:
        NonFinite: naming phase, term, iteration, images seen, and what to try.
    """

    def __init__(self, every: int = 20_000, check_every: int = 50, window: int = 500) -> None:
        self.every, self.check_every, self.window = Every(every), check_every, window
        self.broken: dict[tuple[Term, ...], Tensor] = {}
        self.counts: dict[int, int] = {}
        self.turns: list[Tensor] = []
        self.alike: dict[str, int] = {}
        self.clips = False
        self.warned: set[str] = set()
        self.logged = -1

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self.clips = getattr(module, "clip", None) is not None

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        iteration, images_seen = module.iteration, module.images_seen
        self._note(outputs, iteration, images_seen, scaled=trainer.precision == "16-mixed")
        if module.device.type == "cpu" or iteration % self.check_every == 0:
            self._stop_if_broken(trainer)
        self._watch_critic(outputs)
        if self.every.due(images_seen) and trainer.is_global_zero:
            looks = _looks(module, getattr(trainer, "datamodule", None), batch)
            self._log(trainer, module, {kind: self._watch_spread(kind, made, real) for kind, made, real in looks})

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        self._stop_if_broken(trainer)
        if trainer.is_global_zero and self.logged != module.images_seen:
            self._log(trainer, module, {})

    def on_save_checkpoint(self, trainer: Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        """A collective, as saving is: no rank may wait for one that has raised."""
        self._stop_if_broken(trainer)
        if spoilt := _first_not_finite(checkpoint.get("state_dict", {})):
            raise NonFinite(
                f"{spoilt} is not finite at iteration {module.iteration} ({module.images_seen} images seen), so no "
                "checkpoint is written: try lower learning rates or model.clip=1, from the last good checkpoint."
            )

    # Numbers that are not finite.

    def _note(self, outputs: Outputs, iteration: int, images_seen: int, scaled: bool) -> None:
        """Keeps, for every term, the first iteration in which it broke; no transfer from the device."""
        found = {
            (phase, term): value
            for phase, terms in outputs.items()
            for term, value in terms.items()
            if not (scaled and term == "grad_norm")
        }
        if not found:
            return
        finite = torch.stack([value.detach().float() for value in found.values()]).isfinite()
        now = torch.where(finite, NEVER, iteration)
        terms = tuple(found)
        self.broken[terms] = torch.minimum(self.broken.get(terms, now), now)
        self.counts[iteration] = images_seen

    def _stop_if_broken(self, trainer: Trainer) -> None:
        complaint = self._complaint(trainer)
        self.counts.clear()
        if trainer.world_size > 1 and trainer.strategy.reduce_boolean_decision(bool(complaint), all=False):
            complaint = complaint or "Another process met a loss or gradient that is not finite: see its message."
        if complaint:
            raise NonFinite(complaint)

    def _complaint(self, trainer: Trainer) -> str:
        breaks = [
            (iteration, term)
            for terms, first in self.broken.items()
            for term, iteration in zip(terms, first.tolist(), strict=True)
            if iteration != NEVER
        ]
        if not breaks:
            return ""
        iteration, (phase, term) = min(breaks, key=lambda item: item[0])
        what = "gradient" if term == "grad_norm" else f"loss {term!r}"
        return (
            f"The {phase}'s {what} is not finite at iteration {iteration} "
            f"({self.counts.get(iteration, 'some')} images seen), so the run stops and keeps its last good checkpoint: "
            f"try {_remedies(phase, term, str(trainer.precision), self.clips)}."
        )

    # Runs that learn nothing.

    def _watch_critic(self, outputs: Outputs) -> None:
        verdicts = [verdict for terms in outputs.values() for verdict in _verdicts(terms)]
        if not verdicts or "critic" in self.warned:
            return
        self.turns.append(torch.stack(verdicts).mean(0))
        if len(self.turns) < self.window:
            return
        accuracy, lead = torch.stack(self.turns).cpu().unbind(1)
        self.turns.clear()
        early, late = (half.mean() for half in lead.tensor_split(2))
        if accuracy.mean() >= 0.99 and late >= early:
            self._warn(
                "critic",
                f"The critic has won: over its last {self.window} turns it told real from generated pictures in "
                f"{accuracy.mean():.1%} of all cases and its lead still grows, so the generator learns little; try "
                f"loss=r1 or loss=hinge, a lower {CRITIC}, or more data.",
            )

    def _watch_spread(self, kind: str, made: Tensor, real: Tensor) -> float:
        """The spread of what is made, relative to that of real pictures."""
        spread, usual = _distance(made), _distance(real)
        self.alike[kind] = self.alike.get(kind, 0) + 1 if spread < 0.05 * usual else 0
        if self.alike[kind] >= 2:
            self._warn(
                f"collapse of {kind}",
                f"The {kind} have collapsed to one image: they differ by {spread / usual:.1%} of what real pictures "
                "do; try a checkpoint from before, lower learning rates, or another loss such as loss=r1.",
            )
        return spread / usual if usual else math.nan

    def _log(self, trainer: Trainer, module: Any, spreads: Mapping[str, float]) -> None:
        """Spreads, and how far the averaged networks are from the live ones."""
        self.logged = module.images_seen
        told = {f"health/spread_{kind.replace(' ', '_')}": spread for kind, spread in spreads.items()}
        if (ema := getattr(module, "ema", None)) is not None:
            live = {name: getattr(module, name) for name in ema.networks}
            told |= {f"health/ema_distance_{name}": value for name, value in ema.distance(live).items()}
        for logger in trainer.loggers if told else []:
            logger.log_metrics(told, step=module.images_seen)

    def _warn(self, kind: str, text: str) -> None:
        if kind not in self.warned:
            self.warned.add(kind)
            rank_zero_warn(text)

    def state_dict(self) -> dict[str, Any]:
        return {"every": self.every.state_dict(), "alike": dict(self.alike), "warned": sorted(self.warned)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.every.load_state_dict(state["every"])
        self.alike, self.warned = dict(state["alike"]), set(state["warned"])


def _remedies(phase: str, term: str, precision: str, clips: bool) -> str:
    """What commonly helps. A player often breaks on what the other has become, so both rates are named."""
    rates = " and ".join(dict.fromkeys(RATES.values())) if phase in RATES else f"learning rate of the {phase}"
    remedies = [f"a lower {rates}"]
    if not clips:
        remedies.append("model.clip=1")
    if term not in ("grad_norm", "adversarial"):
        remedies.append(f"a smaller weight of {term}")
    if "16" in precision:
        remedies.append("precision=32-true")
    return ", ".join(remedies[:-1]) + " or " * (len(remedies) > 1) + remedies[-1]


def _first_not_finite(state: Mapping[str, Any]) -> str | None:
    """The name of the first floating-point tensor with a broken number; one transfer from the device."""
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor) and value.is_floating_point()}
    if not tensors:
        return None
    finite: Iterable[bool] = torch.stack([value.detach().isfinite().all() for value in tensors.values()]).tolist()
    return next((name for name, good in zip(tensors, finite, strict=True) if not good), None)


def _looks(module: Any, data: Any, batch: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor, Tensor]]:
    """What a model makes by the name of its kind, and real pictures of that kind, 16 of each and two at least."""
    device = module.device
    if isinstance(module, Samples) and len(real := batch.get("image", torch.empty(0))) > 1:
        yield "samples", module.sample(16), to_float(real[:16]) if real.dtype == torch.uint8 else real[:16]
    if not isinstance(module, Translates) or not isinstance(data, TwoDomains):
        return
    first = {side: next(iter(data.sides[side].images(SPLIT, 16))) for side in ("a", "b")}
    for source, target in map(ends, module.directions):
        given, real = (module.domains[side].encode(first[side].to(device)) for side in (source, target))
        if min(len(given), len(real)) > 1:
            yield f"translations to {target}", translated(module, given, target), real


def _distance(images: Tensor) -> float:
    """Mean Euclidean distance between the pictures (N, C, H, W)."""
    return float(torch.pdist(images.detach().float().flatten(1)).mean())


def _verdicts(terms: Mapping[str, Tensor]) -> Iterator[Tensor]:
    """Accuracy and lead of each critic that logs them, under the plain names or with its own name after them."""
    for name in terms:
        of = name.removeprefix("accuracy")
        if name.startswith("accuracy") and {f"real{of}", f"fake{of}"} <= terms.keys():
            yield torch.stack([terms[name].float(), terms[f"real{of}"].float() - terms[f"fake{of}"].float()])
