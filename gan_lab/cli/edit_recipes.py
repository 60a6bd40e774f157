"""Recipes of edits: the steps with all their arguments, as a file that replays exactly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from yaml import YAMLError

from gan_lab.cli.edit_arguments import completed, plain, stated
from gan_lab.cli.edit_building import StepBuilder, Target
from gan_lab.cli.values import convert
from gan_lab.common.atomic import atomic_write
from gan_lab.common.bounds import Natural, Seed
from gan_lab.common.errors import UserError
from gan_lab.common.version import __version__
from gan_lab.inference.edit_steps import Invert
from gan_lab.inference.editing import Step
from gan_lab.inference.spaces import SpaceName

Values = Mapping[str, Any]
"""Plain values by name."""


@dataclass(frozen=True)
class Header:
    """The facts of a recipe besides its steps.

    Args:
        gan_lab: version of this package.
        fingerprint: of the model; empty for any.
        space: of the codes; None for the model's richest.
        label: class of the images, for conditional models.
        seed: of random numbers.
        box: left, top, right, bottom of the part that is edited; None for the middle.
        paste: puts the part back into the photograph.
        frames: number of images of the row beside each result; 0 for none.
    """

    gan_lab: str = __version__
    fingerprint: str = ""
    space: SpaceName | None = None
    label: Natural | None = None
    seed: Seed = 0
    box: tuple[int, int, int, int] | None = None
    paste: bool = True
    frames: Natural = 0


@dataclass(frozen=True)
class EditRecipe:
    """An edit, written down.

    Args:
        header: see ``Header``.
        steps: name and values of each; what is left out has its default.
        folder: that relative paths are also looked for in.
    """

    header: Header
    steps: Sequence[tuple[str, Values]]
    folder: Path = Path()

    def write(self, path: Path) -> None:
        """Writes the recipe as YAML with all values, whole or not at all."""
        content = {**plain(self.header), "steps": [{name: plain(each)} for name, each in self.stated()]}
        with atomic_write(path) as temporary:
            temporary.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "EditRecipe":
        """Reads a recipe.

        Raises:
            UserError: if the file is none, or has values that are not valid.
        """
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
            steps = [(str(name), values or {}) for step in content.pop("steps") for name, values in step.items()]
        except (OSError, UnicodeDecodeError, YAMLError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path} is no recipe of an edit: give a file edit.yaml that edit wrote, in which steps are name: {{}}."
            ) from error
        if not steps:
            raise UserError(f"{path} has no steps: begin them with invert.")
        return cls(Header(**convert("recipe", content, Header)), steps, path.parent)

    def stated(self) -> list[tuple[str, Any]]:
        """Returns name and arguments of each step, checked.

        Raises:
            UserError: for an unknown step or value.
        """
        return [(name, stated(name, values)) for name, values in self.steps]

    def built(self, target: Target) -> list[Step]:
        """Returns the steps for a model.

        Raises:
            UserError: for another model, an unknown step or value, and files that are missing or have changed.
        """
        if self.header.fingerprint not in ("", target.fingerprint):
            raise UserError("The recipe is one of another model: give the checkpoint that it was written with.")
        steps: list[Step] = []
        for _, arguments in self.stated():
            inverts = [each for each in steps if isinstance(each, Invert)]
            steps.append(StepBuilder(target, self.folder, *inverts[:1]).build(arguments))
        if not isinstance(steps[0], Invert):
            raise UserError("The first step of an edit inverts the image: begin the steps with invert.")
        return steps

    def completed(self, fingerprint: str) -> "EditRecipe":
        """Returns the recipe for a model, with absolute paths of its files and their digests."""
        steps = [(name, plain(completed(each, self.folder))) for name, each in self.stated()]
        return replace(self, header=replace(self.header, fingerprint=fingerprint), steps=steps)
