"""Translating files."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal
from zipfile import ZipFile

import torch
from torch import Tensor

from gan_lab.common.device import available_memory
from gan_lab.common.distributed import all_gather, rank_and_world_size
from gan_lab.common.domains import Domain
from gan_lab.data.reading.images import LoadedImage, read_image, reason
from gan_lab.data.reading.listing import Entry
from gan_lab.inference.edit_files import Edited, FilesJob, raise_unless_known, read_entry
from gan_lab.inference.file_jobs import Job
from gan_lab.inference.object_maps import ObjectMaps
from gan_lab.inference.sheet_page import SheetPage
from gan_lab.inference.translation import Tiling, Translator

REFERENCE = "reference"
"""Name of the row of references on a sheet."""
MANY_TIMES = 4
"""Times the side of the training images from which on an image is said to be of another scale."""


def tiling_for(
    device: torch.device,
    folder: Path,
    tile: int | Literal["auto"] | None,
    stats: Literal["exact", "fast"],
    scratch: Literal["disk", "memory"],
    memory: float | None,
) -> Tiling:
    """Returns how large images are tiled on a device.

    Args:
        folder: where exact tiling may keep what lies between two layers.
        memory: GiB that an image may take before it is tiled; None for half of what is free, shared by the ranks.
    """
    sharing = rank_and_world_size()[1] if device.type == "cpu" else 1
    budget = available_memory(device) // 2 // sharing if memory is None else int(memory * 2**30)
    return Tiling(tile, stats, scratch, budget, folder)


def add_references(sheet: SheetPage, references: Mapping[str, tuple[Tensor | None, Domain]]) -> None:
    """Adds a first row with the pictures, uint8 (C, H, W), that have the styles of columns, if there are any."""
    for column, (pixels, domain) in references.items():
        if pixels is not None:
            sheet.show(REFERENCE, column, pixels, domain)
    if any(pixels is not None for pixels, _ in references.values()):
        sheet.links = {REFERENCE: {}, **sheet.links}


@dataclass
class Translated(Edited):
    """A translation, and for the sheet the same translated back, or the error if memory or disk do not allow it."""

    cycle: Tensor | Exception | None = None


@dataclass
class TranslationJob(FilesJob):
    """Translates one image after the other, and reports the outcome of each.

    Args:
        overwrite, compression: see ``FilesJob``.
        there: the translator.
        back: the translator of the other direction, for the sheet; None without a sheet, or if the model has none.
        max_pixels: larger images are left out.
        sheet: a page of inputs, outputs and the way back.
        trained: shorter side, in pixels, of the images that the model was trained on; None if it is not known.
        column: of the results, on the sheet.
        objects: maps of objects, for a model that takes them with its label maps.
    """

    there: Translator
    back: Translator | None
    max_pixels: int
    sheet: SheetPage | None
    trained: int | None = None
    column: str = "output"
    objects: ObjectMaps = field(default_factory=ObjectMaps)

    doing: ClassVar[str] = "Translating"
    result: ClassVar[str] = "translation"
    done: ClassVar[str] = "translated"
    does: ClassVar[str] = "translates"

    def run(self, jobs: Sequence[Job]) -> None:
        """Translates; every rank has the whole report and sheet afterwards (a collective)."""
        super().run(jobs)
        if self.sheet is not None:
            rows: dict[str, dict[str, Path]] = {}
            for name, links in (row for part in all_gather(self.sheet.links) for row in part.items()):
                rows.setdefault(name, {}).update(links)
            self.sheet.links = {job.name: rows[job.name] for job in jobs if job.name in rows}

    def read(self, entry: Entry, zips: dict[Path, ZipFile]) -> LoadedImage:
        return self._read(entry, self.there.source, zips)

    def _read(self, entry: Entry, domain: Domain, zips: dict[Path, ZipFile]) -> LoadedImage:
        photo = read_entry(entry, zips, partial(read_image, domain=domain, max_pixels=self.max_pixels))
        return self.objects.joined(entry, photo) if domain.instances else photo

    def edit(self, job: Job, photo: LoadedImage, number: int) -> Translated:
        result = self.there(photo.pixels, number)
        extras = (None, b"") if self.there.target.labels else (photo.alpha, photo.exif)
        cycle = self._cycle(result.pixels, number)
        return Translated(result.pixels, *extras, (result.tiling, self._of_scale(photo)), cycle)

    def after(self, job: Job, photo: LoadedImage, edited: Edited) -> list[str]:
        """Draws the thumbnails of the sheet."""
        if self.sheet is None or not isinstance(edited, Translated):
            return []
        try:
            self._show(self.sheet, job, photo, edited)
        except (MemoryError, RuntimeError, OSError) as problem:  # the translation itself is written
            raise_unless_known(problem)
            return [f"incomplete on the sheet ({reason(problem)})"]
        return []

    def finished(self, job: Job) -> None:
        if self.sheet is not None:
            self._add(self.sheet, job)

    def _add(self, sheet: SheetPage, job: Job) -> None:
        """Adds an image to the sheet, or another result of one that is there."""
        links = {self.column if name == "output" else name: path for name, path in job.links.items()}
        sheet.add(job.name, {**sheet.links.get(job.name, {}), **links})

    def _of_scale(self, photo: LoadedImage) -> str:
        """Says that an image is translated at many times the size of the training images; empty if it is not."""
        side = min(self.there.resized(*photo.pixels.shape[1:]))
        if self.trained is None or side <= MANY_TIMES * self.trained:
            return ""
        return (
            f"more than {MANY_TIMES} times as large as the images of training ({self.trained} px), so the model has "
            "seen things only smaller (size=trained translates at that size)"
        )

    def _cycle(self, output: Tensor, number: int) -> Tensor | Exception | None:
        """Translates a result (C, H, W) back for the sheet; returns the error if memory or disk do not allow it."""
        if self.sheet is None or self.back is None:
            return None
        try:
            return self.back(output, number).pixels
        except (MemoryError, RuntimeError, OSError) as problem:
            raise_unless_known(problem)
            return problem

    def _show(self, sheet: SheetPage, job: Job, photo: LoadedImage, edited: Translated) -> None:
        sheet.show(job.name, "input", photo.pixels, self.there.source)
        sheet.show(job.name, self.column, edited.pixels, self.there.target)
        if isinstance(edited.cycle, Exception):
            raise edited.cycle
        if self.back is not None and edited.cycle is not None:
            sheet.show(job.name, "cycle", edited.cycle, self.back.target)

    def recall(self, job: Job, zips: dict[Path, ZipFile]) -> None:
        """Shows a result of an earlier run on the sheet, as far as it can be read."""
        if self.sheet is None:
            return
        output = Entry((job.output.name,), str(job.output))
        for column, entry, domain in (
            ("input", job.entry, self.there.source),
            (self.column, output, self.there.target),
        ):
            if not self.sheet.thumbnail(job.name, column).exists():
                with suppress(Exception):  # a damaged file raises whatever its decoder happens to
                    self.sheet.show(job.name, column, self._read(entry, domain, zips).pixels, domain)
        self._add(self.sheet, job)
