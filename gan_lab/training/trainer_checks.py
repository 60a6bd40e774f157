"""Settings of Lightning's Trainer that do not go with players who step in turn."""

from lightning.pytorch import Trainer

from gan_lab.common.errors import UserError


def check_trainer(trainer: Trainer, num_phases: int) -> None:
    """Refuses what would count or synchronise wrongly.

    Args:
        trainer: the trainer that is about to fit.
        num_phases: phases of the method.

    Raises:
        UserError: for ``max_steps``, and for plain DDP if there are several phases.
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
