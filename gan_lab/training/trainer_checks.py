"""Settings of Lightning's Trainer that do not go with alternating phases, and batches too small for batch norm."""

from collections.abc import Sequence
from typing import Any, Self

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan_lab.common.deprecation import is_ours
from gan_lab.common.errors import UserError


def check_trainer(trainer: Trainer, num_phases: int) -> None:
    """Refuses what would count or synchronise wrongly.

    Args:
        trainer: the trainer that is about to fit.
        num_phases: phases of the method.

    Raises:
        UserError: for ``max_steps``, for plain DDP if there are several phases, and for batch norm over one example.
    """
    if trainer.max_steps != -1 and not getattr(trainer, "fast_dev_run", False):
        raise UserError(
            f"Trainer(max_steps={trainer.max_steps}) counts the steps of every optimizer: give max_epochs, or "
            "max_epochs=-1 and the model a budget."
        )
    options = getattr(trainer.strategy, "_ddp_kwargs", None)  # of the strategies that wrap the model in torch's DDP
    if options is not None and num_phases > 1 and not options.get("find_unused_parameters"):
        raise UserError(
            f"Each of the {num_phases} phases leaves the parameters of the others without gradients: give "
            "Trainer(strategy='ddp_find_unused_parameters_true')."
        )
    synchronised = getattr(getattr(trainer, "_accelerator_connector", None), "_layer_sync", None) is not None
    batch_size = getattr(getattr(trainer, "datamodule", None), "batch_size", None)
    check_micro_batches(trainer.lightning_module, batch_size, trainer.world_size)
    check_batch_norm(trainer.lightning_module, batch_size, trainer.world_size, synchronised)


def check_micro_batches(model: Any, batch_size: int | None, ranks: int = 1) -> None:
    """Refuses micro-batches that are not of one size.

    Args:
        model: with ``engine``, as ``AlternatingModule`` has it; others are not checked.
        batch_size: over all ranks; None if it is not known.
        ranks: processes that share a batch.

    Raises:
        UserError: if the share of a process is no multiple of their number.
    """
    parts = getattr(getattr(model, "engine", None), "micro_batches", 1)
    if not batch_size or batch_size % (ranks * parts) == 0 or batch_size % ranks:  # the loader refuses the latter
        return
    shared = f" over {ranks} processes" if ranks > 1 else ""
    raise UserError(
        f"batch_size={batch_size}{shared} does not split into model.engine.micro_batches={parts} equal parts: give a "
        f"divisor of {batch_size // ranks}."
    )


def check_batch_norm(model: Any, batch_size: int | None, ranks: int = 1, synchronised: bool = False) -> None:
    """Refuses batch norm over a single example: its statistics are no estimate of a batch's, or cannot be computed.

    Convolutional networks that use each image's own statistics when they are applied, too, are left out (pix2pix).

    Args:
        model: with ``phases`` and ``trainable``, as ``AlternatingModule`` has them; others are not checked.
        batch_size: over all ranks; None if it is not known.
        ranks: processes that share a batch.
        synchronised: batch norm has the statistics of all ranks.

    Raises:
        UserError: naming the networks, and what would work.
    """
    if not batch_size or not hasattr(model, "trainable"):
        return
    parts = (1 if synchronised else ranks) * model.engine.micro_batches
    if batch_size > parts:
        return
    own = bool(getattr(model, "inference_options", {}).get("batch_statistics"))
    phases = [phase.name for phase in model.phases()]
    names = [name for name in phases if any(_has_batch_norm(each, own) for each in model.trainable(name))]
    if names:
        shared = f" over {ranks} processes" if ranks > 1 and not synchronised else ""
        split = f" in {model.engine.micro_batches} micro-batches" if model.engine.micro_batches > 1 else ""
        raise UserError(
            f"batch_size={batch_size}{shared}{split} leaves single examples to the batch norms of {' and '.join(names)}"
            f", which take statistics over several: give batch_size={2 * parts}, or networks without batch norm."
        )


def _has_batch_norm(network: nn.Module, own_statistics: bool) -> bool:
    kind = nn.BatchNorm1d if own_statistics else _BatchNorm
    return any(isinstance(layer, kind) for layer in network.modules())


