"""Editing an image with a generator: it is inverted, its code is changed, and the result takes its place."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from gan_lab.common.bounds import NonNegative, PositiveFloat, PositiveInt, Share
from gan_lab.common.errors import UserError
from gan_lab.inference.directions import layer_mask, moved
from gan_lab.inference.dragging import drag
from gan_lab.inference.inversion import Distance, Inversion, Likeness, invert
from gan_lab.inference.spaces import Space, Spread, spread_of
from gan_lab.inference.tuning import Delta, tune, tuned

FAR = 2.0
"""Distance from its target in pixels at which a dragged point has not arrived."""


@dataclass(frozen=True)
class Edit:
    """An image on its way through the steps of an edit.

    Args:
        given: the image (1, C, H, W) in [-1, 1].
        codes: its code (1, …); None before it is inverted.
        noise: a map (1, 1, h, w) for each layer that has noise; empty for the constant noise.
        delta: change of the generator's weights; empty without.
        inverted: what the inversion found.
        notes: what is to be said of it.
    """

    given: Tensor
    codes: Tensor | None = None
    noise: list[Tensor] = field(default_factory=list)
    delta: Delta = field(default_factory=dict)
    inverted: Inversion | None = None
    notes: tuple[str, ...] = ()

    @property
    def code(self) -> Tensor:
        """The code.

        Raises:
            UserError: before the image is inverted.
        """
        if self.codes is None:
            raise UserError("The first step of an edit inverts the image: begin the steps with invert.")
        return self.codes


@dataclass(frozen=True)
class Tools:
    """The things that steps work with.

    Args:
        space: of codes.
        spread: of the space.
        distance: perceptual distance of images; None for pixels alone.
        seed: of random numbers.
    """

    space: Space
    spread: Spread
    distance: Distance | None = None
    seed: int = 0
    known: dict[int, Edit] = field(default_factory=dict)

    def remembered(self, image: Tensor, invert: "Invert") -> Edit:
        """Returns the inversion of an image (1, C, H, W) that several edits need, which is done once."""
        if id(image) not in self.known:
            self.known[id(image)] = invert(Edit(image.to(self.spread.mean.device)), self)
        return self.known[id(image)]


class Step(Protocol):
    """A step of an edit. Its fields are the arguments that a recipe states."""

    def __call__(self, edit: Edit, tools: Tools) -> Edit:
        """Returns the edit after the step."""


@dataclass(frozen=True)
class Invert:
    """Finds the code of the image; see ``gan_lab.inference.inversion.invert``."""

    steps: PositiveInt = 500
    rate: PositiveFloat = 0.1
    starts: PositiveInt = 1
    pixel: NonNegative = 1.0
    perceptual: NonNegative = 1.0
    prior: NonNegative = 0.0
    noise: NonNegative | None = None

    def __call__(self, edit: Edit, tools: Tools) -> Edit:
        found = invert(
            tools.space, edit.given, self.steps, self.rate, self.starts,
            Likeness(tools.distance, self.pixel, self.perceptual), self.prior, self.noise, tools.seed,
            spread=tools.spread,
        )  # fmt: skip
        return replace(edit, codes=found.codes, noise=found.noise, inverted=found)


@dataclass(frozen=True)
class Tune:
    """Moves the generator's weights around the code; see ``gan_lab.inference.tuning.tune``."""

    steps: PositiveInt = 350
    rate: PositiveFloat = 5e-3
    pixel: NonNegative = 1.0
    perceptual: NonNegative = 1.0
    locality: NonNegative = 0.1

    def __call__(self, edit: Edit, tools: Tools) -> Edit:
        codes = edit.code
        assert edit.inverted is not None
        pivot = replace(edit.inverted, codes=codes)
        delta = tune(
            tools.space, edit.given, pivot, self.steps, self.rate,
            Likeness(tools.distance, self.pixel, self.perceptual), self.locality, tools.seed,
        )  # fmt: skip
        return replace(edit, delta=delta)


@dataclass(frozen=True)
class Move:
    """Moves the code along a direction, in deviations of the space; see ``gan_lab.inference.directions.moved``."""

    vector: Tensor
    strength: float
    layers: tuple[int, int] | None = None

    def __call__(self, edit: Edit, tools: Tools) -> Edit:
        length = self.strength * tools.spread.deviation
        return replace(edit, codes=moved(tools.space, edit.code, self.vector, length, self.layers))


