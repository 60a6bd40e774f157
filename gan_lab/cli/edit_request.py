"""The request of the command edit: its keys, and the recipe that they spell out."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from gan_lab.cli.artifacts import Output
from gan_lab.cli.requests import ModelRequest, check_read
from gan_lab.common.bounds import Bounds, Natural, NonNegative, PositiveInt, Share, Signed
from gan_lab.common.errors import UserError

if TYPE_CHECKING:
    from gan_lab.cli.edit_recipes import EditRecipe

Box = tuple[int, int, int, int]
GENERAL = ("checkpoint", "do", "output", "ema", "device", "devices", "trust")
RECIPES = (*GENERAL, "input", "overwrite", "max_pixels", "compression")
"""Keys that every edit reads, and those that a recipe leaves open."""
INVERSION = (
    *RECIPES,
    "label",
    "space",
    "seed",
    "box",
    "paste",
    "steps",
    "starts",
    "perceptual",
    "prior",
    "noise",
    "tune",
    "region",
    "restore",
)
READS = {
    "invert": INVERSION,
    "move": (*INVERSION, "directions", "direction", "strength", "layers", "frames"),
    "mix": (*INVERSION, "other", "amount", "layers", "interpolation", "frames"),
    "truncate": (*INVERSION, "truncation", "frames"),
    "swap": (*INVERSION, "other", "reduction", "frames"),
    "drag": (*INVERSION, "points", "movable"),
    "directions": (
        *GENERAL,
        "label",
        "space",
        "seed",
        "compression",
        "overwrite",
        "method",
        "examples",
        "labels",
        "text",
        "a",
        "b",
        "count",
        "samples",
        "strength",
    ),
}
"""Keys that each edit reads."""
StepValues = tuple[str, dict[str, Any]]
Quoted = Annotated[str, Path]
"""A text with commas."""


@dataclass(frozen=True, kw_only=True)
class EditRequest(ModelRequest):
    output: Path
    do: Literal["invert", "move", "mix", "truncate", "swap", "drag", "directions"] | Path
    input: Path | None
    label: str | int | None
    space: Literal["z", "w", "w+"] | None
    box: Quoted | None
    paste: bool
    steps: Natural
    starts: PositiveInt
    perceptual: NonNegative
    prior: NonNegative
    noise: NonNegative | None
    tune: Natural
    directions: Path | None
    direction: Natural | str
    strength: Signed
    layers: Quoted | None
    other: Path | None
    amount: Share
    interpolation: Literal["linear", "spherical"]
    region: Annotated[str, Path] | None
    reduction: PositiveInt
    restore: Path | None
    frames: Natural
    truncation: Share
    points: Quoted | None
    movable: Quoted | None
    method: Literal["sefa", "pca", "regression", "logistic", "svm", "mean"] | None
    examples: Path | None
    labels: bool
    root: str | None  # or a URL
    text: Quoted | None
    against: Quoted
    clip: Path | None
    a: Path | None
    b: Path | None
    name: str | None
    orthogonal_to: Path | None
    count: PositiveInt
    samples: PositiveInt
    overwrite: bool
    max_pixels: PositiveInt
    compression: Annotated[int, Bounds(0, 9)]

    def destination(self) -> Output:
        return Output.of_edited(self.output, self.compression)


def check_keys(request: EditRequest) -> None:
    """Checks that keys which the edit does not read are left out.

    Raises:
        UserError: if one is given.
    """
    reads = READS.get(str(request.do), GENERAL) if isinstance(request.do, str) else RECIPES
    if request.do == "directions" and (request.a is not None or request.b is not None):
        reads = (*reads, "name", "orthogonal_to")
    if request.do == "directions" and request.examples is not None:
        reads = (*reads, "orthogonal_to")
    if request.do == "directions" and request.labels:
        reads = (*reads, "root", "orthogonal_to")
    if request.do == "directions" and request.text is not None:
        reads = (*reads, "name", "orthogonal_to", "against", "clip")
    check_read(request, "edit", str(request.do), reads)


def recipe_of(request: EditRequest, label: int | None) -> EditRecipe:
    """Returns the recipe that a request names, or spells out.

    Raises:
        UserError: for a recipe that cannot be read, and for values that are missing or have another form.
    """
    from gan_lab.cli.edit_recipes import EditRecipe, Header

    if isinstance(request.do, Path):
        if not request.do.is_file():
            raise UserError(f"There is no do={request.do}: choose {', '.join(READS)}, or give the path of a recipe.")
        return EditRecipe.read(request.do)
    box = None if request.box is None else _box("box", request.box)
    header = Header(
        space=request.space, label=label, seed=request.seed, box=box, paste=request.paste, frames=request.frames
    )
    return EditRecipe(header, [*_inversion(request), *_change(request), *_finishes(request)])


def _inversion(request: EditRequest) -> list[StepValues]:
    """Returns the steps that every edit begins with."""
    inversion: dict[str, Any] = {
        "steps": request.steps, "starts": request.starts, "perceptual": request.perceptual, "prior": request.prior,
        "noise": request.noise,
    }  # fmt: skip
    tuning = {"steps": request.tune, "perceptual": request.perceptual}
    return [("invert", inversion), *([("tune", tuning)] if request.tune else [])]


def _change(request: EditRequest) -> list[StepValues]:
    """Returns the step that changes the code, if there is one."""
    changes = {"move": _move, "mix": _mix, "swap": _swap, "truncate": _truncate, "drag": _drag}
    change = changes.get(str(request.do))
    return [(str(request.do), change(request))] if change else []


def _move(request: EditRequest) -> dict[str, Any]:
    if request.directions is None or not request.directions.is_file():
        raise UserError("Moving needs directions=, a file that do=directions wrote.")
    own = {"directions": str(request.directions), "direction": request.direction, "strength": request.strength}
    return {**own, "layers": _layers(request), "digest": _digest(request.directions)}


def _mix(request: EditRequest) -> dict[str, Any]:
    if request.other is None or not request.other.exists():
        raise UserError("Mixing needs other=, the image to mix with, or a folder of them.")
    own = {"image": str(request.other), "amount": request.amount, "interpolation": request.interpolation}
    return {**own, "layers": _layers(request), "digest": _digest(request.other)}


def _swap(request: EditRequest) -> dict[str, Any]:
    if request.other is None or not request.other.is_file():
        raise UserError("Swapping needs other=, the image that the region is taken from.")
    if request.region is None:
        raise UserError("Swapping needs region=left,top,right,bottom, or a picture that is white in the region.")
    own = {"image": str(request.other), "reduction": request.reduction, "digest": _digest(request.other)}
    return {**own, **_region(request.region)}


def _truncate(request: EditRequest) -> dict[str, Any]:
    return {"psi": request.truncation}


def _drag(request: EditRequest) -> dict[str, Any]:
    if request.points is None:
        raise UserError("Dragging needs points=row,column:row,column: where a point is, and where it shall be.")
    points = [_numbers("points", each.replace(":", ","), ",", 4) for each in request.points.split("+")]
    movable = None if request.movable is None else list(_box("movable", request.movable))
    return {"points": points, "movable": movable}


def _finishes(request: EditRequest) -> list[StepValues]:
    """Returns the steps after the change: what is around the region is kept, and the result is restored."""
    masked = request.region is not None and request.do != "swap"
    mask = [("mask", _region(str(request.region)))] if masked else []
    if request.restore is None:
        return mask
    if not request.restore.is_file():
        raise UserError(f"There is no restore={request.restore}: give the checkpoint of a model that restores.")
    return [("restore", {"checkpoint": str(request.restore), "digest": _digest(request.restore)}), *mask]


def _region(text: str) -> dict[str, Any]:
    """Returns a region that a user stated as a box or as the path of a picture."""
    path = Path(text).expanduser()
    if path.is_file():
        return {"region": str(path), "region_digest": _digest(path)}
    if text.strip("0123456789,- "):
        raise UserError(f"There is no region={text}: give left,top,right,bottom in pixels, or a picture's path.")
    return {"region": list(_box("region", text))}


def _digest(path: Path) -> str:
    from gan_lab.cli.edit_arguments import digest

    return digest(path)


def _layers(request: EditRequest) -> list[float] | None:
    return None if request.layers is None else _numbers("layers", request.layers, "-", 2)


def _box(key: str, text: str) -> Box:
    """Returns left, top, right, bottom that a user joined by commas."""
    left, top, right, bottom = _numbers(key, text, ",", 4)
    if not all(isinstance(each, int) for each in (left, top, right, bottom)):
        raise UserError(f"{key}={text} is not valid: give 4 integers, joined by ','.")
    return int(left), int(top), int(right), int(bottom)


def _numbers(key: str, text: str, between: str, count: int) -> list[float]:
    """Returns numbers that a user joined.

    Raises:
        UserError: for another number of them, and for what is no number.
    """
    try:
        found = [each for each in map(float, text.split(between)) if isfinite(each)]
    except ValueError:
        found = []
    if len(found) != count:
        raise UserError(f"{key}={text} is not valid: give {count} numbers, joined by {between!r}.")
    return [int(each) if each.is_integer() else each for each in found]
