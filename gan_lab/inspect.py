"""Looks inside a model: ``python -m gan_lab.inspect checkpoint=… do=saliency output=inspected``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from gan_lab.cli.artifacts import Artifact, Record, Sheet
from gan_lab.cli.command import command
from gan_lab.cli.inspect_request import InspectRequest, check, shown_images
from gan_lab.cli.session import Session
from gan_lab.common.capabilities import HasDiscriminator, RealImages, Samples
from gan_lab.common.errors import UserError


@command(InspectRequest, needs=Samples, lacks="cannot sample", example="model=fastgan")
def inspect(session: Session, request: InspectRequest) -> Iterator[Artifact]:
    """Looks inside a model.

    ``do=units`` finds the feature maps of the generator that draw a class of pixels, and switches them off and on.
    ``do=saliency`` shows which pixels the discriminator's logits depend on. ``do=nearest`` shows the training images
    that are nearest to samples. Each writes sheets and inspect.json.
    """
    from gan_lab.cli.inspected_units import units

    check(request)
    yield from {"units": units, "saliency": saliency, "nearest": nearest}[request.do](session, request)


def saliency(session: Session, request: InspectRequest) -> Iterator[Artifact]:
    """Yields a sheet of images, and of what their logits depend on, and the logits.

    Raises:
        UserError: for a model without a discriminator of images.
    """
    import torch

    from gan_lab.common.images import grid
    from gan_lab.inference.captions import name_rows
    from gan_lab.inference.saliency import blurred, heat_maps, of_images, smooth_gradients, strengths

    model = session.model
    if not isinstance(model, HasDiscriminator):
        raise UserError(f"{session.name} has no discriminator of images: do=units or do=nearest look inside it.")
    given, rows, logits = shown_images(session, request), [], []
    for start, images, label in given.batches(request.batch_size, session.device):
        judge = partial(model.discriminator_logits, label=label)
        found = smooth_gradients(judge, images, request.repeats, request.noise, request.seed, start, session.model)
        shown = [images.expand(-1, 3, -1, -1)]
        shown += [heat_maps(images, heat) for heat in (strengths(found), blurred(strengths(found)))]
        rows.append(torch.stack(shown, 1).cpu())
        with torch.no_grad():
            logits += of_images(judge(images)).tolist()
    sheet = grid(torch.cat(rows).flatten(0, 1), rows[0].shape[1])
    yield Sheet("saliency", name_rows(sheet, [f"{logit:+.2f}" for logit in logits]))
    yield Record("inspect", {"do": "saliency", **session.facts, "logits": logits})


def nearest(session: Session, request: InspectRequest) -> Iterator[Artifact]:
    """Yields sheets of images with their neighbours among the training images, and the distances.

    Raises:
        UserError: for a model of other data than images.
    """
    import torch

    from gan_lab.common.images import grid, to_float, to_uint8
    from gan_lab.evaluation.feature_classifier import features_of
    from gan_lab.evaluation.features.general import General
    from gan_lab.evaluation.nearest_images import Describe, images_at, neighbours_in, pixel_vectors

    data, split = session.data(request.root, request.data), request.split
    if not isinstance(data, RealImages):
        raise UserError(f"The data of {session.path} are not images of one kind: give a model of images.")
    images = to_uint8(shown_images(session, request).images)
    views: dict[str, Describe] = {
        "features": partial(features_of, General().to(session.device)),
        "pixels": pixel_vectors,
    }
    figures, sheets = {}, []
    for name, describe in views.items():
        batches = session.track(data.images(split), f"Comparing {name}")
        found = neighbours_in(data, split, images, describe, request.k, batches)
        cells = torch.cat([images[:, None], images_at(found.index, data.images(split))], 1)
        sheets.append(Sheet(f"nearest_{name}", grid(to_float(cells.flatten(0, 1)), cells.shape[1])))
        figures[name] = found.figures()
    yield from sheets
    yield Record("inspect", {"do": "nearest", **session.facts, "split": split, "count": data.count(split), **figures})


if __name__ == "__main__":
    inspect()
