"""Edits photographs with a generator: ``python -m gan_lab.edit checkpoint=… input=photo.png do=move directions=…``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gan_lab.cli.artifacts import Artifact, Message, Output, Record, Sheet, Written
from gan_lab.cli.command import command
from gan_lab.cli.edit_request import EditRequest, check_keys, recipe_of
from gan_lab.cli.session import Session
from gan_lab.common.atomic import make_folder
from gan_lab.common.capabilities import Decodes
from gan_lab.common.errors import UserError

if TYPE_CHECKING:
    import torch

    from gan_lab.cli.edit_recipes import EditRecipe
    from gan_lab.evaluation.features.perceptual import PairMetric
    from gan_lab.inference.directions import Directions
    from gan_lab.inference.spaces import Space


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

    check_keys(request)
    label = session.label(request.label)
    if label is None and session.num_classes and not isinstance(request.do, Path):
        raise UserError(f"{session.name} is conditional: give label=, the class of the images.")
    if request.do == "directions":
        yield from found_directions(session, request, space_of(session.model, request.space or _plain(session), label))
    else:
        yield from edited_files(session, request, recipe_of(request, label))


def edited_files(session: Session, request: EditRequest, recipe: EditRecipe) -> Iterator[Artifact]:
    """Edits files, and yields messages, figures and the recipe."""
    from gan_lab.common.distributed import rank_and_world_size
    from gan_lab.common.domains import Domain
    from gan_lab.evaluation.features.perceptual import GeneralDistance
    from gan_lab.inference.edit_photos import PhotoEdits
    from gan_lab.inference.editing import Editor
    from gan_lab.inference.file_jobs import folder_of, plan
    from gan_lab.inference.spaces import space_of
    from gan_lab.inference.tuning import fingerprint

    if request.input is None:
        raise UserError("There is nothing to edit: give input=, an image, a folder or a zip.")
    spec = session.resize_spec("images")
    size, domain = spec.target_size, Domain(spec.channels)
    header = recipe.header
    space = space_of(session.model, header.space, header.label)
    own = fingerprint(space)
    editor = Editor(space, recipe.built(own, space.name, spec), GeneralDistance().to(session.device), header.seed)
    recipe = replace(recipe, header=replace(header, fingerprint=own))
    files, others = plan(request.input, request.output, domain)
    job = PhotoEdits(
        request.overwrite, request.compression, editor, domain, size, header.box, header.paste, request.max_pixels, own,
        measures(size, session.device),
    )  # fmt: skip
    folder = folder_of(request.output)
    make_folder(folder)
    earlier = figures_before(folder, recipe, request.overwrite or not any(each.output.exists() for each in files))
    first = rank_and_world_size()[0] == 0
    if first:
        recipe.write(folder / "edit.yaml")  # first, so that an interrupted folder goes on with nothing else
    job.run(files)
    if not first:
        return
    job.report.raise_if_none(len(files), request.input, "edited")
    yield Message("\n".join(job.report.lines(request.output, others, "edited", "edits")))
    yield Written(folder / "edit.yaml")
    rows = {name: job.figures.get(name, earlier.get(name)) for name in (each.name for each in files)}
    if any(rows.values()):
        yield Record("edits", {"inversions": {name: row for name, row in rows.items() if row}})


def measures(size: tuple[int, int], device: torch.device) -> dict[str, PairMetric]:
    """Returns distances of images of a size, none of which edits minimise."""
    from gan_lab.evaluation.features.perceptual import MIN_SIDE, perceptual_distance, perceptual_name, ssim
    from gan_lab.evaluation.metrics.reconstruction import psnr

    witness = perceptual_distance(["vgg16"], min(size)).to(device)
    found: dict[str, PairMetric] = {"psnr": psnr, perceptual_name(witness): witness}
    return found | ({"ssim": ssim} if min(size) >= MIN_SIDE["ssim"] else {})


def figures_before(folder: Path, recipe: EditRecipe, anew: bool) -> dict[str, Any]:
    """Returns the figures of results that are there already, and stay.

    Raises:
        UserError: if they come from another edit.
    """
    import json

    if anew or not (folder / "edit.yaml").is_file():
        return {}
    found = type(recipe).read(folder / "edit.yaml")
    if found.stated() != recipe.stated() or replace(found.header, gan_lab="") != replace(recipe.header, gan_lab=""):
        raise UserError(f"output={folder} has results of another edit: give another folder, or overwrite=true.")
    try:
        rows: dict[str, Any] = json.loads((folder / "edits.json").read_text(encoding="utf-8"))["inversions"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return rows


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
    from gan_lab.inference.direction_search import factorised, principal_components
    from gan_lab.inference.directions import Directions
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
    from gan_lab.inference.direction_search import boundary, conditional, judged
    from gan_lab.inference.directions import Directions
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
        vector = conditional(vector, [*Directions.load(request.orthogonal_to, own, space.name).vectors])
    return Directions(vector[None], [request.name or request.b.name], torch.tensor([accuracy]), method, space.name, own)


def _plain(session: Session) -> Literal["z", "w"]:
    """The space that directions are found in: styles for all layers, if the model has styles."""
    from gan_lab.common.capabilities import Styles

    return "w" if isinstance(session.model, Styles) else "z"


if __name__ == "__main__":
    edit()
