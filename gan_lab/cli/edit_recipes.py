"""Recipes of edits: the steps with all their arguments, as a file that replays exactly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from gan_lab.cli.values import convert
from gan_lab.common.atomic import atomic_write
from gan_lab.common.bounds import PositiveFloat, PositiveInt, Share
from gan_lab.common.errors import UserError
from gan_lab.common.version import __version__
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.inference.directions import Directions
from gan_lab.inference.edit_photos import pictures_in
from gan_lab.inference.editing import Drag, Invert, Mix, Move, Step, Truncate, Tune
from gan_lab.inference.spaces import SpaceName

Values = Mapping[str, Any]
"""Plain values by name."""


@dataclass(frozen=True)
class MoveArguments:
    """A direction in a file.

    Args:
        directions: the file.
        direction: the direction's name, or its number from 0.
        strength: in deviations of the space.
        layers: first and last layer; None for all.
        digest: of the file's contents; None takes any.
    """

    directions: Path
    direction: str | int
    strength: float
    layers: tuple[int, int] | None = None
    digest: str | None = None


@dataclass(frozen=True)
class MixArguments:
    """Another image.

    Args:
        image: its file.
        amount: 1 takes its code, 0.5 is the middle.
        layers: first and last layer; None for all.
        digest: of the file's contents; None takes any.
    """

    image: Path
    amount: Share = 1.0
    layers: tuple[int, int] | None = None
    digest: str | None = None


@dataclass(frozen=True)
class DragArguments:
    """Points of the model's images, in pixels.

    Args:
        points: row and column of each handle, and those of its target.
        movable: left, top, right, bottom of the box that may change; None for everywhere.
        steps, rate, reduction, layers: see ``gan_lab.inference.dragging.drag``.
    """

    points: tuple[tuple[float, float, float, float], ...]
    movable: tuple[int, int, int, int] | None = None
    steps: PositiveInt = 200
    rate: PositiveFloat = 2e-3
    reduction: PositiveInt = 4
    layers: PositiveInt | None = None


STEPS: Mapping[str, type] = {
    "invert": Invert, "tune": Tune, "move": MoveArguments, "mix": MixArguments, "truncate": Truncate,
    "drag": DragArguments,
}  # fmt: skip
"""What each step of a recipe states."""


@dataclass(frozen=True)
class EditRecipe:
    """An edit, written down.

    Args:
        steps: name and values of each.
        space: of the codes; None for the model's richest.
        seed: of random numbers.
        fingerprint: of the model; empty for any.
        label: class of the images, for conditional models.
        version: of this package.
    """

    steps: Sequence[tuple[str, Values]]
    space: SpaceName | None = None
    seed: int = 0
    fingerprint: str = ""
    label: int | None = None
    version: str = field(default=__version__)

    def write(self, path: Path) -> None:
        """Writes the recipe as YAML, whole or not at all."""
        plain = {
            "gan_lab": self.version, "fingerprint": self.fingerprint, "space": self.space, "label": self.label,
            "seed": self.seed, "steps": [{name: dict(values)} for name, values in self.steps],
        }  # fmt: skip
        with atomic_write(path) as temporary:
            temporary.write_text(OmegaConf.to_yaml(OmegaConf.create(plain)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "EditRecipe":
        """Reads a recipe.

        Raises:
            UserError: if the file is none.
        """
        try:
            plain: Any = OmegaConf.to_container(OmegaConf.load(path))
            steps = [(str(name), values or {}) for step in plain["steps"] for name, values in step.items()]
            facts = (plain["space"], int(plain["seed"]), str(plain["fingerprint"]), plain.get("label"))
            return cls(steps, *facts, str(plain["gan_lab"]))
        except (OSError, YAMLError, OmegaConfBaseException, KeyError, TypeError, AttributeError, ValueError) as error:
            raise UserError(f"{path} is no recipe of an edit: give a file edit.yaml that edit wrote.") from error

    def built(self, fingerprint: str, spec: ResizeSpec) -> list[Step]:
        """Returns the steps.

        Args:
            fingerprint: of the model that they are for.
            spec: size and channels of its images.

        Raises:
            UserError: for another model, an unknown step or value, and files that are missing or have changed.
        """
        if self.fingerprint not in ("", fingerprint):
            raise UserError("The recipe is one of another model: give the checkpoint that it was written with.")
        steps: list[Step] = []
        for name, values in self.steps:
            stated = _stated(name, values)
            if isinstance(stated, MixArguments):
                inverts = [each for each in steps if isinstance(each, Invert)]
                steps.append(_mix(stated, spec, *inverts[:1]))
            else:
                steps.append(_built(stated, fingerprint))
        return steps


def digest(path: Path) -> str:
    """Returns the first digits of a file's SHA-256."""
    return sha256(path.read_bytes()).hexdigest()[:16]


def _stated(name: str, values: Values) -> Any:
    """Returns the arguments of a step, checked."""
    if name not in STEPS:
        raise UserError(f"There is no step {name}: recipes have {', '.join(STEPS)}.")
    found = convert(name, values, STEPS[name])
    try:
        return STEPS[name](**found)
    except TypeError as error:
        raise UserError(f"The step {name} lacks values ({error}): complete the recipe.") from error


def _built(stated: Any, fingerprint: str) -> Step:
    """Returns a step, given its arguments."""
    if isinstance(stated, MoveArguments):
        return _move(stated, fingerprint)
    if isinstance(stated, DragArguments):
        points = torch.tensor(stated.points).view(-1, 4)
        return Drag(
            points[:, :2], points[:, 2:], stated.movable, stated.steps, stated.rate, stated.reduction, stated.layers
        )
    step: Step = stated
    return step


def _move(stated: MoveArguments, fingerprint: str) -> Move:
    path = _unchanged(stated.directions, stated.digest)
    vector = Directions.load(path, fingerprint).named(str(stated.direction))
    return Move(vector, stated.strength, stated.layers)


def _mix(stated: MixArguments, spec: ResizeSpec, invert: Invert | None = None) -> Mix:
    """Returns a mixture, whose other image is inverted as the edit's own."""
    path = _unchanged(stated.image, stated.digest)
    if not path.is_file():
        raise UserError(f"There is no image {path} to mix with: give the path of one.")
    return Mix(pictures_in(path, "other", spec)[:1], stated.amount, stated.layers, invert or Invert())


def _unchanged(path: Path, wanted: str | None) -> Path:
    """Returns the path of a file that a recipe names.

    Raises:
        UserError: if its contents have changed since.
    """
    path = path.expanduser()
    if wanted is not None and path.is_file() and digest(path) != wanted:
        raise UserError(f"{path} has changed since the recipe was written: put the file back, or write a new recipe.")
    return path
