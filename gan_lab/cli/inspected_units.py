"""The units of a generator, for the command inspect: which draw a class, and what changes when they are switched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gan_lab.cli.artifacts import Artifact, Message, Record, Sheet
from gan_lab.cli.inspect_request import InspectRequest
from gan_lab.cli.session import Session
from gan_lab.common.capabilities import Decodes
from gan_lab.common.class_names import file_name
from gan_lab.common.errors import UserError
from gan_lab.common.images import grid
from gan_lab.evaluation.segmenter import Quality, Segmenter, fitted_segmenter
from gan_lab.inference.captions import name_rows
from gan_lab.inference.label_pairs import label_pairs
from gan_lab.inference.unit_pictures import Switching, best_units, marked_samples, switched_samples
from gan_lab.inference.units import Dissection, Subject, class_shares, dissect, layers_of

CANDIDATES = 128
"""Samples from which those are chosen in which a unit is most active."""


@dataclass(frozen=True)
class Dissected:
    """The dissection of a model, with all that its pictures and tables are made of.

    Args:
        subject: the model and its samples.
        request: the user's.
        segment: finds the classes of pixels.
        names: of the classes.
        layers: a dissection of each layer.
    """

    subject: Subject
    request: InspectRequest
    segment: Segmenter
    names: Sequence[str]
    layers: Sequence[Dissection]

    def table(self) -> dict[str, Any]:
        """Returns the share and the best units of each class."""
        request, count = self.request, max(self.request.shown, self.request.count)
        shares = class_shares(self.subject, self.segment, len(self.names), request.samples, request.batch_size)
        return {
            name: {"share": share, "units": [
                {"layer": int(unit.layer.name), "unit": unit.number, "iou": unit.agreement, "threshold": unit.threshold}
                for unit in best_units(self.layers, number, count)
            ]}
            for number, (name, share) in enumerate(zip(self.names, shares.tolist(), strict=True))
        }  # fmt: skip

    def sheet(self) -> Sheet:
        """Returns the samples in which the best units of each class are most active."""
        request = self.request
        rows = [(name, best_units(self.layers, number, request.shown)) for number, name in enumerate(self.names)]
        units = [unit for _, best in rows for unit in best]
        cells = marked_samples(self.subject, units, request.n, max(CANDIDATES, request.n), request.batch_size)
        names = [f"{name} {unit.name} {unit.agreement:.2f}" for name, best in rows for unit in best]
        return Sheet("units", name_rows(grid(cells.flatten(0, 1), cells.shape[1]), names))

    def switch(self, number: int) -> tuple[Sheet, dict[str, Any]]:
        """Returns samples with the units of a class switched, and what that changes."""
        request, chosen = self.request, Switching.of(self.layers, number, self.request.count, self.request.seed)
        cells, shares = switched_samples(
            self.subject, chosen, self.segment, len(self.names), request.n, request.samples, request.batch_size
        )
        sheet = name_rows(grid(cells.flatten(0, 1), cells.shape[1]), [*shares])
        facts = {"layer": int(chosen.layer.name), "units": chosen.units.tolist()}
        named = {state: dict(zip(self.names, each.tolist(), strict=True)) for state, each in shares.items()}
        return Sheet(f"switched_{file_name(self.names[number], str(number))}", sheet), {**facts, "shares": named}


def units(session: Session, request: InspectRequest) -> Iterator[Artifact]:
    """Yields a sheet of the best units of each class, one of each class that is switched, and the tables.

    Raises:
        UserError: for a model without codes or feature maps, and for label maps or classes that cannot be used.
    """
    if not isinstance(session.model, Decodes):
        raise UserError(f"{session.name} generates no images from codes in one pass: give do=nearest.")
    assert request.images is not None and request.labels is not None
    subject = Subject(session.model, request.seed, session.label(request.label))
    layers = layers_of(subject, request.layers)
    pairs = label_pairs(request.images, request.labels, session.resize_spec("images"))
    names = _class_names(pairs.names, request.names)
    wanted = list(dict.fromkeys(_number(names, each) for each in request.classes or ()))
    segment, quality = fitted_segmenter(pairs.images, pairs.classes, session.device, seed=request.seed)
    found = dissect(subject, layers, segment, len(names), request.samples, request.batch_size)
    dissected = Dissected(subject, request, segment, names, found)
    table, sheet = dissected.table(), dissected.sheet()
    changes = {names[number]: dissected.switch(number) for number in wanted}
    yield Message("\n".join([_quality_line(quality), *_lines(table, changes)]))
    yield sheet
    yield from (picture for picture, _ in changes.values())
    facts = {"do": "units", **session.facts, "samples": request.samples, "segmenter": _figures(quality, names)}
    yield Record("inspect", {**facts, "classes": table, "switched": {name: row for name, (_, row) in changes.items()}})


def _class_names(found: Sequence[str], given: Sequence[str] | None) -> list[str]:
    """Returns the names of classes: the user's, or their ids or colours."""
    if given is not None and len({*given}) != len(found):
        raise UserError(f"names= must name the {len(found)} classes {', '.join(found)}, each in its own way.")
    return [*(given or found)]


def _number(names: Sequence[str], chosen: str | int) -> int:
    """Returns the number of a class, given its name or its number."""
    if str(chosen) in names:
        return names.index(str(chosen))
    if str(chosen).isdecimal() and int(chosen) < len(names):
        return int(chosen)
    raise UserError(f"There is no class {chosen} in the label maps: they have {', '.join(names)}.")


def _figures(quality: Quality, names: Sequence[str]) -> dict[str, Any]:
    """Returns how good the segmenter is, in plain containers."""
    overlaps = {
        name: None if value != value else value for name, value in zip(names, quality.overlaps.tolist(), strict=True)
    }
    return {"held_out_images": quality.images, "accuracy": quality.accuracy,
            "most_frequent_class": quality.most_frequent, "iou": overlaps}  # fmt: skip


def _quality_line(quality: Quality) -> str:
    return (
        f"The segmenter gets {quality.accuracy:.1%} of the pixels of {quality.images} held-out images right "
        f"(always the most frequent class: {quality.most_frequent:.1%})."
    )


def _lines(table: dict[str, Any], changes: dict[str, tuple[Sheet, dict[str, Any]]]) -> Iterator[str]:
    """Yields a line for each class, and one for each that was switched."""
    for name, row in table.items():
        best = row["units"][0]
        unit = f"unit {best['unit']} of the layer with {best['layer']} rows, IoU {best['iou']:.2f}"
        yield f"{name} ({row['share']:.1%} of pixels): {unit}"
    for name, (_, row) in changes.items():
        shown = ", ".join(f"{state} {shares[name]:.1%}" for state, shares in row["shares"].items())
        yield f"{name}, with {len(row['units'])} units switched: {shown}"
