"""``do=directions`` of the command edit: finds what codes can be moved along, and shows what it changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch

from gan_lab.cli.artifacts import Artifact, Message, Record, Sheet, Written
from gan_lab.cli.edit_request import EditRequest
from gan_lab.cli.session import Session
from gan_lab.common.atomic import make_folder
from gan_lab.common.capabilities import LabelledImages, Styles
from gan_lab.common.errors import UserError
from gan_lab.common.images import grid, to_float
from gan_lab.common.seeds import seed_of
from gan_lab.data.reading.examples import Examples, one_against_others, pictures_in, read_examples, two_sets
from gan_lab.data.subsets import capped_count, evenly_spaced, evenly_spaced_numbers
from gan_lab.evaluation.attribute_scores import scores_of
from gan_lab.evaluation.features.general import General
from gan_lab.evaluation.reports.directions_page import write_directions_page
from gan_lab.evaluation.text_scores import text_scores
from gan_lab.inference.attributes import Attributes, leaks
from gan_lab.inference.captions import name_rows
from gan_lab.inference.direction_search import factorised, learnt, principal_components
from gan_lab.inference.directions import Directions, strips
from gan_lab.inference.first_maps import first_maps
from gan_lab.inference.spaces import Space, space_of, spread_of
from gan_lab.inference.tuning import fingerprint

MOST = 2000
"""Training images, evenly spaced, that labels are taken from."""
WITHOUT_EXAMPLES = ("sefa", "pca")
EVIDENCE = {"regression": "codes, which explain these shares of each attribute's variance"}
BOUNDARIES = "boundaries, which are right for these shares of the codes that were kept apart"


def found_directions(session: Session, request: EditRequest, label: int | None) -> Iterator[Artifact]:
    """Finds directions, and yields their file, a sheet and a page of what they change, and what they leak."""
    file = request.output / "directions.safetensors"
    if file.exists() and not request.overwrite:
        raise UserError(f"{file} exists already, and edits may need it: give another output=, or overwrite=true.")
    plain: Literal["z", "w"] = "w" if isinstance(session.model, Styles) else "z"  # directions serve w+ too
    space = space_of(session.model, request.space or plain, label)
    spread = spread_of(space)
    scores = scores_asked_for(session, request)
    leaking: Mapping[str, Mapping[str, float]] = {}
    if scores is None:
        found = plain_directions(request, space)
    else:
        found = learnt_directions(request, space, scores, request.strength * spread.deviation)
        named = dict(zip(found.names, found.vectors, strict=True))
        others = seed_of(request.seed, "leaks") % 2**31  # not the samples that directions were found from
        leaking = leaks(space, named, scores, request.strength * spread.deviation, seed=others)
    make_folder(request.output)
    (request.output / "leaks.json").unlink(missing_ok=True)  # of earlier directions
    found.save(file)
    yield Written(file)
    yield Record("directions", facts(session, request, found))
    yield from _shown(
        session, request, found, strips(space, found, spread, request.strength, request.samples, request.seed), leaking
    )


def _shown(
    session: Session,
    request: EditRequest,
    found: Directions,
    images: torch.Tensor,
    leaking: Mapping[str, Mapping[str, float]],
) -> Iterator[Artifact]:
    """Yields the sheet and the page of directions' images (K, n, T, C, H, W), and the table of leaks."""
    if leaking:
        good = ", ".join(
            f"{name} {each:.0%}" for name, each in zip(found.names, found.values, strict=True) if each == each
        )
        yield Message(f"Found from {EVIDENCE.get(found.method, BOUNDARIES)}: {good}.")
        yield Record("leaks", leaking)
    names = [name for name in found.names for _ in range(images.shape[1])]
    yield Sheet("directions", name_rows(grid(images.flatten(0, 2), images.shape[2]), names))
    title = f"Directions of {session.title}"
    yield Written(
        write_directions_page(request.output / "directions.html", title, found, images, request.strength, leaking)
    )


