"""Editing an image with a generator: it is inverted, its code is changed, and the result takes its place.

The steps are in ``gan_lab.inference.edit_steps``.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.common.errors import UserError
from gan_lab.inference.inversion import Distance, Inversion
from gan_lab.inference.regions import sized, swapped
from gan_lab.inference.spaces import Space, Spread, spread_of
from gan_lab.inference.tuning import Delta, tuned

Finish = Callable[[Tensor], Tensor]
"""Changes an image (N, C, H, W) in [-1, 1] that a code gives."""


@dataclass(frozen=True)
class Swapped:
    """A region with the maps of another code; see ``gan_lab.inference.regions.swapped``."""

    code: Tensor
    region: Tensor
    reduction: int


@dataclass(frozen=True)
class Edit:
    """An image on its way through the steps of an edit.

    Args:
        given: the image (1, C, H, W) in [-1, 1].
        codes: its code (1, …); None before it is inverted.
        noise: a map (1, 1, h, w) for each layer that has noise; empty for the constant noise.
        delta: change of the generator's weights; empty without.
        inverted: what the inversion found.
        swaps: regions with the maps of other codes.
        finishes: what is done to the image that the code gives, in their order.
        region: 1 where the edit shows, (1, 1, H, W); None for everywhere.
        notes: what is to be said of it.
    """

    given: Tensor
    codes: Tensor | None = None
    noise: list[Tensor] = field(default_factory=list)
    delta: Delta = field(default_factory=dict)
    inverted: Inversion | None = None
    swaps: tuple["Swapped", ...] = ()
    finishes: tuple[Finish, ...] = ()
    region: Tensor | None = None
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

    def remembered(self, image: Tensor, invert: "Step") -> Edit:
        """Returns the inversion of an image (1, C, H, W) that several edits need, which is done once.

        The image must live as long as the tools do.
        """
        place = image.data_ptr()
        if place not in self.known:
            self.known[place] = invert(Edit(image.to(self.spread.mean.device)), self)
        return self.known[place]


class Step(Protocol):
    """A step of an edit. Its fields are the arguments that a recipe states."""

    def __call__(self, edit: Edit, tools: Tools) -> Edit:
        """Returns the edit after the step."""


@runtime_checkable
class Gradual(Protocol):
    """A step that can be done in part."""

    def scaled(self, share: float) -> Step:
        """Returns a share of the step: 0 changes nothing, 1 is the step itself."""


@runtime_checkable
class ChecksSpace(Protocol):
    """A step that works in some spaces alone."""

    def check(self, space: Space) -> None:
        """Checks a space, before anything is done.

        Raises:
            UserError: if the step does not work in it.
        """


class Editor:
    """Takes images through the steps of an edit; the result of each depends on the image and the seed alone.

    Args:
        space: of codes.
        steps: in their order.
        distance: perceptual distance of images; None for pixels alone.
        seed: of random numbers.

    Raises:
        UserError: for a step that does not work in the space.
    """

    def __init__(self, space: Space, steps: Sequence[Step], distance: Distance | None = None, seed: int = 0) -> None:
        for step in steps:
            if isinstance(step, ChecksSpace):
                step.check(space)
        self.tools, self.steps = Tools(space, spread_of(space), distance, seed), steps

    def __call__(self, image: Tensor, frames: PositiveInt = 1) -> tuple[Edit, Tensor]:
        """Returns the edit of an image (1, C, H, W) in [-1, 1], and its results (N, C, H', W') in [-1, 1].

        ``masked`` keeps the image around a region.

        Args:
            image: the image.
            frames: number of results, from the image before the first gradual step to the whole edit, the last.
        """
        first = next((i for i, step in enumerate(self.steps) if isinstance(step, Gradual)), len(self.steps))
        before = self._taken(Edit(image), self.steps[:first])
        edit, found = before, []
        for share in torch.linspace(1 if frames == 1 else 0, 1, frames).tolist():
            steps = [step.scaled(share) if isinstance(step, Gradual) else step for step in self.steps[first:]]
            edit = self._taken(before, steps if share < 1 else self.steps[first:])
            found.append(finished(edit, self.tools.space))
        return edit, torch.cat(found)

    def _taken(self, edit: Edit, steps: Sequence[Step]) -> Edit:
        for step in steps:
            edit = step(edit, self.tools)
        return edit


def finished(edit: Edit, space: Space) -> Tensor:
    """Returns the result of an edit, (1, C, H', W') in [-1, 1], of its region and around it."""
    found = drawn(edit, space)
    for finish in edit.finishes:
        found = finish(found).clamp(-1, 1)
    return found


def masked(edit: Edit, found: Tensor) -> Tensor:
    """Returns results (N, C, H', W') of an edit with the given image around its region."""
    if edit.region is None:
        return found
    before, region = (sized(each.to(found), found.shape[2:]) for each in (edit.given, edit.region))
    return torch.lerp(before.expand_as(found), found, region)


@torch.no_grad()
def drawn(edit: Edit, space: Space, codes: Tensor | None = None) -> Tensor:
    """Returns images (N, C, H, W) in [-1, 1] of an edit's code, or of other codes (N, …), by the changed generator."""
    codes = edit.code if codes is None else codes
    with changed(edit, space):
        return space.images(codes, [each.expand(len(codes), -1, -1, -1) for each in edit.noise] or None).clamp(-1, 1)


@contextmanager
def changed(edit: Edit, space: Space) -> Iterator[None]:
    """Lets the generator have the edit's weights and swapped regions."""
    with ExitStack() as changes:
        if edit.delta:
            changes.enter_context(tuned(space.network, edit.delta))
        for each in edit.swaps:
            changes.enter_context(swapped(space, each.code, each.region, each.reduction, edit.noise or None))
        yield