@dataclass(frozen=True)
class Truncate:
    """Moves the code towards the mean of the space: 1 keeps it, 0 is the mean."""

    psi: Share

    def __call__(self, edit: Edit, tools: Tools) -> Edit:
        mean = tools.space.repeated(tools.spread.mean, 1)
        return replace(edit, codes=mean.lerp(edit.code, self.psi))


@dataclass(frozen=True)
class Mix:
    """Moves the code towards that of another image: all of it, or the styles of some layers alone.

    Args:
        other: the other image (1, C, H, W) in [-1, 1].
        amount: 1 takes the other's code, 0.5 is the middle.
        layers: first and last layer, from 0, of a style for each layer; None for all.
        invert: finds the other's code.
    """

    other: Tensor
    amount: Share = 1.0
    layers: tuple[int, int] | None = None
    invert: Invert = field(default_factory=Invert)

    def __call__(self, edit: Edit, tools: Tools) -> Edit:
        theirs = tools.remembered(self.other, self.invert).code
        mixed = edit.code.lerp(theirs, self.amount)
        if self.layers is None:
            return replace(edit, codes=mixed)
        chosen = layer_mask(tools.space, edit.code, self.layers)
        return replace(edit, codes=torch.where(chosen, mixed, edit.code))


@dataclass(frozen=True)
class Drag:
    """Drags points of the image; see ``gan_lab.inference.dragging.drag``.

    Args:
        handles, targets: rows and columns in pixels of the model's images, (K, 2).
        movable: left, top, right, bottom of the box that may change; None for everywhere.
        steps, rate, reduction, layers: see there.
    """

    handles: Tensor
    targets: Tensor
    movable: Sequence[int] | None = None
    steps: PositiveInt = 200
    rate: PositiveFloat = 2e-3
    reduction: PositiveInt = 4
    layers: PositiveInt | None = None

    def __call__(self, edit: Edit, tools: Tools) -> Edit:
        movable = None if self.movable is None else _box(self.movable, edit.given)
        with _tuned(edit, tools.space):
            found = drag(
                tools.space, edit.code, self.handles, self.targets, movable, self.steps, self.rate,
                reduction=self.reduction, layers=self.layers, noise=edit.noise or None,
            )  # fmt: skip
        far = "a point did not arrive" if float(found.left.max()) > FAR else None
        return replace(edit, codes=found.codes, notes=(*edit.notes, far) if far else edit.notes)


class Editor:
    """Takes images through the steps of an edit; the result of each depends on the image and the seed alone.

    Args:
        space: of codes.
        steps: in their order.
        distance: perceptual distance of images; None for pixels alone.
        seed: of random numbers.
    """

    def __init__(self, space: Space, steps: Sequence[Step], distance: Distance | None = None, seed: int = 0) -> None:
        self.tools, self.steps = Tools(space, spread_of(space), distance, seed), steps

    def __call__(self, image: Tensor) -> tuple[Edit, Tensor]:
        """Returns the edit of an image (1, C, H, W) in [-1, 1], and its result (1, C, H, W) in [-1, 1]."""
        edit = Edit(image)
        for step in self.steps:
            edit = step(edit, self.tools)
        return edit, drawn(edit, self.tools.space)


@torch.no_grad()
def drawn(edit: Edit, space: Space, codes: Tensor | None = None) -> Tensor:
    """Returns the image (N, C, H, W) in [-1, 1] of an edit's code, or of other codes (N, …), by the tuned generator."""
    codes = edit.code if codes is None else codes
    with _tuned(edit, space):
        return space.images(codes, [each.expand(len(codes), -1, -1, -1) for each in edit.noise] or None).clamp(-1, 1)


def _tuned(edit: Edit, space: Space) -> AbstractContextManager[None]:
    return tuned(space.network, edit.delta) if edit.delta else nullcontext()


def _box(box: Sequence[int], image: Tensor) -> Tensor:
    """Returns 1 within a box (left, top, right, bottom) of images (N, C, H, W), and 0 around it, (1, 1, H, W)."""
    left, top, right, bottom = box
    height, width = image.shape[2:]
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        named = ",".join(map(str, box))
        raise UserError(f"movable={named} does not lie in the model's images of {width}×{height} px.")
    inside = torch.zeros(1, 1, *image.shape[2:], device=image.device)
    inside[..., top:bottom, left:right] = 1
    return inside
