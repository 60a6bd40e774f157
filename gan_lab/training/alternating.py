"""Alternating training: the players of a method take turns in one manually optimised step."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, final

import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, get_total_norm
from torch.optim import Optimizer

from gan_lab.common.deprecation import accept_old_methods, is_ours
from gan_lab.common.device import versions
from gan_lab.common.errors import UserError
from gan_lab.common.gradients import only_asked_gradients
from gan_lab.common.old_arguments import accept_old_ema, accept_old_model_arguments
from gan_lab.common.precision import at_inference
from gan_lab.common.renames import FORMAT
from gan_lab.common.types import Batch, Phase, RandomStream, Shared, Stateful
from gan_lab.training.collectives import average_buffers, max_over_ranks
from gan_lab.training.options import EngineOptions
from gan_lab.training.schedules import Scheduled
from gan_lab.training.trainer_checks import EarlyStops, check_loader, check_optimization, check_trainer
from gan_lab.training.turns import Outputs, Turns, log_losses

COUNTERS = ("iteration", "images_seen", "seconds")
"""Attributes of a module that checkpoints keep."""

MakeOptimizer = Callable[[Iterable[nn.Parameter] | Iterable[dict[str, Any]]], Optimizer]


@accept_old_ema
@accept_old_model_arguments
class AlternatingModule(LightningModule):
    """Base class of every method: trains its players in turn.

    A method states its ``phases``, the networks that each of them trains, and what they share. ``iteration`` and
    ``images_seen`` (over all ranks) are counters of its own, since Lightning's ``global_step`` counts the steps of
    every optimizer. All random numbers of an iteration are functions of (seed, iteration, phase).

    Args:
        optimizers: function from parameters to an optimizer, by phase.
        engine: options that do not depend on the method.
        averages: networks that samples come from, by their attribute's name; a moving average of each is kept.
    """

    configuration: Mapping[str, Any] | None = None
    """What rebuilds the model, in plain containers, if it was made from a configuration; checkpoints keep it."""

    use_live_weights = False
    """Sample from the live weights even if an average is kept."""

    shares_graph: str | None = None
    """The one phase that gets the tensors of ``shared_forward`` with their graph; the others get them detached."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        accept_old_methods(cls, AlternatingModule)
        if is_ours(cls):
            accept_old_model_arguments(cls)

    def __init__(
        self,
        optimizers: Mapping[str, MakeOptimizer],
        engine: EngineOptions | None = None,
        averages: Mapping[str, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.engine = engine or EngineOptions()
        self.make_optimizer, self.scheduled = dict(optimizers), Scheduled(self.engine.schedules_of(optimizers))
        self.budget, self.clip, self.ema = self.engine.budget, self.engine.clip, self.engine.average(averages or {})
        self.iteration, self.images_seen, self.seconds = 0, 0, 0.0
        self.grad_norm: Tensor | None = None
        self.recent: Outputs = {}
        self.clock = time.monotonic()
        self.early_stops: EarlyStops | None = None

    # To be stated by a method.

    def phases(self) -> Sequence[Phase]:
        """Returns the phases in the order of their turns.

        Raises:
            UserError: if the method does not override this.
        """
        raise UserError(f"{type(self).__name__} states no phases: return a list of Phase from phases().")

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        """Returns the networks whose parameters the optimizer of the phase steps.

        Raises:
            UserError: if the method does not override this.
        """
        raise UserError(f"{type(self).__name__} trains nothing in phase {phase}: return networks from trainable().")

    def prepare(self, batch: Batch) -> Batch:
        """Returns what an iteration trains on, given the loader's batch: a part of it, or other sizes of its images.

        Every rank must return an equal share, and only its images count. If the iteration takes several batches, these
        lie one after the other.
        """
        return batch

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        """Computes what several phases share, once an iteration (the generator's forward)."""
        return {}

    def after_step(self, phase: str) -> None:
        """Runs after each step of the phase's optimizer: for projections such as weight clipping."""

    def after_iteration(self, outputs: Outputs, images: int) -> None:
        """Runs after each iteration, for what follows its losses; ``images`` it had over all ranks."""

    def extra_state(self) -> Mapping[str, Stateful]:
        """Returns further state that an exact resume needs, such as image pools; equal on all ranks."""
        return {}

    def modules_to_compile(self) -> Sequence[nn.Module]:
        """Returns the networks that ``compile=true`` compiles."""
        return []

    @property
    def training_only(self) -> Sequence[str]:
        """Names of the networks that only training uses, which exported models lack: here the discriminators."""
        players = [phase.name for phase in self.phases() if phase.name.startswith("discriminator")]
        trained = {id(p) for name in players for network in self.trainable(name) for p in network.parameters()}
        owned = {name: {id(p) for p in child.parameters()} for name, child in self.named_children()}
        return [name for name, own in owned.items() if own and own <= trained]

    # Sampling.

    @property
    def uses_ema(self) -> bool:
        """True if samples come from averaged networks."""
        return self.ema is not None and not self.use_live_weights

    @property
    def averaging(self) -> bool | float:
        """Says how samples are averaged, for protocols: ``uses_ema``, or the relative width if one is asked for."""
        return (self.ema.width if self.ema is not None and self.uses_ema else None) or self.uses_ema

    def averaged(self, name: str) -> nn.Module:
        """Returns the network that samples come from: the average if ``uses_ema``, else the live one."""
        network: nn.Module = self.ema.networks[name] if self.ema is not None and self.uses_ema else getattr(self, name)
        return network

    @contextlib.contextmanager
    def inference_mode(self) -> Iterator[None]:
        """Disables autocast, TF32 and, unless they are asked for, gradients; see ``at_inference``, ``gradients``."""
        with only_asked_gradients(), at_inference(self.device):
            yield

    # One iteration.

    @final
    def training_step(self, batch: Batch, batch_idx: int) -> Outputs:
        """Runs every phase that is due; then counts, averages and logs."""
        progress = self.progress
        if self.early_stops is not None:
            self.early_stops.consult(self.trainer)
        due = [phase for phase in self.phases() if phase.due(self.iteration, progress)]
        self.scheduled.apply(self, self.phase_optimizers(), progress)
        batch = self.prepare(batch)
        outputs = Turns(self, batch).run(due)
        for phase, losses in outputs.items():  # a lazy penalty may never be due when rows are written
            self.recent[phase] = self.recent.get(phase, {}) | losses
        seen = self.images_seen
        self._count(batch)
        self.after_iteration(outputs, self.images_seen - seen)
        if self.iteration % self.engine.log_every == 0:
            log_losses(self, {phase: self.recent[phase] for phase in outputs})
        return outputs

    @property
    def is_logged(self) -> bool:
        """True if the losses of the iteration that runs, which is not counted yet, go to the loggers."""
        return (self.iteration + 1) % self.engine.log_every == 0

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Measures the norm of the gradient if it is logged or clipped, and clips it."""
        self.grad_norm = None
        if self.clip is None and not self.is_logged:
            return
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if self.clip is not None:
            self.grad_norm = clip_grad_norm_(parameters, self.clip).detach()
        else:
            self.grad_norm = get_total_norm([p.grad for p in parameters if p.grad is not None])

    def _count(self, batch: Batch) -> None:
        images = len(next(iter(batch.values()))) // self.batches_per_iteration * self.num_ranks
        self.iteration += 1
        self.images_seen += images
        now = time.monotonic()
        self.seconds, self.clock = self.seconds + now - self.clock, now
        if self.budget and self.budget.minutes:  # ranks must stop and schedule alike: the slowest clock counts
            self.seconds = max_over_ranks(self.seconds, self.device)
        if self.ema is not None:
            self.ema.update({name: getattr(self, name) for name in self.ema.networks}, images, self.images_seen)
        if self.progress >= 1:
            self.trainer.should_stop = True

    @property
    def batches_per_iteration(self) -> int:
        """Number of batches that an iteration takes: 2 if a phase asks for a new one."""
        return 1 + any(phase.new_batch for phase in self.phases())

    @property
    def progress(self) -> float:
        """Share of the budget that is used, 0 without a budget."""
        if self.budget is None:
            return 0.0
        # Whole batches only, over all ranks; an endless loader says how many an epoch has.
        batches = getattr(self.trainer.train_dataloader, "per_epoch", self.trainer.num_training_batches)
        per_epoch = int(batches * self.batches_per_iteration * self.images_seen / max(self.iteration, 1))
        return self.budget.progress(self.images_seen, max(1, per_epoch), self.seconds / 60)

    @property
    def num_ranks(self) -> int:
        """Number of processes that train together, 1 outside of training."""
        return self.trainer.world_size if self._trainer is not None else 1

    def phase_optimizers(self) -> dict[str, LightningOptimizer]:
        """Returns the optimizers by phase."""
        optimizers, phases = self.optimizers(), self.phases()
        every = optimizers if isinstance(optimizers, list) else [optimizers]
        own = dict(zip((phase.name for phase in phases if phase.optimizer is None), every, strict=True))
        return {phase.name: own[phase.optimizer or phase.name] for phase in phases}

    def parameter_groups(self, phase: str) -> Sequence[nn.Parameter] | Sequence[dict[str, Any]]:
        """Returns the parameters that the optimizer of a phase is made for, or groups of them with their own rates."""
        return [p for network in self.trainable(phase) for p in network.parameters() if p.requires_grad]

    # Lightning's hooks.

    def configure_callbacks(self) -> Sequence[Callback] | Callback:
        """Checks the trainer before Lightning does.

        Raises:
            UserError: for options of the trainer that the model has in their place.
        """
        if self.trainer.state.fn == TrainerFn.FITTING:
            check_optimization(self.trainer)
        return super().configure_callbacks()

    def setup(self, stage: str) -> None:
        if stage == "fit":
            check_trainer(self.trainer, sum(phase.optimizer is None for phase in self.phases()))
        if self.engine.channels_last:
            to_channels_last(self)
        for network in self.modules_to_compile() if self.engine.compile else ():
            network.compile()

    def on_train_start(self) -> None:
        """Starts the clock.

        Raises:
            UserError: for a loader without its data module, if a phase begins at a share of the budget and there is
                none, and for EarlyStopping by a metric that is not measured.
        """
        self.clock = time.monotonic()
        self.scheduled.resume(self.phase_optimizers())
        for phase in self.phases():
            if phase.begin and self.budget is None:
                raise UserError(f"Phase {phase.name} begins at a share of the budget: give the model a budget.")
            if phase.begin > self.progress:
                rank_zero_info(f"Phase {phase.name} begins after {phase.begin:.0%} of the budget.")
        self.early_stops = EarlyStops.of(self.trainer)
        check_loader(self.trainer)
        if self.progress >= 1:  # resumed after the budget was used up
            self.trainer.should_stop = True

    def configure_optimizers(self) -> list[Optimizer]:
        """Makes the optimizers of the phases.

        Raises:
            UserError: if one rejects its values, such as a negative learning rate.
        """
        optimizers = []
        for phase in self.phases():
            if phase.optimizer is not None:
                continue
            try:
                optimizer = self.make_optimizer[phase.name](self.parameter_groups(phase.name))
            except ValueError as error:
                raise UserError(f"The optimizer of {phase.name} does not work with these values: {error}.") from error
            optimizers.append(self.scheduled.remember(phase.name, optimizer))
        return optimizers

    def sync_buffers(self) -> None:
        """Averages floating-point buffers, of live and averaged networks, over all ranks. Collective."""
        average_buffers(self)

    def on_train_end(self) -> None:
        if self.early_stops is not None:
            self.early_stops.release()
        self.sync_buffers()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.sync_buffers()
        if self.configuration is not None:
            checkpoint.setdefault("gan_lab", {**self.configuration, "format": FORMAT, "versions": versions()})
        checkpoint["counters"] = {name: getattr(self, name) for name in COUNTERS}
        checkpoint["extra_state"] = {name: state.state_dict() for name, state in self.extra_state().items()}
        checkpoint["scheduled"] = self.scheduled.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name in COUNTERS:
            setattr(self, name, checkpoint["counters"][name])
        for name, state in self.extra_state().items() if checkpoint["extra_state"] is not None else ():
            state.load_state_dict(checkpoint["extra_state"][name])
        self.scheduled.load_state_dict(checkpoint.get("scheduled", {}))


def to_channels_last(module: nn.Module) -> None:
    """Converts the memory layout of all four-dimensional weights and buffers.

    ``Module.to(memory_format=…)`` raises if any of them has five dimensions.
    """
    for weight in (*module.parameters(), *module.buffers()):
        if weight.ndim == 4:
            # contiguous() leaves kernels of 1×1 or one channel as they are, and convolutions then copy every map.
            weight.data = weight.data.to(memory_format=torch.channels_last)