def check_loader(trainer: Trainer) -> None:
    """Refuses a loader of a data module without the data module.

    Asked for outside of a Trainer it is endless, whatever ``max_epochs`` says, and yields pixels as they are stored.

    Args:
        trainer: the trainer that is about to train.

    Raises:
        UserError: naming the call that works.
    """
    if hasattr(trainer.train_dataloader, "is_endless") and trainer.datamodule is None:  # type: ignore[attr-defined]
        raise UserError(
            "A data module's loader does not know the Trainer's epochs and devices: give trainer.fit(model, "
            "datamodule=data) in place of data.train_dataloader()."
        )


def check_optimization(trainer: Trainer) -> None:
    """Refuses what Lightning cannot do where the model steps its optimizers itself, before Lightning does.

    Args:
        trainer: the trainer that is about to fit.

    Raises:
        UserError: naming the option of the model that works.
    """
    if trainer.gradient_clip_val:
        raise UserError(
            f"Trainer(gradient_clip_val={trainer.gradient_clip_val}) cannot clip, because each phase steps its own "
            f"optimizer: give the model engine=EngineOptions(clip={trainer.gradient_clip_val})."
        )
    if trainer.accumulate_grad_batches != 1:
        raise UserError(
            f"Trainer(accumulate_grad_batches={trainer.accumulate_grad_batches}) cannot accumulate, because each phase "
            "steps its own optimizer: give the data a batch_size that is as many times as large, and the model "
            f"engine=EngineOptions(micro_batches={trainer.accumulate_grad_batches})."
        )


class EarlyStops:
    """Lightning's EarlyStopping, whose metric is measured at times of its own.

    In a run of one endless epoch it is asked after each measurement; Lightning itself asks it at the ends of epochs,
    where its metric need not be measured yet.

    Args:
        callbacks: the trainer's.
        endless: the run has one endless epoch.
    """

    def __init__(self, callbacks: Sequence[EarlyStopping], endless: bool = True) -> None:
        self.callbacks, self.endless = callbacks, endless
        self.strict = [each.strict for each in callbacks]
        self.seen: dict[int, object] = {}
        for each in callbacks:
            each.strict = each.strict and endless

    @classmethod
    def of(cls, trainer: Trainer) -> Self | None:
        """Returns those of a trainer; None if there are none.

        Raises:
            UserError: if the metric of one is certainly not measured during training.
        """
        found = [each for each in trainer.callbacks if isinstance(each, EarlyStopping)]  # type: ignore[attr-defined]
        if not found or getattr(trainer, "fast_dev_run", False):
            return None
        for each in found:
            _check_monitor(trainer, each)
        return cls(found, trainer.max_epochs == -1)

    def consult(self, trainer: Trainer) -> None:
        """Asks each whose metric has been measured again; the run then ends after the present iteration.

        Raises:
            UserError: if metrics have been measured, and the one that is monitored is not among them.
        """
        measured = trainer.callback_metrics
        for number, each in enumerate(self.callbacks):
            value = measured.get(each.monitor)
            if value is None and measured and self.strict[number]:
                names = ", ".join(measured)
                raise UserError(f"EarlyStopping(monitor={each.monitor!r}) is not measured: give one of {names}.")
            if self.endless and value is not None and value is not self.seen.get(number):
                self.seen[number] = value
                each._run_early_stopping_check(trainer)

    def release(self) -> None:
        """Gives the callbacks back as they were."""
        for each, strict in zip(self.callbacks, self.strict, strict=True):
            each.strict = strict


def _check_monitor(trainer: Trainer, stopping: EarlyStopping) -> None:
    """Refuses a metric that nothing measures during training; callbacks and methods of the user's may measure any."""
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    ours = all(type(each).__module__.startswith(("gan_lab.", "lightning.")) for each in callbacks)
    if not stopping.strict or not ours or not is_ours(type(trainer.lightning_module)):
        return
    names = [name for each in callbacks if hasattr(each, "quick_names") for name in each.quick_names()]
    wrong = f"EarlyStopping(monitor={stopping.monitor!r}) is not measured during training"
    if not any(hasattr(each, "quick_names") and each.evaluators.get("quick") for each in callbacks):
        raise UserError(f"{wrong}, where nothing is: give the Trainer a Fidelity callback with quick metrics.")
    if not stopping.monitor.startswith("quick_"):
        such = f", such as {' or '.join(names)}" if names else ""
        raise UserError(f"{wrong}: give the name of a quick metric{such}.")
