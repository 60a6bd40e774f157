"""A run that starts from the weights of another (``init_from``), which had another data set, size or classes."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn

from gan_lab.common.class_names import listed
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.common.runs import checkpoint_path
from gan_lab.training.checkpoint import load_weights, read
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
    drawn = [name for name, each in model.named_parameters() if id(each) in frozen and name in {*missing}]
    if drawn:
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
        if trainer.ckpt_path is not None:
            return
        found = list(getattr(getattr(trainer, "datamodule", None), "class_names", ()))
        new = carry_classes(pl_module, read(checkpoint_path(self.source)), found)
        if new:
            rank_zero_info(f"Classes that {self.source} does not have start anew: {listed(new)}.")


class _Rows(NamedTuple):
    """The part of a weight that classes have: equal slices along one axis, after those of other inputs."""

    axis: int
    first: int
    step: int

    def of(self, weight: Tensor, number: int) -> Tensor:
        return weight.narrow(self.axis, self.first + number * self.step, self.step)

    def fit(self, weight: Tensor | None, current: Tensor, classes: int) -> bool:
        """Says whether a weight of a model with some number of classes differs from this model's by these only."""
        wanted = list(current.shape)
        wanted[self.axis] = self.first + classes * self.step
        return weight is not None and list(weight.shape) == wanted


def carry_classes(model: Any, checkpoint: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Gives a model's classes the weights of the classes of the same names in a checkpoint.

    The weights that classes have are those that become larger in a model with one class more. That model also gives
    the weights of new classes. Equalised layers divide by the root of their inputs, so with another number of classes
    StyleGAN2's embeddings keep their directions only.

    Args:
        model: built from its ``configuration``, which is changed.
        checkpoint: of a model with the same networks, but perhaps more or fewer classes.
        names: of the model's classes.

    Returns:
        the names of the classes that the checkpoint does not have; nothing if names are not known, or are the same.
    """
    classes, had = getattr(model, "classes", 0), [str(each).lower() for each in _names(checkpoint)]
    wanted = [name.lower() for name in names]
    if not had or classes != len(wanted) or had == wanted:
        return []
    source, changed = checkpoint["state_dict"], {}
    larger = _with_one_class_more(model.configuration["model"], classes)
    for name, current in model.state_dict().items():
        rows = _rows(current, larger[name], classes) if name in larger else None
        if rows is None:
            continue
        old, value = source.get(name), current.clone()
        fits = rows.fit(old, current, len(had))
        if fits and rows.first:
            value.narrow(rows.axis, 0, rows.first).copy_(old.narrow(rows.axis, 0, rows.first))
        for number, each in enumerate(wanted):
            known = fits and each in had
            rows.of(value, number).copy_(rows.of(old, had.index(each)) if known else rows.of(larger[name], number))
        changed[name] = value
    model.load_state_dict(changed, strict=False)
    return [name for name in names if name.lower() not in had] if changed else []


def _names(checkpoint: Mapping[str, Any]) -> Sequence[str]:
    return checkpoint.get("gan_lab", {}).get("class_names") or ()


def _rows(weight: Tensor, larger: Tensor, classes: int) -> _Rows | None:
    """Returns the part of a weight that classes have, given that of a model with one class more, or None."""
    axes = [axis for axis, (a, b) in enumerate(zip(weight.shape, larger.shape, strict=True)) if a != b]
    if len(axes) != 1:
        return None
    step = larger.shape[axes[0]] - weight.shape[axes[0]]
    return _Rows(axes[0], weight.shape[axes[0]] - classes * step, step)


def _with_one_class_more(node: Mapping[str, Any], classes: int) -> Mapping[str, Tensor]:
    """Returns the weights of a new model with one class more, drawn alike by every process."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(classes)
        model: nn.Module = instantiate(_replaced(node, classes))
    return model.state_dict()


def _replaced(node: Any, classes: int) -> Any:
    if isinstance(node, Mapping):
        return {
            key: classes + 1 if key == "classes" and value == classes else _replaced(value, classes)
            for key, value in node.items()
        }
    return node
