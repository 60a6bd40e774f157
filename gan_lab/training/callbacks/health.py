"""A monitor that stops a run whose numbers are no longer finite, and warns when it has stopped learning."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.common.capabilities import Samples, Translates, TwoDomains
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float
from gan_lab.inference.translation import SPLIT, ends, translated
from gan_lab.training.alternating import AlternatingModule
from gan_lab.training.callbacks.interval import ImageInterval, State
from gan_lab.training.callbacks.stop import is_stopped

Term = tuple[str, str]
"""A phase and the name of one of its terms."""
Outputs = Mapping[str, Mapping[str, Tensor]]
NEVER = torch.iinfo(torch.int64).max
D_RATE = "model.d_optimizer.lr"
RATES = {"discriminator": D_RATE, "discriminators": D_RATE, "generator": "model.g_optimizer.lr"}
"""Keys of the learning rates of an adversarial model, by its phases."""
DISCRIMINATOR_WON = "critic"
"""The warning's name in saved states."""


class NonFiniteError(UserError):
    """A loss, a gradient or a weight is infinite or not a number."""


class Health(Callback):
    """Stops a run at a loss or gradient that is not finite, before a broken state is saved. Put it first.

    It reads what ``training_step`` returned: {phase: {term: scalar, …, "grad_norm": scalar}}. On the CPU every
    iteration is checked. Elsewhere the first broken iteration of each term is recorded on the device and read every
    ``check_every`` iterations and before each save. With float16 and its loss scaling infinite gradients are routine,
    so only losses and logs are checked. A checkpoint with weights that are not finite is refused too.

    It gives two warnings, each once:

    - The discriminator has won: over ``window`` of its steps its accuracy (the phase's log ``accuracy``: the share of
      logits on the right side of the objective's decision threshold) is 99 % or more, and its lead (mean of ``real``
      minus ``fake``) in the second half is no smaller than in the first. A shrinking lead means that the generator is
      catching up. Losses without a decision threshold, such as Wasserstein's, have no such victory.
    - The samples have collapsed: at two checks in a row, ``every`` images apart, the mean distance between 16 samples
      is below 5 % of that between the images of the batch; or the mean distance between translations of 16 test images
      is below 5 % of that between the target domain's images.

    At the same checks, and at the end, it logs the distance of the averaged networks from the live ones,
    ``health/ema_distance_<network>`` (relative, over all parameters). At the checks it also logs the mean distances
    above relative to those of real images: ``health/spread_<kind>``.

    Args:
        every: images between checks of the model's outputs; 0 never checks them.
        check_every: iterations between readings from the device.
        window: steps of the discriminator that are judged together.

    Raises:
        NonFiniteError: naming the phase, the term, the iteration, the images seen, and what to try.
    """

    def __init__(self, every: Natural = 20_000, check_every: PositiveInt = 50, window: PositiveInt = 500) -> None:
        self.every, self.check_every, self.window = ImageInterval(every), check_every, window
        self.first_broken: dict[tuple[Term, ...], Tensor] = {}
        self.images_at: dict[int, int] = {}
        self.verdicts: list[Tensor] = []
        self.times_alike: dict[str, int] = {}
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
        self._watch_discriminator(outputs)
        if self.every.due(images_seen) and trainer.is_global_zero:
            outputs_and_real = _outputs_and_real(module, getattr(trainer, "datamodule", None), batch)
            self._log(trainer, module, {each.kind: self._watch_spread(each) for each in outputs_and_real})

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

    def _watch_discriminator(self, outputs: Outputs) -> None:
        verdicts = [verdict for terms in outputs.values() for verdict in _verdicts(terms)]
        if not verdicts or DISCRIMINATOR_WON in self.warned:
            return
        self.verdicts.append(torch.stack(verdicts).mean(0))
        if len(self.verdicts) < self.window:
            return
        accuracy, lead = torch.stack(self.verdicts).cpu().unbind(1)
        self.verdicts.clear()
        early, late = (half.mean() for half in lead.tensor_split(2))
        if accuracy.mean() >= 0.99 and late >= early:
            self._warn(
                DISCRIMINATOR_WON,
                f"The discriminator has won: over its last {self.window} steps it told real from generated images in "
                f"{accuracy.mean():.1%} of all cases and its lead still grows, so the generator learns little; try "
                f"loss=r1 or loss=hinge, a lower {D_RATE}, or more data.",
            )

    def _watch_spread(self, shown: "_OutputsAndReal") -> float:
        """Returns the mean distance between the outputs relative to that between real images; warns of a collapse."""
        kind, spread, usual = shown.kind, _mean_distance(shown.outputs), _mean_distance(shown.real)
        self.times_alike[kind] = self.times_alike.get(kind, 0) + 1 if spread < 0.05 * usual else 0
        if self.times_alike[kind] >= 2:
            self._warn(
                f"collapse of {kind}",
                f"The {kind} have collapsed to one image: their mean distance is {spread / usual:.1%} of that between "
                "real images; try a checkpoint from before, lower learning rates, or another loss such as loss=r1.",
            )
        return spread / usual if usual else math.nan

    def _log(self, trainer: Trainer, module: AlternatingModule, spreads: Mapping[str, float]) -> None:
        """Logs the relative distances and the distances of the averaged networks from the live ones."""
        self.logged = module.images_seen
        metrics = {f"health/spread_{kind.replace(' ', '_')}": spread for kind, spread in spreads.items()}
        if (ema := getattr(module, "ema", None)) is not None:
            live = {name: getattr(module, name) for name in ema.networks}
            metrics |= {f"health/ema_distance_{name}": value for name, value in ema.distance(live).items()}
        for logger in trainer.loggers if metrics else []:
            logger.log_metrics(metrics, step=module.images_seen)

    def _warn(self, kind: str, text: str) -> None:
        if kind not in self.warned:
            self.warned.add(kind)
            rank_zero_warn(text)

    def state_dict(self) -> State:
        kept = {"alike": dict(self.times_alike), "warned": sorted(self.warned), "logged": self.logged}
        return {"every": self.every.state_dict(), **kept}

    def load_state_dict(self, state: State) -> None:
        self.every.load_state_dict(state["every"])
        self.times_alike, self.warned = dict(state["alike"]), set(state["warned"])
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


