"""From the steps that a recipe states to those that a model takes: their files are read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import singledispatchmethod
from pathlib import Path

import torch
from torch import Tensor

from gan_lab.cli.edit_arguments import (
    DragArguments,
    MaskArguments,
    MixArguments,
    MoveArguments,
    RestoreArguments,
    SwapArguments,
    digest,
    found_file,
)
from gan_lab.common.capabilities import Repairs
from gan_lab.common.errors import UserError
from gan_lab.data.reading.examples import pictures_in
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.inference.directions import Directions
from gan_lab.inference.edit_steps import Drag, Invert, Mask, Mix, Move, Restore, Swap
from gan_lab.inference.editing import Step
from gan_lab.inference.regions import Box, region_of
from gan_lab.inference.spaces import SpaceName
from gan_lab.training.checkpoint import load


@dataclass(frozen=True)
class Target:
    """The model that steps are for.

    Args:
        fingerprint: of its weights.
        space: of its codes.
        spec: size and channels of its images.
        device: that computes.
        trust: modules that checkpoints may take classes from.
    """

    fingerprint: str
    space: SpaceName
    spec: ResizeSpec
    device: torch.device
    trust: Sequence[str] = ()


@dataclass(frozen=True)
class StepBuilder:
    """Makes steps of what a recipe states.

    Args:
        target: the model.
        folder: that relative paths are also looked for in.
        invert: the step that inverts the image, and other images alike.
    """

    target: Target
    folder: Path
    invert: Invert = field(default_factory=Invert)

    @singledispatchmethod
    def build(self, stated: Step) -> Step:
        """Returns the step; those without files are steps as they are stated.

        Raises:
            UserError: for files that are missing or have changed.
        """
        return stated

    @build.register
    def _(self, stated: MoveArguments) -> Move:
        path = self._file(stated.directions, stated.digest)
        if not path.is_file():
            raise UserError(f"There is no file {path} of directions: give the path of one that do=directions wrote.")
        vector = Directions.load(path, self.target.fingerprint, self.target.space).named(str(stated.direction))
        return Move(vector, stated.strength, stated.layers)

    @build.register
    def _(self, stated: MixArguments) -> Mix:
        others = self._images(stated.image, stated.digest)
        return Mix(others, stated.amount, stated.layers, stated.interpolation, self.invert)

    @build.register
    def _(self, stated: SwapArguments) -> Swap:
        other = self._images(stated.image, stated.digest)[:1]
        return Swap(other, self._region(stated.region, stated.region_digest), stated.reduction, self.invert)

    @build.register
    def _(self, stated: DragArguments) -> Drag:
        points = torch.tensor(stated.points).view(-1, 4)
        how = stated.movable, stated.steps, stated.rate, stated.reduction, stated.layers
        return Drag(points[:, :2], points[:, 2:], *how)

    @build.register
    def _(self, stated: MaskArguments) -> Mask:
        return Mask(self._region(stated.region, stated.region_digest))

    @build.register
    def _(self, stated: RestoreArguments) -> Restore:
        path = self._file(stated.checkpoint, stated.digest)
        model = load(path, self.target.device, trust=self.target.trust)
        if not isinstance(model, Repairs):
            raise UserError(
                f"{type(model).__name__} restores nothing: give restore= a checkpoint such as one of denoise."
            )
        return Restore(model)

    def _images(self, path: Path, wanted: str | None) -> Tensor:
        """Returns the images (K, C, H, W) of a file or folder."""
        path = self._file(path, wanted)
        if not path.exists():
            raise UserError(f"There is no image {path} to mix with: give the path of one.")
        return pictures_in(path, "other", self.target.spec)

    def _region(self, region: Box | Path, wanted: str | None) -> Tensor:
        found = self._file(region, wanted) if isinstance(region, Path) else region
        return region_of(found, self.target.spec.target_size).to(self.target.device)

    def _file(self, path: Path, wanted: str | None) -> Path:
        """Returns the path of a file that the recipe names, from here or from the recipe's folder.

        Raises:
            UserError: if its contents have changed since.
        """
        path = found_file(path, self.folder)
        if wanted is not None and path.exists() and digest(path) != wanted:
            raise UserError(
                f"{path} has changed since the recipe was written: put the file back, or write a new recipe."
            )
        return path
