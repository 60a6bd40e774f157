"""The steps of an edit. Their fields are the arguments that a recipe states, or what it makes of them."""

from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from gan_lab.common.bounds import Natural, NonNegative, PositiveFloat, PositiveInt, Share
from gan_lab.common.capabilities import Repairs
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float, to_uint8
from gan_lab.inference.directions import layer_mask, moved
from gan_lab.inference.dragging import check_points, drag
from gan_lab.inference.editing import Edit, Swapped, Tools, changed
from gan_lab.inference.interpolation import slerp
from gan_lab.inference.inversion import Likeness, check_steps, invert
from gan_lab.inference.regions import Box, region_of, swapped
from gan_lab.inference.restoring import PhotoRestorer
from gan_lab.inference.spaces import Space
from gan_lab.inference.tuning import tune

FAR = 2.0
"""Distance from its target in pixels at which a dragged point has not arrived."""


@dataclass(frozen=True)
class Invert:
    """Finds the code of the image; see ``gan_lab.inference.inversion.invert``."""

    steps: Natural = 500
    rate: PositiveFloat = 0.1
    starts: PositiveInt = 1
    pixel: NonNegative = 1.0
    perceptual: NonNegative = 1.0
    prior: NonNegative = 0.0
    noise: NonNegative | None = None

    def check(self, space: Space) -> None:
        """Checks that an inversion without steps has an encoder; raises UserError if it has none."""
        check_steps(space, self.steps)

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

    def check(self, space: Space) -> None:
        if self.layers is not None:
            layer_mask(space, space.of_samples(1), self.layers)

    def __call__(self, edit: Edit, tools: Tools) -> Edit:
        length = self.strength * tools.spread.deviation
        return replace(edit, codes=moved(tools.space, edit.code, self.vector, length, self.layers))

    def scaled(self, share: float) -> "Move":
        return replace(self, strength=share * self.strength)


@dataclass(frozen=True)
class Truncate:
    """Moves the code towards the mean of the space: 1 keeps it, 0 is the mean."""

    psi: Share

    def __call__(self, edit: Edit, tools: Tools) -> Edit:
        mean = tools.space.repeated(tools.spread.mean, 1)
        return replace(edit, codes=mean.lerp(edit.code, self.psi))

    def scaled(self, share: float) -> "Truncate":
        return Truncate(1 + share * (self.psi - 1))


@dataclass(frozen=True)
class Mix:
    """Moves the code towards that of another image: all of it, or the styles of some layers alone.

    Args:
        others: other images (K, C, H, W) in [-1, 1]; of several, the mean of their codes.
        amount: 1 takes the other's code, 0.5 is the middle.
        layers: first and last layer, from 0, of a style for each layer; None for all.
        interpolation: on the straight line, or spherically, for latents.
        invert: finds the others' codes.
    """

    others: Tensor
    amount: Share = 1.0
    layers: tuple[int, int] | None = None
    interpolation: Literal["linear", "spherical"] = "linear"
    invert: Invert = field(default_factory=Invert)

    def check(self, space: Space) -> None:
        """Checks that codes of the space can be mixed in this way.

        Raises:
            UserError: for layers of another space, and for a spherical mixture of styles, or with a mean of codes.
        """
        if self.interpolation == "spherical" and space.name != "z":
            raise UserError("Only latents lie on a sphere: give space=z, or interpolation=linear.")
        if self.interpolation == "spherical" and len(self.others) > 1:
            raise UserError("The mean of several codes lies on no sphere: give one image, or interpolation=linear.")
        if self.layers is not None:
            layer_mask(space, space.of_samples(1), self.layers)

    def __call__(self, edit: Edit, tools: Tools) -> Edit:
        theirs = torch.stack([tools.remembered(each[None], self.invert).code for each in self.others]).mean(0)
        between = slerp if self.interpolation == "spherical" else torch.lerp
        mixed = between(edit.code, theirs, self.amount)
        if self.layers is None:
            return replace(edit, codes=mixed)
        chosen = layer_mask(tools.space, edit.code, self.layers)
        return replace(edit, codes=torch.where(chosen, mixed, edit.code))

    def scaled(self, share: float) -> "Mix":
        return replace(self, amount=share * self.amount)


@dataclass(frozen=True)
class Swap:
    """Takes a region of the image from another one; see ``gan_lab.inference.regions.swapped``.

    Args:
        other: the other image (1, C, H, W) in [-1, 1].
        region: 1 where it is taken, (1, 1, H, W).
        reduction: sides of the images in sides of the largest maps that are exchanged.
        invert: finds the other's code.
        amount: 1 takes the other's code for the region, 0.5 is the middle.
    """

    other: Tensor
    region: Tensor
    reduction: PositiveInt = 4
    invert: Invert = field(default_factory=Invert)
    amount: Share = 1.0

    def check(self, space: Space) -> None:
        codes = space.of_samples(1)
        with swapped(space, codes, self.region.to(codes), self.reduction):
            space.images(codes)

    def __call__(self, edit: Edit, tools: Tools) -> Edit:
        theirs = edit.code.lerp(tools.remembered(self.other, self.invert).code, self.amount)
        return replace(edit, swaps=(*edit.swaps, Swapped(theirs, self.region.to(theirs), self.reduction)))

    def scaled(self, share: float) -> "Swap":
        return replace(self, amount=share * self.amount)


@dataclass(frozen=True)
class Mask:
    """Keeps the edit within a region: around it the given image stays.

    Args:
        region: 1 inside, (1, 1, H, W), with any values between at its border.
    """

    region: Tensor

    def __call__(self, edit: Edit, tools: Tools) -> Edit:
        return replace(edit, region=self.region if edit.region is None else edit.region * self.region)


@dataclass(frozen=True)
class Restore:
    """Restores the image that the code gives: less noise, or a higher resolution.

    Args:
        model: restores images without a mask, with as many channels.
    """

    model: Repairs

    def check(self, space: Space) -> None:
        """Checks that the model is for images like those of the space.

        Raises:
            UserError: if it is not.
        """
        if self.model.channels != space.images(space.of_samples(1)).shape[1] or self.model.masks:
            raise UserError("The model of restore is for other images: give one without masks and with their channels.")

    def __call__(self, edit: Edit, tools: Tools) -> Edit:
        restorer = PhotoRestorer(self.model)

        def restored(found: Tensor) -> Tensor:
            pixels = torch.stack([restorer(each) for each in to_uint8(found).cpu()])
            return to_float(pixels).to(found)

        return replace(edit, finishes=(*edit.finishes, restored))


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
    movable: Box | None = None
    steps: PositiveInt = 200
    rate: PositiveFloat = 2e-3
    reduction: PositiveInt = 4
    layers: PositiveInt | None = None

    def check(self, space: Space) -> None:
        check_points(space, self.handles, self.targets, self.reduction, self.layers)

    def __call__(self, edit: Edit, tools: Tools) -> Edit:
        movable = None if self.movable is None else region_of(self.movable, edit.given.shape[2:], "movable")
        with changed(edit, tools.space):
            found = drag(
                tools.space, edit.code, self.handles, self.targets, movable, self.steps, self.rate,
                reduction=self.reduction, layers=self.layers, noise=edit.noise or None,
            )  # fmt: skip
        far = "a point did not arrive" if float(found.left.max()) > FAR else None
        return replace(edit, codes=found.codes, notes=(*edit.notes, far) if far else edit.notes)