@dataclass(frozen=True)
class _OutputsAndReal:
    """Outputs of a model and real images of the same kind, (N, C, H, W) with 2 ≤ N ≤ 16."""

    kind: str
    outputs: Tensor
    real: Tensor


def _outputs_and_real(module: object, data: object, batch: Mapping[str, Tensor]) -> Iterator[_OutputsAndReal]:
    device = getattr(module, "device", "cpu")
    if isinstance(module, Samples) and len(real := batch.get("image", torch.empty(0))) > 1:
        real = to_float(real[:16]) if real.dtype == torch.uint8 else real[:16]
        yield _OutputsAndReal("samples", module.sample(16), real)
    if not isinstance(module, Translates) or not isinstance(data, TwoDomains):
        return
    first = {side: next(iter(data.sides[side].images(SPLIT, 16))) for side in ("a", "b")}
    for source, target in map(ends, module.directions):
        image, real = (module.domains[side].encode(first[side].to(device)) for side in (source, target))
        if min(len(image), len(real)) > 1:
            yield _OutputsAndReal(f"translations to {target}", translated(module, image, target), real)


def _mean_distance(images: Tensor) -> float:
    """Computes the mean Euclidean distance between the images (N, C, H, W)."""
    return float(torch.pdist(images.detach().float().flatten(1)).mean())


def _verdicts(terms: Mapping[str, Tensor]) -> Iterator[Tensor]:
    """Yields accuracy and lead, (2,), of each discriminator that logs them, under the plain or suffixed names."""
    for name in terms:
        suffix = name.removeprefix("accuracy")
        if name.startswith("accuracy") and {f"real{suffix}", f"fake{suffix}"} <= terms.keys():
            yield torch.stack([terms[name].float(), terms[f"real{suffix}"].float() - terms[f"fake{suffix}"].float()])
