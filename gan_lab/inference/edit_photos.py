"""Editing photographs, file by file, with a generator."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import ClassVar
from zipfile import ZipFile

import torch
from torch import Tensor

from gan_lab.common.atomic import fitting_name
from gan_lab.common.distributed import all_gather
from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.common.images import grid, save_png, to_float, to_uint8
from gan_lab.common.runs import write_json
from gan_lab.data.reading.images import LoadedImage, read_image
from gan_lab.data.reading.listing import Entry
from gan_lab.inference.edit_files import Edited, FilesJob, read_entry
from gan_lab.inference.editing import Edit, Editor, drawn, masked
from gan_lab.inference.file_jobs import Job
from gan_lab.inference.inversion import editability
from gan_lab.inference.placing import part_of
from gan_lab.inference.tuning import save_delta

UNFINISHED = ".edits.{}.json"
"""Name of the file in which a process keeps figures until all images are done."""
UNEXPLAINED = 0.5
"""Share of the difference between an image and the model's mean one from which on the model cannot draw the image."""


@dataclass
class PhotoEdits(FilesJob):
    """Edits one photograph after the other, and reports the outcome of each.

    Args:
        overwrite, compression: see ``FilesJob``.
        editor: what edits them.
        domain: how images are read and stored.
        size: height and width of the model's images.
        box: left, top, right, bottom of the part that is edited; None for the middle.
        paste: puts the part back into the photograph; else results have the model's size.
        frames: number of images of the row that is written beside each result, from nothing to the whole edit; 0 for
            none.
        max_pixels: larger images are left out.
        fingerprint: of the model; where its weights are tuned, their change is written beside each result.
        folder: of the results, where figures are kept until all are done.
        measures: distances of the inverted image (1, C, H, W) from the given one, by name.
    """

    editor: Editor
    domain: Domain
    size: tuple[int, int]
    box: tuple[int, int, int, int] | None
    paste: bool
    frames: int
    max_pixels: int
    fingerprint: str
    folder: Path
    measures: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = field(default_factory=dict)
    figures: dict[str, dict[str, float]] = field(default_factory=dict, init=False)

    doing: ClassVar[str] = "Editing"
    result: ClassVar[str] = "edit"
    done: ClassVar[str] = "edited"
    does: ClassVar[str] = "edits"

    def read(self, entry: Entry, zips: dict[Path, ZipFile]) -> LoadedImage:
        return read_entry(entry, zips, partial(read_image, domain=self.domain, max_pixels=self.max_pixels))

    def edit(self, job: Job, photo: LoadedImage, number: int) -> Edited:
        """Edits the part of a photograph that the model sees.

        Raises:
            ValueError: if the photograph has no such part.
        """
        try:
            part = part_of(photo.pixels.shape[1], photo.pixels.shape[2], self.size, self.box)
        except UserError as error:
            raise ValueError(str(error)) from error  # this image is left out
        device = self.editor.tools.spread.mean.device
        seen = to_float(part.seen(photo.pixels, self.size)[None]).to(device)
        edit, results = self.editor(seen, max(1, self.frames))
        if self.frames:
            save_png(_beside(job, "frames.png"), grid(masked(edit, results), len(results)), self.compression)
        weights = _beside(job, "weights.safetensors")
        if edit.delta:
            save_delta(weights, edit.delta, self.fingerprint)
        else:
            weights.unlink(missing_ok=True)  # of an earlier edit
        notes = [*self._measured(job, edit), *edit.notes]
        if not self.paste:
            return Edited(to_uint8(masked(edit, results[-1:]))[0].cpu(), None, photo.exif, notes)
        pixels = part.put_back(photo.pixels, to_uint8(results[-1:])[0].cpu(), edit.region)
        return Edited(pixels, photo.alpha, photo.exif, notes)

    @torch.no_grad()
    def _measured(self, job: Job, edit: Edit) -> list[str]:
        """Keeps the figures of an inversion, and returns notes on it."""
        found, tools = edit.inverted, self.editor.tools
        if found is None:
            return []
        drew = drawn(replace(edit, swaps=()), tools.space, found.codes)
        figures = {name: float(measure(drew, edit.given)) for name, measure in self.measures.items()}
        far = {"from_prior": float(found.from_prior), "usual": found.usual}
        easy = {"editability": float(editability(tools.space, found.codes, tools.spread, seed=tools.seed))}
        self.figures[job.name] = {**figures, **far, **easy}
        write_json(self.folder / UNFINISHED.format(os.getpid()), self.figures)
        mean = tools.space.images(tools.space.repeated(tools.spread.mean, 1)).clamp(-1, 1)
        left = (found.images - edit.given).square().mean() / (mean - edit.given).square().mean().clamp(min=1e-12)
        if left > UNEXPLAINED:
            return ["this model does not know such images"]
        return (
            ["the code lies beyond those of samples, so edits may look odd"] if found.from_prior > found.usual else []
        )

    def run(self, jobs: Sequence[Job]) -> None:
        """Edits; every rank has the whole report and all figures afterwards (a collective)."""
        super().run(jobs)
        every = {name: row for part in all_gather(self.figures) for name, row in part.items()}
        self.figures = {job.name: every[job.name] for job in jobs if job.name in every}


def kept_figures(folder: Path) -> dict[str, dict[str, float]]:
    """Returns the figures that an interrupted run kept in a folder, by image."""
    rows: dict[str, dict[str, float]] = {}
    for path in sorted(folder.glob(UNFINISHED.format("*"))):
        with suppress(OSError, ValueError):
            rows |= json.loads(path.read_text(encoding="utf-8"))
    return rows


def forget_figures(folder: Path) -> None:
    """Removes what ``kept_figures`` reads."""
    for path in folder.glob(UNFINISHED.format("*")):
        path.unlink(missing_ok=True)


def _beside(job: Job, ending: str) -> Path:
    """Returns the path of a file beside a result."""
    return job.output.with_name(fitting_name(f"{job.output.name}.{ending}"))
