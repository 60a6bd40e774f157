"""How any method here trains: players take turns in one manually optimised step; only this file knows how."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, final

import torch
import torch.distributed as dist
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, get_total_norm
from torch.optim import Optimizer

from gan_lab.common.deprecation import accept_old_methods
from gan_lab.common.errors import UserError
from gan_lab.common.precision import full_precision
from gan_lab.common.types import Batch, Phase, RandomStream, Shared
from gan_lab.training.budget import Budget
from gan_lab.training.ema import EMA
from gan_lab.training.noise import KeyedStream, seed_layers, seed_of
from gan_lab.training.schedules import Schedule, Scheduled, remember

Outputs = dict[str, dict[str, Tensor]]
MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]


class Stateful(Protocol):
    """Something with a state of plain containers and tensors."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> object: ...


class AlternatingModule(LightningModule):
    """Trains players in turn. A method states its ``phases``, what each may change, and what they share.

    Counters are its own: ``iteration`` and ``images_seen`` (over all ranks), since Lightning's ``global_step`` counts
    every optimizer's step. All random numbers of an iteration are functions of (seed, iteration, phase).

    Args:
        optimizers: for each phase, parameters → optimizer.
        budget: how long the run lasts.
        ema: averaged copies of the networks named in it (attributes of this module), moved after every iteration.
        seed: of every random number drawn in training.
        schedules: for some quantities, share of the budget used → factor on what they began with: see ``Scheduled``.
        clip: largest norm of a phase's gradient.
        micro_batches: each phase works through its batch in so many equal parts before it steps.
        channels_last: memory layout of the four-dimensional weights.
        compile: compile the networks that ``modules_to_compile`` names, in place.
        log_every: losses go to the loggers every so many iterations.
    """

    use_live_weights = False
    """Makes pictures by the networks as they were trained, though averages of them are kept."""

    shares_graph: str | None = None
    """The one phase that gets what ``shared_forward`` returns with its graph; the others get it detached."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        accept_old_methods(cls, AlternatingModule)

    def __init__(
        self,
        optimizers: Mapping[str, MakeOptimizer],
        budget: Budget | None = None,
        ema: EMA | None = None,
        seed: int = 0,
        schedules: Mapping[str, Schedule | None] | None = None,
        clip: float | None = None,
        micro_batches: int = 1,
        channels_last: bool = True,
        compile: bool = False,
        log_every: int = 50,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.make_optimizer, self.scheduled = dict(optimizers), Scheduled(schedules or {})
        self.budget, self.ema, self.seed = budget, ema, seed
        self.clip, self.micro_batches = clip, micro_batches
        self.channels_last, self.compiles, self.log_every = channels_last, compile, log_every
        self.iteration = 0
        self.images_seen = 0
        self.seconds = 0.0
        self.grad_norm = torch.zeros(())
        self.clock = time.monotonic()

    # What a method says of itself.

    def phases(self) -> Sequence[Phase]:
        """The players in the order of their turns."""
        raise UserError(f"{type(self).__name__} states no phases: a method returns its list of Phase from phases().")

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        """The networks whose parameters the phase's optimizer steps."""
        raise UserError(f"{type(self).__name__} does not say what phase {phase} trains: return it from trainable().")

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        """What several phases share, computed once an iteration (the generator's forward)."""
        return {}

    def after_step(self, phase: str) -> None:
        """Called after the phase's optimizer stepped: for projections such as weight clipping."""

    def extra_state(self) -> Mapping[str, Stateful]:
        """What besides weights and optimizers a run needs to go on exactly (image pools); equal on all ranks."""
        return {}

    def modules_to_compile(self) -> Sequence[nn.Module]:
        """The networks that no penalty differentiates twice (torch.compile has no double backward)."""
        return []

    @property
    def uses_ema(self) -> bool:
        """Whether pictures are made by averaged networks: where an average is kept, unless ``use_live_weights`` is set."""
        return self.ema is not None and not self.use_live_weights

    def averaged(self, name: str) -> nn.Module:
        """The network that pictures are made by; see ``uses_ema``."""
        network: nn.Module = self.ema.networks[name] if self.ema is not None and self.uses_ema else getattr(self, name)
        return network

    @contextlib.contextmanager
    def inference_mode(self) -> Iterator[None]:
        """Without gradients and in float32: how pictures are made and measured."""
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False), full_precision():
            yield

    # One iteration.

    @final
    def training_step(self, batch: Batch, batch_idx: int) -> Outputs:
        """Every phase that is due takes its turn; then counters, averages and the budget move."""
        progress = self.progress
        due = [phase for phase in self.phases() if phase.due(self.iteration, progress)]
        self.scheduled.move(self, self._optimizers(), progress)
        outputs = self._turns(batch, due)
        self._count(batch)
        if self.iteration % self.log_every == 0:
            self._log(outputs)
        return outputs

    def _turns(self, batch: Batch, due: Sequence[Phase]) -> Outputs:
        batches = [_split(each, self.micro_batches) for each in _split(batch, self.batches_per_iteration)]
        optimizers = self._optimizers()
        graph = any(phase.name == self.shares_graph and not phase.new_batch for phase in due)
        shared = self._draw("draw", 0, batches[0][0], graph) if self.micro_batches == 1 else None
        outputs = {}
        for phase in due:
            optimizer = optimizers[phase.name]
            self.toggle_optimizer(optimizer)
            optimizer.zero_grad()
            parts = batches[-1 if phase.new_batch else 0]
            losses = [self._losses(phase, i, part, None if phase.new_batch else shared) for i, part in enumerate(parts)]
            optimizer.step()
            torch.clear_autocast_cache()  # it holds the weights as they were before the step
            self.untoggle_optimizer(optimizer)
            self.after_step(phase.name)
            outputs[phase.name] = {**_mean(losses), "grad_norm": self.grad_norm}
        return outputs

    def _losses(self, phase: Phase, i: int, part: Batch, shared: Shared | None) -> dict[str, Tensor]:
        """Terms and gradients of one micro-batch; without a shared forward it is made again, from the same latents,
        or, of a phase with a fresh batch, from fresh ones.
        """
        mine = phase.name == self.shares_graph
        drawn = (
            self._draw(f"draw {phase.name}" if phase.new_batch else "draw", i, part, mine) if shared is None else shared
        )
        if not mine:
            drawn = {name: value.detach() for name, value in drawn.items()}
        losses = phase.losses(part, drawn, self._noise(phase.name, i))
        self.manual_backward(losses.total / self.micro_batches)
        return {name: value.detach() for name, value in (losses.terms | losses.logs).items()}  # type: ignore[operator]

    def _draw(self, key: str, i: int, part: Batch, graph: bool) -> Shared:
        noise = self._noise(key, i)
        with torch.set_grad_enabled(graph):
            return self.shared_forward(part, noise)

    def _noise(self, phase: str, i: int) -> KeyedStream:
        """Random numbers of one turn; layers that draw their own (dropout) start from a state keyed alike."""
        key = (self.seed, self.iteration, phase)
        seed_layers(seed_of(*key, self.global_rank, i), self.device)
        rank, world = self.global_rank, self._world()
        return KeyedStream(
            *key, part=rank * self.micro_batches + i, parts=world * self.micro_batches, device=self.device
        )

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if self.clip is not None:
            self.grad_norm = clip_grad_norm_(parameters, self.clip).detach()
        else:
            self.grad_norm = get_total_norm([p.grad for p in parameters if p.grad is not None])

    def _count(self, batch: Batch) -> None:
        images = len(next(iter(batch.values()))) // self.batches_per_iteration * self._world()
        self.iteration += 1
        self.images_seen += images
        now = time.monotonic()
        self.seconds, self.clock = self.seconds + now - self.clock, now
        if self.budget and self.budget.minutes:
            self._agree_on_seconds()
        if self.ema is not None:
            self.ema.update({name: getattr(self, name) for name in self.ema.networks}, images, self.images_seen)
        if self.progress >= 1:
            self.trainer.should_stop = True

    def _agree_on_seconds(self) -> None:
        """Ranks must stop and schedule alike: the slowest clock counts."""
        if self._world() > 1:
            seconds = torch.tensor(self.seconds, device=self.device, dtype=torch.float64)
            dist.all_reduce(seconds, dist.ReduceOp.MAX)
            self.seconds = float(seconds)

    def _log(self, outputs: Outputs) -> None:
        flat = {f"train/{phase}/{name}": value for phase, losses in outputs.items() for name, value in losses.items()}
        if not flat:
            return
        values = torch.stack([value.float() for value in flat.values()])
        if self._world() > 1:
            dist.all_reduce(values)
            values /= self._world()
        numbers = dict(zip(flat, values.tolist(), strict=True))
        if self.trainer.is_global_zero:
            for logger in self.trainer.loggers:
                logger.log_metrics(numbers, step=self.images_seen)

    # Where the run stands.

    @property
    def batches_per_iteration(self) -> int:
        """How many an iteration takes: a second one for the phases that ask for a fresh one."""
        return 1 + any(phase.new_batch for phase in self.phases())

    @property
    def progress(self) -> float:
        """The share of the budget that is used; 0 without a budget."""
        if self.budget is None:
            return 0.0
        return self.budget.progress(self.images_seen, self._images_per_epoch(), self.seconds / 60)

    def _images_per_epoch(self) -> int:
        """Whole batches only, over all ranks; an endless loader says how many an epoch has."""
        batches = getattr(self.trainer.train_dataloader, "per_epoch", self.trainer.num_training_batches)
        return max(1, int(batches * self.batches_per_iteration * self.images_seen / max(self.iteration, 1)))

    def _world(self) -> int:
        return self.trainer.world_size if self._trainer is not None else 1

    def _optimizers(self) -> dict[str, Any]:
        """By phase."""
        optimizers = self.optimizers()
        each = optimizers if isinstance(optimizers, list) else [optimizers]
        return dict(zip((phase.name for phase in self.phases()), each, strict=True))

    # Lightning's hooks.

    def setup(self, stage: str) -> None:
        if self.channels_last:
            for weight in (*self.parameters(), *self.buffers()):
                if weight.ndim == 4:  # torch's own way refuses a module that has any of five dimensions
                    weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        if self.compiles:
            for network in self.modules_to_compile():
                network.compile()

    def on_train_start(self) -> None:
        self.clock = time.monotonic()
        for phase in self.phases():
            if phase.begin and self.budget is None:
                raise UserError(f"The {phase.name} begins at a share of the budget: give the model a budget.")
            if phase.begin > self.progress:
                rank_zero_info(f"The {phase.name} begins to learn after {phase.begin:.0%} of the budget.")
        if self.progress >= 1:  # resumed where the budget was used up
            self.trainer.should_stop = True

    def configure_optimizers(self) -> list[Optimizer]:
        optimizers = []
        for phase in self.phases():
            parameters = [p for network in self.trainable(phase.name) for p in network.parameters() if p.requires_grad]
            optimizer = self.make_optimizer[phase.name](parameters)
            remember(optimizer)
            optimizers.append(optimizer)
        return optimizers

    @torch.no_grad()
    def sync_buffers(self) -> None:
        """Averages floating-point buffers over ranks, live and averaged networks alike; a collective.

        Manual optimisation leaves batch statistics different on every rank.
        """
        buffers = [buffer for buffer in self.buffers() if buffer.is_floating_point()]
        if not buffers or not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
            return
        flat = torch.cat([buffer.flatten() for buffer in buffers])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        for buffer, mean in zip(buffers, flat.split([buffer.numel() for buffer in buffers]), strict=True):
            buffer.copy_(mean.view_as(buffer))

    def on_train_end(self) -> None:
        self.sync_buffers()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.sync_buffers()
        counters = {"iteration": self.iteration, "images_seen": self.images_seen, "seconds": self.seconds}
        checkpoint["counters"] = counters
        checkpoint["extra_state"] = {name: state.state_dict() for name, state in self.extra_state().items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        counters = checkpoint["counters"]
        self.iteration, self.images_seen = counters["iteration"], counters["images_seen"]
        self.seconds = counters["seconds"]
        for name, state in self.extra_state().items():
            state.load_state_dict(checkpoint["extra_state"][name])


def _split(batch: Batch, parts: int) -> list[Batch]:
    size = len(next(iter(batch.values())))
    if size % parts:
        raise UserError(f"A batch of {size} does not split into {parts} equal micro-batches: choose a divisor.")
    chunks: Iterator[tuple[Tensor, ...]] = zip(*(value.chunk(parts) for value in batch.values()), strict=True)
    return [dict(zip(batch, chunk, strict=True)) for chunk in chunks]


def _mean(losses: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([part[name].float() for part in losses]).mean() for name in losses[0]}
