"""Settings of Lightning's Trainer that do not go with alternating phases, and batches too small for batch norm."""

from collections.abc import Sequence
from typing import Any, Self

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

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


class EarlyStops:
    """Lightning's EarlyStopping in a run of one endless epoch: it is asked after each measurement of its metric.

    Lightning itself asks it at the ends of epochs.

    Args:
        callbacks: the trainer's.
    """

    def __init__(self, callbacks: Sequence[EarlyStopping]) -> None:
        self.callbacks = callbacks
        self.seen: dict[int, object] = {}

    @classmethod
    def of(cls, trainer: Trainer) -> Self | None:
        """Returns those of a trainer; None if there are none, or Lightning asks them."""
        found = [each for each in trainer.callbacks if isinstance(each, EarlyStopping)]  # type: ignore[attr-defined]
        return cls(found) if found and trainer.max_epochs == -1 else None

    def consult(self, trainer: Trainer) -> None:
        """Asks each whose metric has been measured again; the run then ends after the present iteration.

        Raises:
            UserError: if metrics have been measured, and the one that is monitored is not among them.
        """
        measured = trainer.callback_metrics
        for number, each in enumerate(self.callbacks):
            value = measured.get(each.monitor)
            if value is None and measured and each.strict:
                names = ", ".join(measured)
                raise UserError(f"EarlyStopping(monitor={each.monitor!r}) is not measured: give one of {names}.")
            if value is not None and value is not self.seen.get(number):
                self.seen[number] = value
                each._run_early_stopping_check(trainer)
