"""Edits photographs with a generator: ``python -m gan_lab.edit checkpoint=… input=photo.png do=move directions=…``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_lab.cli.artifacts import Artifact, Message, Output, Record, Written
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
    from gan_lab.inference.editing import Editor


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
    from gan_lab.cli.edit_directions import found_directions

    check_keys(request)
    label = session.label(request.label)
    recipe = None if request.do == "directions" else recipe_of(request, label)
    if session.num_classes and (label if recipe is None else recipe.header.label) is None:
        where = "label=" if not isinstance(request.do, Path) else "the recipe a label"
        raise UserError(f"{session.name} is conditional: give {where}, the class of the images.")
    if recipe is None:
        yield from found_directions(session, request, label)
    else:
        yield from edited_files(session, request, recipe)


def edited_files(session: Session, request: EditRequest, recipe: EditRecipe) -> Iterator[Artifact]:
    """Edits files, and yields messages, figures and the recipe."""
    from gan_lab.common.distributed import rank_and_world_size
    from gan_lab.common.domains import Domain
    from gan_lab.inference.edit_photos import PhotoEdits, forget_figures
    from gan_lab.inference.file_jobs import folder_of, plan

    if request.input is None:
        raise UserError("There is nothing to edit: give input=, an image, a folder or a zip.")
    spec = session.resize_spec("images")
    size, domain = spec.target_size, Domain(spec.channels)
    header = recipe.header
    editor, own = editor_of(session, recipe)
    recipe = recipe.completed(own)
    files, others = plan(request.input, request.output, domain)
    folder = folder_of(request.output)
    job = PhotoEdits(
        request.overwrite, request.compression, editor, domain, size, header.box, header.paste, header.frames,
        request.max_pixels, own, folder, measures(size, session.device),
    )  # fmt: skip
    make_folder(folder)
    alone = f"{request.output.stem}." if Output(request.output).is_image else ""  # its own recipe beside it
    written = folder / f"{alone}edit.yaml"
    anew = request.overwrite or not any(each.output.exists() for each in files)
    earlier = figures_before(written, recipe, anew)
    first = rank_and_world_size()[0] == 0
    if first:
        if not earlier:
            forget_figures(folder)  # of another edit
        recipe.write(written)  # first, so that an interrupted folder goes on with nothing else
    job.run(files)
    if not first:
        return
    job.report.raise_if_none(len(files), request.input, job.done)
    yield Message("\n".join(job.report.lines(request.output, others, job.done, job.does)))
    yield Written(written)
    rows = {name: job.figures.get(name, earlier.get(name)) for name in (each.name for each in files)}
    if any(rows.values()):
        yield Record(f"{alone}edits", {"inversions": {name: row for name, row in rows.items() if row}})
    forget_figures(folder)


def editor_of(session: Session, recipe: EditRecipe) -> tuple[Editor, str]:
    """Returns what takes images through the recipe's steps, and the fingerprint of the model.

    Raises:
        UserError: for a recipe of another model, and for steps that cannot be done.
    """
    from gan_lab.cli.edit_building import Target
    from gan_lab.evaluation.features.perceptual import GeneralDistance
    from gan_lab.inference.editing import Editor
    from gan_lab.inference.spaces import space_of
    from gan_lab.inference.tuning import fingerprint

    space = space_of(session.model, recipe.header.space, recipe.header.label)
    own = fingerprint(space)
    target = Target(own, space.name, session.resize_spec("images"), session.device, session.trust)
    return Editor(space, recipe.built(target), GeneralDistance().to(session.device), recipe.header.seed), own


def measures(size: tuple[int, int], device: torch.device) -> dict[str, PairMetric]:
    """Returns distances of images of a size, none of which edits minimise."""
    from gan_lab.evaluation.features.perceptual import MIN_SIDE, perceptual_distance, perceptual_name, ssim
    from gan_lab.evaluation.metrics.reconstruction import psnr

    witness = perceptual_distance(["vgg16"], min(size)).to(device)
    found: dict[str, PairMetric] = {"psnr": psnr, perceptual_name(witness): witness}
    return found | ({"ssim": ssim} if min(size) >= MIN_SIDE["ssim"] else {})


def figures_before(written: Path, recipe: EditRecipe, anew: bool) -> dict[str, Any]:
    """Returns the figures of results that are there already, and stay, beside the recipe that they come from.

    Raises:
        UserError: if they come from another edit.
    """
    import json

    from gan_lab.inference.edit_photos import kept_figures

    if anew or not written.is_file():
        return {}
    found = type(recipe).read(written)
    if found.stated() != recipe.stated() or replace(found.header, gan_lab="") != replace(recipe.header, gan_lab=""):
        raise UserError(f"output={written.parent} has results of another edit: give another folder, or overwrite=true.")
    figures = written.with_name(written.name.replace("edit.yaml", "edits.json"))
    try:
        rows: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8"))["inversions"]
    except (OSError, ValueError, KeyError, TypeError):
        rows = {}
    return {**rows, **kept_figures(written.parent)}


if __name__ == "__main__":
    edit()
