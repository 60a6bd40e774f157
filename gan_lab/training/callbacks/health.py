"""A monitor that stops a run whose numbers are no longer finite, and warns when it has stopped learning."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.common.errors import UserError
from gan_lab.training.alternating import AlternatingModule
from gan_lab.training.callbacks.discriminators import DiscriminatorWatch, Outputs, Window
from gan_lab.training.callbacks.interval import ImageInterval, State
from gan_lab.training.callbacks.signs import Sign, shown_outputs, signs
from gan_lab.training.callbacks.stop import is_stopped

Term = tuple[str, str]
"""A phase and the name of one of its terms."""
NEVER = torch.iinfo(torch.int64).max
D_RATE = "model.d_optimizer.lr"
RATES = {"discriminator": D_RATE, "discriminators": D_RATE, "generator": "model.g_optimizer.lr"}
"""Keys of the learning rates of an adversarial model, by its phases."""
DISCRIMINATOR_WON, AT_CHANCE = "critic", "chance"
"""The warnings' names in saved states."""
IN_A_ROW = 2
"""Checks, or windows, in a row that must agree before something is said."""


class NonFiniteError(UserError):
    """A loss, a gradient or a weight is infinite or not a number."""


class Health(Callback):
    """Stops a run at a loss or gradient that is not finite, before a broken state is saved. Put it first.

    It reads what ``training_step`` returned: {phase: {term: scalar, …, "grad_norm": scalar}}. On the CPU every
    iteration is checked. Elsewhere the first broken iteration of each term is recorded on the device and read every
    ``check_every`` iterations and before each save. With float16 and its loss scaling infinite gradients are routine,
    so only losses and logs are checked. A checkpoint with weights that are not finite is refused too. Where nothing
    clips, the gradients' norms are known in iterations that are logged; else a broken gradient shows one iteration
    later, in the losses.

    It gives warnings, each once, and logs the values behind them as ``health/…``. Of the discriminators, over
    ``window`` of their steps:

    - The discriminator has won: its accuracy (the phase's log ``accuracy``: the share of logits on the right side of
      the objective's decision threshold) is 99 % or more, and its lead (mean of ``real`` minus ``fake``) in the second
      half is no smaller than in the first. A shrinking lead means that the generator is catching up. Losses without a
      decision threshold, such as Wasserstein's, have no such victory.
    - The discriminator is at chance, in two windows in a row: its accuracy is within 2 % of ½, where there is one, and
      its lead is a quarter of its fluctuations from step to step or less. The generator then learns nothing from it.

    Of 16 outputs, at two checks in a row, ``every`` images apart:

    - They have collapsed: the mean distance between samples, or between translations of test images, is below 5 % of
      that between real images.
    - They show a checkerboard: a pattern of 2, 4 or 8 pixels, which transposed convolutions leave, stands out eight
      times as much as in real images (of 8 pixels sixteen times), and is strong enough to be seen.
    - Translations are negatives of their inputs, although the domains are not negatives of each other; have lost their
      colour or contrast; or have no more in common with their own input than with others.

    At the same checks, and at the end, it logs the distance of the averaged networks from the live ones,
    ``health/ema_distance_<network>`` (relative, over all parameters). At the checks it also logs the outputs' values
    relative to those of real images, ``health/spread_<kind>`` and so on; see ``signs``.

    Args:
        every: images between checks of the model's outputs; 0 never checks them.
        check_every: iterations between readings from the device.
        window: steps of the discriminator that are judged together.

    Raises:
        NonFiniteError: naming the phase, the term, the iteration, the images seen, and what to try.
    """

    def __init__(self, every: Natural = 20_000, check_every: PositiveInt = 50, window: PositiveInt = 500) -> None:
        self.every, self.check_every = ImageInterval(every), check_every
        self.first_broken: dict[tuple[Term, ...], Tensor] = {}
        self.images_at: dict[int, int] = {}
        self.discriminators = DiscriminatorWatch(window)
        self.times: dict[str, int] = {}
        self.clips = False
        self.warned: set[str] = set()
        self.logged = -1

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self.clips = getattr(module, "clip", None) is not None

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        iteration, images_seen = module.iteration, module.images_seen
        self._record_broken(outputs, iteration, images_seen, scaled=trainer.precision == "16-mixed")
        if module.device.type == "cpu" or iteration % self.check_every == 0:
            self._stop_if_broken(trainer)
        if (window := self.discriminators.add(outputs)) is not None:
            self._watch_discriminators(window)
            _send(trainer, images_seen, window.values)
        if self.every.due(images_seen) and trainer.is_global_zero:
            shown = shown_outputs(module, getattr(trainer, "datamodule", None), batch)
            found = [self._watch(sign) for each in shown for sign in signs(each, module)]
            self._log(trainer, module, {sign.name: sign.value for sign in found})

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        self._stop_if_broken(trainer)
        if trainer.is_global_zero and self.logged != module.images_seen and not is_stopped(trainer):
            self._log(trainer, module, {})

    def on_save_checkpoint(self, trainer: Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        """Refuses to save a broken state. Collective, as saving is: no rank may wait for one that has raised."""
        self._stop_if_broken(trainer)
        if broken := _first_not_finite(checkpoint.get("state_dict", {})):
            raise NonFiniteError(
                f"{broken} is not finite at iteration {module.iteration} ({module.images_seen} images seen), so no "
                "checkpoint is written: try lower learning rates or model.engine.clip=1, from the last good checkpoint."
            )

    # Numbers that are not finite.

    def _record_broken(self, outputs: Outputs, iteration: int, images_seen: int, scaled: bool) -> None:
        """Records the first iteration in which each term was not finite, without a transfer from the device."""
        values = {
            (phase, term): value
            for phase, terms in outputs.items()
            for term, value in terms.items()
            if not (scaled and term == "grad_norm")
        }
        if not values:
            return
        finite = torch.stack([value.detach().float() for value in values.values()]).isfinite()
        now = torch.where(finite, NEVER, iteration)
        terms = tuple(values)
        self.first_broken[terms] = torch.minimum(self.first_broken.get(terms, now), now)
        self.images_at[iteration] = images_seen

    def _stop_if_broken(self, trainer: Trainer) -> None:
        message = self._message(trainer)
        self.images_at.clear()
        if trainer.world_size > 1 and trainer.strategy.reduce_boolean_decision(bool(message), all=False):
            message = message or "Another process found a loss or gradient that is not finite: see its message."
        if message:
            raise NonFiniteError(message)

    def _message(self, trainer: Trainer) -> str:
        """Returns the message for the term that broke first; empty if all are finite."""
        broken = [
            (iteration, term)
            for terms, first in self.first_broken.items()
            for term, iteration in zip(terms, first.tolist(), strict=True)
            if iteration != NEVER
        ]
        if not broken:
            return ""
        iteration, (phase, term) = min(broken, key=lambda item: item[0])
        quantity = "gradient" if term == "grad_norm" else f"loss {term!r}"
        return (
            f"The {phase}'s {quantity} is not finite at iteration {iteration} "
            f"({self.images_at.get(iteration, 'some')} images seen), so the run stops and keeps its last good "
            f"checkpoint: try {_remedies(phase, term, str(trainer.precision), self.clips)}."
        )

    # Runs that have stopped learning.

    def _watch_discriminators(self, window: Window) -> None:
        steps = self.discriminators.steps
        if window.has_won:
            self._warn(
                DISCRIMINATOR_WON,
                f"The discriminator has won: over its last {steps} steps it told real from generated images in "
                f"{window.accuracy:.1%} of all cases and its lead still grows, so the generator learns little; try "
                f"loss=r1 or loss=hinge, a lower {D_RATE}, or more data.",
            )
        if self.discriminators.times_at_chance >= IN_A_ROW:
            self._warn(
                AT_CHANCE,
                f"The discriminator is at chance: over its last {IN_A_ROW * steps} steps its logits did not tell real "
                f"from generated images (difference {window.lead:.2g} ± {window.fluctuation:.2g}), so the generator "
                f"learns nothing; unless the samples look real, try a higher {D_RATE} or loss.n_critic=5.",
            )

    def _watch(self, sign: Sign) -> Sign:
        """Warns of a sign that was bad at the last check too; returns it."""
        self.times[sign.kind] = self.times.get(sign.kind, 0) + 1 if sign.bad else 0
        if self.times[sign.kind] >= IN_A_ROW:
            self._warn(sign.kind, sign.text)
        return sign

    def _log(self, trainer: Trainer, module: AlternatingModule, values: Mapping[str, float]) -> None:
        """Logs the values, and the distances of the averaged networks from the live ones."""
        self.logged = module.images_seen
        distances: dict[str, float] = {}
        if (ema := getattr(module, "ema", None)) is not None:
            live = {name: getattr(module, name) for name in ema.networks}
            distances = {f"ema_distance_{name}": value for name, value in ema.distance(live).items()}
        _send(trainer, module.images_seen, {**values, **distances})

    def _warn(self, kind: str, text: str) -> None:
        if kind not in self.warned:
            self.warned.add(kind)
            rank_zero_warn(text)

    def state_dict(self) -> State:
        kept = {
            "alike": dict(self.times),
            "chance": self.discriminators.times_at_chance,
            "warned": sorted(self.warned),
            "logged": self.logged,
        }
        return {"every": self.every.state_dict(), **kept}

    def load_state_dict(self, state: State) -> None:
        self.every.load_state_dict(state["every"])
        self.times, self.warned = dict(state["alike"]), set(state["warned"])
        self.discriminators.times_at_chance = state.get("chance", 0)
        self.logged = state.get("logged", -1)


def _remedies(phase: str, term: str, precision: str, clips: bool) -> str:
    """Lists common remedies. One player often breaks because of the other, so both learning rates are named."""
    rates = " and ".join(dict.fromkeys(RATES.values())) if phase in RATES else f"learning rate of the {phase}"
    remedies = [f"a lower {rates}"]
    if not clips:
        remedies.append("model.engine.clip=1")
    if term not in ("grad_norm", "adversarial"):
        remedies.append(f"a smaller weight of {term}")
    if "16" in precision:
        remedies.append("precision=32-true")
    return ", ".join(remedies[:-1]) + " or " * (len(remedies) > 1) + remedies[-1]


def _first_not_finite(state: Mapping[str, object]) -> str | None:
    """Returns the name of the first floating-point tensor that is not finite, with one transfer from the device."""
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor) and value.is_floating_point()}
    if not tensors:
        return None
    finite: Iterable[bool] = torch.stack([value.detach().isfinite().all() for value in tensors.values()]).tolist()
    return next((name for name, good in zip(tensors, finite, strict=True) if not good), None)


def _send(trainer: Trainer, images_seen: int, values: Mapping[str, float]) -> None:
    """Logs values as ``health/<name>`` on the first process."""
    if trainer.is_global_zero and values:
        for logger in trainer.loggers:
            logger.log_metrics({f"health/{name}": value for name, value in values.items()}, step=images_seen)
