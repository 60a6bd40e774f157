"""The ways in which ``translate`` translates each image: to a domain, in one style or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from gan_lab.cli.requests import InferenceRequest, Size
from gan_lab.cli.session import Session
from gan_lab.common.bounds import PositiveInt
from gan_lab.common.capabilities import Translates, TranslatesAmong, TranslatesInStyles
from gan_lab.common.class_names import class_names, label_number, listed
from gan_lab.common.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from gan_lab.inference.references import Reference
    from gan_lab.inference.sheet_page import SheetPage
    from gan_lab.inference.translation import Tiling, Translator


@dataclass(frozen=True, kw_only=True)
class DomainRequest(InferenceRequest):
    """The keys that choose a domain, styles, and the size of results."""

    to: Annotated[str, Path] | int | None
    direction: str | None
    reference: Path | None
    styles: PositiveInt | None
    size: Literal["keep", "trained"] | Size

    def sides(self, trained: int | None) -> tuple[int, int] | int | None:
        """(height, width) of the results, or the length of their shorter side; None keeps each image's own.

        Args:
            trained: shorter side of the images that the model was trained on.

        Raises:
            UserError: if it is asked for and not known.
        """
        if self.size == "trained" and trained is None:
            raise UserError("The checkpoint does not state the size of its images: give size=256 or another number.")
        if self.size in ("keep", "trained"):
            return None if self.size == "keep" else trained
        return (self.size, self.size) if isinstance(self.size, int) else self.size  # type: ignore[return-value]


@dataclass(frozen=True)
class Way:
    """A way to translate images.

    Args:
        name: of the subfolder of its results, and of its column on the sheet; empty if there is one way alone.
        there: the translator.
        back: the translator of the other direction; None if there is none.
        reference: the picture that has the style, uint8 (C, H, W); None without one.
    """

    name: str
    there: Translator
    back: Translator | None = None
    reference: Tensor | None = None

    @property
    def column(self) -> str:
        return self.name or "output"

    def place(self, output: Path, root: Path) -> Path:
        """Returns the file of a result, given that of a single way within the folder of all results."""
        return root / self.name / output.relative_to(root) if self.name else output


def ways(session: Session, request: DomainRequest, tiling: Tiling) -> list[Way]:
    """Returns the ways of a request: one for each reference, or for each seed of ``styles``.

    Raises:
        UserError: for a domain, a direction, references or styles that the model does not have.
    """
    from gan_lab.inference.restyling import StyledTranslator
    from gan_lab.inference.translation import Translator

    model, to = session.model, target(session.model, request)
    size = request.sides(session.trained_side)
    if isinstance(model, TranslatesAmong) or request.reference is not None or request.styles is not None:
        check_styles(model, request)
        channels = (session.contents.get("data") or {}).get("channels", 3)
        if request.reference is not None:
            return [
                Way(each.name, StyledTranslator(model, to, style, size, tiling, channels=channels), None, each.pixels)
                for each, style in styles_of(session, request.reference, to, channels)
            ]
        seeds = range(request.seed, request.seed + (request.styles or 1))
        return [
            Way(f"seed{seed}" * (len(seeds) > 1), StyledTranslator(model, to, None, size, tiling, seed, channels))
            for seed in seeds
        ]
    other = {"a": "b", "b": "a"}
    there = Translator(model, f"{other[str(to)]}2{to}", size, tiling, request.seed)
    back = f"{to}2{other[str(to)]}"
    return [Way("", there, Translator(model, back, None, tiling, request.seed) if back in model.directions else None)]


def target(model: Any, request: DomainRequest) -> int | str:
    """Returns the domain to translate to: a number, or "a" or "b".

    Raises:
        UserError: if it is missing, given twice, or not known.
    """
    to, direction = request.to, request.direction
    if isinstance(model, TranslatesAmong):
        names = class_names(model) or [str(number) for number in range(model.classes)]
        if direction is not None:
            raise UserError(
                f"{type(model).__name__} translates among several domains: give to= one of {listed(names)}."
            )
        if to is None:
            raise UserError(f"There is no domain to translate to: give to= one of {listed(names)}.")
        number = label_number(model, to, model.classes, "to")
        assert number is not None
        return number
    assert isinstance(model, Translates)
    if to is not None and direction is not None:
        raise UserError("to= and direction= say the same: leave out one of them.")
    asked = direction or ({"a": "b2a", "b": "a2b"}.get(str(to), "") if to is not None else "a2b")
    if asked not in model.directions:
        if direction is None and to is not None:
            choices = " or ".join(f"to={each[-1]}" for each in model.directions)
            raise UserError(f"{type(model).__name__} does not translate to {to}: give {choices}.")
        choices = " or ".join(f"direction={each}" for each in model.directions)
        raise UserError(f"{type(model).__name__} does not translate {asked}: give {choices}.")
    return asked[-1]


def check_styles(model: Any, request: DomainRequest) -> None:
    """Checks that a model has the styles that are asked for.

    Raises:
        UserError: if it has none, or styles are asked for in two ways.
    """
    from gan_lab.inference.restyling import num_styles

    asked = [f"{key}=" for key in ("reference", "styles") if getattr(request, key) is not None]
    if len(asked) == 2:
        raise UserError("reference= has the styles, and styles= draws others: leave out one of them.")
    styled = isinstance(model, TranslatesInStyles) or (isinstance(model, TranslatesAmong) and num_styles(model) > 0)
    if asked and not styled:
        raise UserError(f"{type(model).__name__} has no styles: leave out {asked[0]}.")


def styles_of(session: Session, path: Path, to: int | str, channels: int) -> Sequence[tuple[Reference, Tensor]]:
    """Returns references and their styles (1, S).

    Raises:
        UserError: for references that cannot be read, and if their size is not known.
    """
    import torch

    from gan_lab.common.domains import Domain
    from gan_lab.common.precision import full_precision
    from gan_lab.data.checks import parse_size
    from gan_lab.data.reading.resize import ResizeSpec
    from gan_lab.inference.references import read_references

    size = (session.contents.get("data") or {}).get("size")
    if size is None:
        raise UserError(f"{session.path} does not state the size of its images, which references need: leave them out.")
    domain = session.model.domains[to] if isinstance(to, str) else Domain(channels)
    shape = parse_size(size)
    spec = ResizeSpec(shape, shape, domain.stored_channels, label_map=domain.labels > 0, shortcut=False)
    found = []
    for reference in read_references(path, spec):
        with torch.no_grad(), full_precision():
            image = domain.encode(reference.pixels[None].to(session.device))
            found.append((reference, session.model.styles_of(image, to)))
    return found


def page_of(found: Sequence[Way], folder: Path) -> SheetPage:
    """Returns the page of a job: of many results or references in columns, below the references."""
    from gan_lab.inference.sheet_page import SheetPage, TablePage

    columns = [way.column for way in found]
    if len(found) > 1 or found[0].reference is not None:
        return TablePage(folder, ("input", *columns))
    return SheetPage(folder, ("input", *columns, "cycle"))


def title(session: Session, translator: Translator) -> str:
    """Returns the domains of a translation: "a → b", or "→ cat"."""
    if isinstance(translator.to, str):
        return f"{'a' if translator.to == 'b' else 'b'} → {translator.to}"
    names = class_names(session.model)
    return f"→ {names[translator.to] if names else translator.to}"
