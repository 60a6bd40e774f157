"""Pictures of units: samples with the places where a unit is active, and samples with units switched off and on."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.inference.units import Dissection, Layer, Segment, Subject, class_shares, enlarged, switched

DARK = 0.25
"""Brightness of the places where a unit is not active."""


@dataclass(frozen=True)
class Unit:
    """A unit that agrees with a class.

    Args:
        layer: its layer.
        number: in the layer.
        agreement: intersection over union.
        threshold: above which it counts as active.
    """

    layer: Layer
    number: int
    agreement: float
    threshold: float

    @property
    def name(self) -> str:
        """The layer's name and the number."""
        return f"{self.layer.name}:{self.number}"


def best_units(found: Sequence[Dissection], class_id: int, count: PositiveInt) -> list[Unit]:
    """Returns the units of all layers that agree most with a class, the best first."""
    units = [
        Unit(each.layer, number, float(each.agreement[number, class_id]), float(each.thresholds[number, class_id]))
        for each in found
        for number in each.best(class_id, count).tolist()
    ]
    return sorted(units, key=lambda unit: -unit.agreement)[:count]


def marked_samples(
    subject: Subject, units: Sequence[Unit], n: PositiveInt, candidates: PositiveInt, batch_size: PositiveInt
) -> Tensor:
    """Returns the samples in which each unit is most active, dark where it is below its threshold.

    Args:
        subject: the model and its samples.
        units: M of them.
        n: samples for each.
        candidates: samples that they are chosen from.
        batch_size: samples generated at once.

    Returns:
        (M, n, C, H, W) in [-1, 1].
    """
    layers = list(dict.fromkeys(unit.layer for unit in units))
    images, maps = [], [list[Tensor]() for _ in units]
    for start in range(0, candidates, batch_size):
        drawn, found = subject.maps(layers, min(batch_size, candidates - start), start)
        images.append(drawn)
        for kept, unit in zip(maps, units, strict=True):
            kept.append(found[layers.index(unit.layer)][:, unit.number])
    every = torch.cat(images)
    return torch.stack([_marked(every, torch.cat(own), unit, n) for own, unit in zip(maps, units, strict=True)])


def _marked(images: Tensor, maps: Tensor, unit: Unit, n: int) -> Tensor:
    """Returns the n images (N, C, H, W) with the highest maps (N, h, w), dark where these are below the threshold."""
    chosen = maps.flatten(1).amax(1).topk(min(n, len(maps))).indices
    active = enlarged(maps[chosen], images.shape[2:])[:, None] > unit.threshold
    return torch.where(active, images[chosen], DARK * (images[chosen] + 1) - 1)


@dataclass(frozen=True)
class Switching:
    """The units of one layer that agree most with a class, and as many others.

    Args:
        layer: the layer.
        units: their numbers, (U',).
        levels: their mean above their thresholds, (U',).
        others: other units of the layer, a control, (U',).
    """

    layer: Layer
    units: Tensor
    levels: Tensor
    others: Tensor

    @classmethod
    def of(cls, found: Sequence[Dissection], class_id: int, count: PositiveInt, seed: int = 0) -> "Switching":
        """Returns the best units, at most half of them all, of the layer in which their mean agreement is highest."""
        means = [each.agreement[each.best(class_id, count), class_id].mean() for each in found]
        chosen = found[int(torch.stack(means).argmax())]
        units = chosen.best(class_id, min(count, max(1, chosen.layer.units // 2)))  # as many others are left
        rest = [number for number in range(chosen.layer.units) if number not in units.tolist()]
        others = torch.tensor(rest, dtype=torch.int64)
        order = torch.randperm(len(others), generator=torch.Generator().manual_seed(seed))
        return cls(chosen.layer, units, chosen.levels[units, class_id], others[order[: len(units)]])

    def states(self) -> dict[str, AbstractContextManager[None]]:
        """Returns what is done to the generator, by name."""
        return {
            "before": nullcontext(),
            "off": switched(self.layer, self.units),
            "on": switched(self.layer, self.units, self.levels),
            "others off": switched(self.layer, self.others),
        }


def switched_samples(
    subject: Subject, switching: Switching, segment: Segment, classes: int, n: PositiveInt, measured: PositiveInt,
    batch_size: PositiveInt,
) -> tuple[Tensor, dict[str, Tensor]]:  # fmt: skip
    """Returns samples in each state of a switching, and the shares of the classes among their pixels.

    Args:
        subject: the model and its samples.
        switching: of units.
        segment: finds the classes of pixels.
        classes: K.
        n: samples that are returned.
        measured: samples that shares are measured on.
        batch_size: samples generated at once.

    Returns:
        (S, n, C, H, W) in [-1, 1], and (K,) by the state's name.
    """
    images, shares = [], {}
    for name, state in switching.states().items():
        with state:
            images.append(subject.images(n).clamp(-1, 1))
            shares[name] = class_shares(subject, segment, classes, measured, batch_size)
    return torch.stack(images), shares