def facts(session: Session, request: EditRequest, found: Directions) -> dict[str, Any]:
    """Returns how directions were found, in plain containers."""
    asked = {key: getattr(request, key) for key in ("a", "b", "examples", "text", "clip", "orthogonal_to", "root")}
    given = {key: str(value) for key, value in asked.items() if value is not None}
    if request.labels:
        given["labels"] = "true"
    if request.text is not None:
        given["against"] = request.against
    values = {name: float(value) for name, value in zip(found.names, found.values, strict=True)}
    about = {"method": found.method, "space": found.space, "fingerprint": found.fingerprint, "seed": request.seed}
    return {**session.facts, **about, "strength": request.strength, **given, "values": values}


def plain_directions(request: EditRequest, space: Space) -> Directions:
    """Returns directions that need no examples.

    Raises:
        UserError: for a method that needs them, and if no layer reads codes as they are.
    """
    method = request.method or "sefa"
    if method not in WITHOUT_EXAMPLES:
        raise UserError(
            f"method={method} needs examples: give examples=, labels=true, two folders, a= and b=, or a text=."
        )
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


def scores_asked_for(session: Session, request: EditRequest) -> Attributes | None:
    """Returns scores of what directions shall change: by a text, or by examples; None if neither is given.

    Raises:
        UserError: if several are given, or a part of one is missing.
    """
    between = request.a is not None or request.b is not None
    ways = sum([request.text is not None, request.examples is not None, request.labels, between])
    if not ways:
        return None
    if ways > 1:
        raise UserError(
            "Directions come from one thing at a time: text=, examples=, labels=true, or folders a= and b=."
        )
    if request.method in WITHOUT_EXAMPLES:
        raise UserError(f"method={request.method} needs no examples: leave them out, or give method=regression.")
    if request.text is None:
        return scores_of(General().to(session.device), examples_of(session, request))
    if request.clip is None:
        raise UserError("A direction of a text needs clip=, the folder of a CLIP model of transformers.")
    texts = {request.name or request.text: (request.against, request.text)}
    return text_scores(request.clip, texts, session.device)


def examples_of(session: Session, request: EditRequest) -> Examples:
    """Returns the examples of attributes.

    Raises:
        UserError: if one of two folders is missing.
    """
    if request.labels:
        return labelled_examples(session, request)
    spec = session.resize_spec("images")
    if request.examples is not None:
        return read_examples(request.examples, spec)
    if request.a is None or request.b is None:
        raise UserError("A direction from images to others needs two folders: give both a= and b=.")
    a, b = (pictures_in(folder, key, spec) for folder, key in ((request.a, "a"), (request.b, "b")))
    return two_sets(a, b, request.name or request.b.name)


def labelled_examples(session: Session, request: EditRequest) -> Examples:
    """Returns training images of the model, with each class against all others as an attribute.

    Raises:
        UserError: if they have no labels.
    """
    data = session.data(request.root)
    if not isinstance(data, LabelledImages) or data.classes < 2:
        raise UserError(f"The data of {session.path} have no labels: give examples=, or two folders, a= and b=.")
    count = capped_count(data, "train", MOST)
    images = torch.cat([part for _, part in evenly_spaced(data, "train", count)])
    labels = data.labels("train")[evenly_spaced_numbers(data.count("train"), count)].tolist()
    names = list(getattr(data, "class_names", ())) or [str(label) for label in range(data.classes)]
    return Examples(to_float(images), one_against_others([names[label] for label in labels]))


def learnt_directions(request: EditRequest, space: Space, scores: Attributes, length: float) -> Directions:
    """Returns directions along which scores of images change.

    Raises:
        UserError: if nothing is left of a direction beside those that it must not change.
    """
    own, method = fingerprint(space), request.method or "regression"
    kept = [] if request.orthogonal_to is None else [*Directions.load(request.orthogonal_to, own, space.name).vectors]
    found = learnt(space, scores, length, method, kept, seed=request.seed)  # type: ignore[arg-type]
    accuracies = torch.tensor([found.accuracies.get(name, float("nan")) for name in found.vectors])
    return Directions(torch.stack([*found.vectors.values()]), [*found.vectors], accuracies, method, space.name, own)
