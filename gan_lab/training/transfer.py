"""A run that starts from the weights of another (``init_from``), which had another data set, size or classes."""

from collections.abc import Collection, Iterable

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import nn

from gan_lab.common.class_names import listed
from gan_lab.common.errors import UserError
from gan_lab.common.runs import checkpoint_path
from gan_lab.training.checkpoint import load_weights, read
from gan_lab.training.class_weights import carry_classes, weights_of_classes
from gan_lab.training.resume_rules import LISTED


def start_from(model: LightningModule, source: str, least: float, trained: Iterable[nn.Module]) -> None:
    """Gives a model the weights of a run that fit it, and says which do.

    Args:
        model: the model, which is changed.
        source: a run's folder or a checkpoint.
        least: smallest share of the parameters that it must have.
        trained: the networks that the method trains.

    Raises:
        UserError: if too little fits, or layers are frozen without weights to keep.
    """
    taken = load_weights(model, checkpoint_path(source), least)
    rank_zero_info(f"Weights from {source}: {taken.share:.0%} of the parameters.")
    missing = [name for name in taken.left_out if not name.startswith("ema.")]
    if missing:
        found = modules_of(missing, model.state_dict().keys() - {*taken.left_out})
        more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
        rank_zero_info(f"Without a match: {', '.join(found[:LISTED])}{more}.")
    frozen = {id(each) for part in trained for each in part.parameters() if not each.requires_grad}
    drawn = {name for name, each in model.named_parameters() if id(each) in frozen and name in {*missing}}
    if drawn and (drawn := drawn - weights_of_classes(model, read(checkpoint_path(source)))):
        raise UserError(
            f"Frozen layers would keep weights that were drawn, for {source} has none for "
            f"{modules_of(drawn, model.state_dict().keys() - {*drawn})[0]}: give a run of the same image size and "
            "widths, or freeze nothing."
        )


def modules_of(names: Collection[str], others: Collection[str]) -> list[str]:
    """Returns names of weights, or of the largest modules that hold no other weights than these."""
    known = {prefix for name in others for prefix in _prefixes(name)}
    return sorted({next((each for each in _prefixes(name) if each not in known), name) for name in names})


def _prefixes(name: str) -> list[str]:
    """The modules that hold a weight, the largest first."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


class CarriedClasses(Callback):
    """Gives each class of a run the weights that the class of its name had in another, once the data are known.

    Classes that the other run did not have start anew. By their numbers, a ship would start as a cat. A run that is
    resumed has its own weights.
    """

    def __init__(self, source: str) -> None:
        self.source = source

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        found = list(getattr(getattr(trainer, "datamodule", None), "class_names", ()))
        if trainer.ckpt_path is not None or not found or not getattr(pl_module, "classes", 0):
            return
        new = carry_classes(pl_module, read(checkpoint_path(self.source)), found)
        if new:
            rank_zero_info(f"Classes that {self.source} does not have start anew: {listed(new)}.")
