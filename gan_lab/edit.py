"""Edits photographs with a generator: ``python -m gan_lab.edit checkpoint=… input=photo.png do=move directions=…``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from gan_lab.cli.artifacts import Artifact, Message, Output, Record, Sheet, Written
from gan_lab.cli.command import command
from gan_lab.cli.requests import ModelRequest
from gan_lab.cli.session import Session
from gan_lab.common.atomic import make_folder
from gan_lab.common.bounds import Bounds, Natural, NonNegative, PositiveInt, Share, Signed
from gan_lab.common.capabilities import Decodes
from gan_lab.common.errors import UserError

if TYPE_CHECKING:
    from gan_lab.cli.edit_recipes import EditRecipe
    from gan_lab.inference.directions import Directions
    from gan_lab.inference.spaces import Space

Box = tuple[int, int, int, int]
Quoted = Annotated[str, Path]
"""A text with commas."""


@dataclass(frozen=True, kw_only=True)
class EditRequest(ModelRequest):
    output: Path
    do: Literal["invert", "move", "mix", "truncate", "drag", "directions"] | Path
    input: Path | None
    label: str | int | None
    space: Literal["z", "w", "w+"] | None
    box: Quoted | None
    paste: bool
    steps: PositiveInt
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
    truncation: Share
    points: Quoted | None
    movable: Quoted | None
    method: Literal["sefa", "pca", "logistic", "svm", "mean"] | None
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


def parts(request: EditRequest) -> int | None:
    """One part for a single image or for directions, else any number."""
    alone = request.do == "directions" or (request.input is not None and Output(request.input).is_image)
    return 1 if alone else None


@command(EditRequest, needs=Decodes, lacks="has no codes to edit", example="model=stylegan2", parts=parts)
def edit(session: Session, request: EditRequest) -> Iterator[Artifact]:
    """Edits every image of a file, folder or zip: finds its code, changes the code, and puts the result in its place.

    Writes the recipe of what it did, edit.yaml, which ``do=edit.yaml`` repeats on other images, and figures of each
    inversion, edits.json. ``do=directions`` finds what codes can be moved along instead. Results that exist already are
    left alone, so an interrupted job can be continued.
    """
    from gan_lab.inference.spaces import space_of

    label = session.label(request.label)
    if request.do == "directions":
        yield from found_directions(session, request, space_of(session.model, request.space or _plain(session), label))
    else:
        yield from edited_files(session, request, recipe_of(request, label))


def recipe_of(request: EditRequest, label: int | None) -> EditRecipe:
    """Returns the recipe that a request names, or spells out.

    Raises:
        UserError: for a recipe that cannot be read, and for values that are missing or have another form.
    """
    from gan_lab.cli.edit_recipes import EditRecipe, digest

    if isinstance(request.do, Path):
        return EditRecipe.read(request.do)
    inversion: dict[str, Any] = {
        "steps": request.steps, "starts": request.starts, "perceptual": request.perceptual, "prior": request.prior,
        "noise": request.noise,
    }  # fmt: skip
    steps: list[tuple[str, dict[str, Any]]] = [("invert", inversion)]
    if request.tune:
        steps.append(("tune", {"steps": request.tune, "perceptual": request.perceptual}))
    layers = None if request.layers is None else _numbers("layers", request.layers, "-", 2)
    if request.do == "move":
        if request.directions is None or not request.directions.is_file():
            raise UserError("Moving needs directions=, a file that do=directions wrote.")
        own = {"directions": str(request.directions), "direction": request.direction, "strength": request.strength}
        steps.append(("move", {**own, "layers": layers, "digest": digest(request.directions)}))
    elif request.do == "mix":
        if request.other is None or not request.other.is_file():
            raise UserError("Mixing needs other=, the image to mix with.")
        own = {"image": str(request.other), "amount": request.amount}
        steps.append(("mix", {**own, "layers": layers, "digest": digest(request.other)}))
    elif request.do == "truncate":
        steps.append(("truncate", {"psi": request.truncation}))
    elif request.do == "drag":
        if request.points is None:
            raise UserError("Dragging needs points=row,column>row,column: where a point is, and where it shall be.")
        points = [_numbers("points", each.replace(">", ","), ",", 4) for each in request.points.split("+")]
        movable = None if request.movable is None else list(_box("movable", request.movable))
        steps.append(("drag", {"points": points, "movable": movable}))
    return EditRecipe(steps, request.space, request.seed, label=label)


def edited_files(session: Session, request: EditRequest, recipe: EditRecipe) -> Iterator[Artifact]:
    """Edits files, and yields messages, figures and the recipe."""
    from dataclasses import replace

    from gan_lab.common.distributed import rank_and_world_size
    from gan_lab.common.domains import Domain
    from gan_lab.evaluation.features.perceptual import GeneralDistance, perceptual_distance, perceptual_name, ssim
    from gan_lab.evaluation.metrics.reconstruction import psnr
    from gan_lab.inference.edit_photos import PhotoEdits
    from gan_lab.inference.editing import Editor
    from gan_lab.inference.file_jobs import folder_of, plan
    from gan_lab.inference.spaces import space_of
    from gan_lab.inference.tuning import fingerprint

    if request.input is None:
        raise UserError("There is nothing to edit: give input=, an image, a folder or a zip.")
    spec = session.resize_spec("images")
    size, domain = spec.target_size, Domain(spec.channels)
    space = space_of(session.model, recipe.space, recipe.label)
    own = fingerprint(space)
    editor = Editor(space, recipe.built(own, spec), GeneralDistance().to(session.device), recipe.seed)
    witness = perceptual_distance(["vgg16"], min(size)).to(session.device)  # of what was not optimised
    box = None if request.box is None else _box("box", request.box)
    files, others = plan(request.input, request.output, domain)
    job = PhotoEdits(
        request.overwrite, request.compression, editor, domain, size, box, request.paste, request.max_pixels, own,
        {"psnr": psnr, "ssim": ssim, perceptual_name(witness): witness},
    )  # fmt: skip
    make_folder(folder_of(request.output))
    job.run(files)
    if rank_and_world_size()[0]:
        return
    job.report.raise_if_none(len(files), request.input, "edited")
    yield Message("\n".join(job.report.lines(request.output, others, "edited", "edits")))
    written = folder_of(request.output) / "edit.yaml"
    replace(recipe, fingerprint=own).write(written)
    yield Written(written)
    if job.figures:
        yield Record("edits", {"inversions": job.figures})


def found_directions(session: Session, request: EditRequest, space: Space) -> Iterator[Artifact]:
    """Finds directions, and yields their file and a sheet of what they change."""
    from gan_lab.inference.directions import strips
    from gan_lab.inference.spaces import spread_of

    between = request.a is not None or request.b is not None
    found = direction_between(session, request, space) if between else plain_directions(request, space)
    make_folder(request.output)
    found.save(request.output / "directions.safetensors")
    if between:
        yield Message(f"The boundary is right for {float(found.values[0]):.0%} of the codes that were kept apart.")
    yield Written(request.output / "directions.safetensors")
    yield Sheet("directions", strips(space, found, spread_of(space), request.strength, request.samples, request.seed))


def plain_directions(request: EditRequest, space: Space) -> Directions:
    """Returns directions that need no examples.

    Raises:
        UserError: for a method that needs them, and if no layer reads codes as they are.
    """
    from gan_lab.inference.directions import Directions, factorised, principal_components
    from gan_lab.inference.first_maps import first_maps
    from gan_lab.inference.tuning import fingerprint

    method = request.method or "sefa"
    if method not in ("sefa", "pca"):
        raise UserError(f"method={method} parts two sets of images: give their folders, a= and b=.")
    if method == "sefa":
        try:
            vectors, values = factorised(first_maps(space), request.count)
        except UserError:
            if request.method is not None:
                raise
            method = "pca"
    if method == "pca":
        vectors, values = principal_components(space, request.count, seed=request.seed)
    names = [f"{method}{number}" for number in range(len(vectors))]
    return Directions(vectors, names, values, method, space.name, fingerprint(space))


def direction_between(session: Session, request: EditRequest, space: Space) -> Directions:
    """Returns the direction from images like those of the folder ``a`` to images like those of ``b``.

    Raises:
        UserError: if a folder is missing, or the method needs no examples.
    """
    import torch

    from gan_lab.evaluation.features.general import General
    from gan_lab.evaluation.two_classes import score_of
    from gan_lab.inference.directions import Directions, boundary, conditional, judged
    from gan_lab.inference.edit_photos import pictures_in
    from gan_lab.inference.tuning import fingerprint

    if request.a is None or request.b is None:
        raise UserError("A direction from images to others needs two folders: give both a= and b=.")
    if request.method in ("sefa", "pca"):
        raise UserError(f"method={request.method} needs no examples: leave out a= and b=, or give method=logistic.")
    spec, method = session.resize_spec("images"), request.method or "logistic"
    a, b = (pictures_in(folder, key, spec) for folder, key in ((request.a, "a"), (request.b, "b")))
    score = score_of(General().to(session.device), a.to(session.device), b.to(session.device))
    vector, accuracy = boundary(*judged(space, score, seed=request.seed), method)  # type: ignore[arg-type]
    own = fingerprint(space)
    if request.orthogonal_to is not None:
        vector = conditional(vector, [*Directions.load(request.orthogonal_to, own).vectors])
    return Directions(vector[None], [request.name or request.b.name], torch.tensor([accuracy]), method, space.name, own)


def _plain(session: Session) -> Literal["z", "w"]:
    """The space that directions are found in: styles for all layers, if the model has styles."""
    from gan_lab.common.capabilities import Styles

    return "w" if isinstance(session.model, Styles) else "z"


def _box(key: str, text: str) -> Box:
    """Returns left, top, right, bottom that a user joined by commas."""
    left, top, right, bottom = map(int, _numbers(key, text, ",", 4))
    return left, top, right, bottom


def _numbers(key: str, text: str, between: str, count: int) -> list[float]:
    """Returns numbers that a user joined.

    Raises:
        UserError: for another number of them, and for what is no number.
    """
    try:
        found = [float(each) for each in text.split(between)]
    except ValueError:
        found = []
    if len(found) != count:
        raise UserError(f"{key}={text} is not valid: give {count} numbers, joined by {between!r}.")
    return [int(each) if each.is_integer() else each for each in found]


if __name__ == "__main__":
    edit()
