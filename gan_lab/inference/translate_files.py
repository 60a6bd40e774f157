"""Translating files: read ahead in threads, translated, written in threads, and reported one by one."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal
from zipfile import ZipFile

import torch
from torch import Tensor

from gan_lab.common import image_files
from gan_lab.common.background import Background, read_ahead
from gan_lab.common.capabilities import Translates
from gan_lab.common.device import available_memory
from gan_lab.common.distributed import all_gather, rank_and_world_size
from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.common.images import PNG_LEVEL
from gan_lab.common.progress import track
from gan_lab.data.reading.images import LoadedImage, read_image, reason
from gan_lab.data.reading.listing import Entry, open_entry
from gan_lab.data.reading.passed_over import PassedOver
from gan_lab.inference.file_jobs import Job
from gan_lab.inference.sheet_page import SheetPage
from gan_lab.inference.translation import Tiling, Translation, Translator

MANY_TIMES = 4
"""Times the side of the training images from which on an image is said to be of another scale."""
SHOWN = 5
"""The number of names that are listed at most."""


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


@dataclass
class Report:
    """The outcome for every image: done, present from before, or left out; and notes with the images' names."""

    done: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def note(self, name: str, notes: Sequence[str]) -> None:
        """Adds notes on one image."""
        for note in notes:
            self.notes.setdefault(note, []).append(name)

    @classmethod
    def joined(cls, parts: Sequence["Report"], jobs: Sequence[Job]) -> "Report":
        """Joins the reports of several processes, in the order of the jobs."""
        order = {job.name: number for number, job in enumerate(jobs)}
        every: dict[str, list[str]] = {}
        for note, names in (item for part in parts for item in part.notes.items()):
            every.setdefault(note, []).extend(names)
        left_out = {name: why for part in parts for name, why in part.left_out.items()}
        return cls(
            sorted((name for part in parts for name in part.done), key=order.__getitem__),
            sorted((name for part in parts for name in part.present), key=order.__getitem__),
            {name: left_out[name] for name in sorted(left_out, key=order.__getitem__)},
            {note: sorted(names, key=order.__getitem__) for note, names in every.items()},
        )

    def raise_if_none(self, count: int, source: Path) -> None:
        """Raises UserError if none of ``count`` images could be translated, with the reasons."""
        if len(self.left_out) == count:
            named = [f"{name} ({why})" for name, why in self.left_out.items()]
            raise UserError(f"No image of {source} could be translated: {_listed(named)}.")

    def lines(self, output: Path, others: PassedOver) -> Iterator[str]:
        """Yields the lines for the user, the counts last; ``others`` are the files that are no images."""
        for note, names in self.notes.items():
            yield f"{note}: {_listed(names)}"
        for name, why in self.left_out.items():
            yield f"left out {name}: {why}"
        total = len(self.done) + len(self.present) + len(self.left_out)
        further = {
            f"{len(self.present)} exist already (overwrite=true translates them again)": self.present,
            f"{len(self.left_out)} left out": self.left_out,
            f"passed over {others.text()}": others,
        }
        yield "; ".join([f"Translated {len(self.done)} of {total} images to {output}", *filter(further.get, further)])


@dataclass
class TranslationJob:
    """Translates one image after the other, and reports the outcome of each.

    The next images are read, and results are written, in threads while an image is translated.

    Args:
        there: the translator.
        back: the translator of the other direction, for the sheet; None without a sheet, or if the model has none.
        max_pixels: larger images are left out.
        overwrite: translates again what exists already.
        sheet: a page of inputs, outputs and the way back.
        trained: shorter side, in pixels, of the images that the model was trained on; None if it is not known.
        compression: of PNG files, 0 to 9.
    """

    there: Translator
    back: Translator | None
    max_pixels: int
    overwrite: bool
    sheet: SheetPage | None
    trained: int | None = None
    compression: int = PNG_LEVEL
    report: Report = field(default_factory=Report)

    @classmethod
    def of(
        cls,
        model: Translates,
        direction: str,
        size: tuple[int, int] | int | None,
        tiling: Tiling,
        seed: int,
        max_pixels: int,
        overwrite: bool,
        sheet: SheetPage | None,
        trained: int | None = None,
        compression: int = PNG_LEVEL,
    ) -> "TranslationJob":
        """A job for one direction, with the way back on the sheet if the model knows it.

        Raises:
            UserError: for a direction or a size that the model does not support.
        """
        there = Translator(model, direction, size, tiling, seed)
        back = {"a2b": "b2a", "b2a": "a2b"}[direction]
        cycles = sheet is not None and back in model.directions
        again = Translator(model, back, None, tiling, seed) if cycles else None
        return cls(there, again, max_pixels, overwrite, sheet, trained, compression)

    def run(self, jobs: Sequence[Job]) -> None:
        """Translates; ranks take jobs in turn, and every rank has the whole report afterwards (a collective)."""
        rank, world = rank_and_world_size()
        mine = list(enumerate(jobs))[rank::world]
        with ExitStack() as opened:
            files = {job.entry.file for job in jobs if job.entry.member is not None}
            zips = {file: opened.enter_context(ZipFile(file)) for file in files}
            background = opened.enter_context(Background())
            read = read_ahead(lambda item: self._photo(item[1], zips), mine, _size)
            for (number, job), photo in track(read, "Translating", len(mine), show=rank == 0):
                if photo is None:
                    self._recall(job, zips)
                elif isinstance(photo, str):
                    self.report.left_out[job.name] = photo
                else:
                    self._attempt(job, photo, number, background)
        self.report = Report.joined(all_gather(self.report), jobs)
        if self.sheet is not None:
            rows = {name: links for part in all_gather(self.sheet.links) for name, links in part.items()}
            self.sheet.links = {job.name: rows[job.name] for job in jobs if job.name in rows}

    def _photo(self, job: Job, zips: dict[Path, ZipFile]) -> LoadedImage | str | None:
        """Reads an image; returns why it cannot be read, or None if its result exists already."""
        if job.output.exists() and not self.overwrite:
            return None
        try:
            return self._read(job.entry, self.there.source, zips)
        except Exception as problem:  # a damaged file raises whatever its decoder happens to
            return reason(problem)

    def _attempt(self, job: Job, photo: LoadedImage, number: int, background: Background) -> None:
        try:
            result = self.there(photo.pixels, number)
        except (MemoryError, RuntimeError, OSError, ValueError) as problem:
            self.report.left_out[job.name] = _why(problem)
            return
        cycle = self._cycle(result.pixels, number)
        work = partial(self._written, job, photo, result, cycle)
        background.add(work, partial(self._record, job), _size(photo) + result.pixels.nbytes)

    def _record(self, job: Job, outcome: "list[str] | str") -> None:
        """Reports an image: with notes if it is written, else why it is not."""
        if isinstance(outcome, str):
            self.report.left_out[job.name] = outcome
            return
        self.report.done.append(job.name)
        self.report.note(job.name, [note for note in outcome if note])
        if self.sheet is not None:
            self.sheet.add(job.name, job.links)

    def _read(self, entry: Entry, domain: Domain, zips: dict[Path, ZipFile]) -> LoadedImage:
        with open_entry(zips, entry) as file:
            if not file.read(1):
                raise ValueError("an empty file")
            file.seek(0)
            return read_image(file, domain, self.max_pixels)

    def _written(
        self, job: Job, photo: LoadedImage, result: Translation, cycle: Tensor | Exception | None
    ) -> list[str] | str:
        """Writes a result and its thumbnails; returns notes, or why it cannot be written."""
        extras = (None, b"") if self.there.target.labels else (photo.alpha, photo.exif)
        try:
            kept = image_files.write_image(job.output, result.pixels, *extras, self.compression)
        except (MemoryError, RuntimeError, OSError, ValueError) as problem:
            return _why(problem)
        notes = [*photo.notes, *kept, result.tiling, self._of_scale(photo)]
        if self.sheet is not None:
            try:
                self._show(self.sheet, job, photo, result.pixels, cycle)
            except (MemoryError, RuntimeError, OSError) as problem:  # the translation itself is written
                _raise_unless_known(problem)
                notes.append(f"incomplete on the sheet ({reason(problem)})")
        return notes

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
            _raise_unless_known(problem)
            return problem

    def _show(
        self, sheet: SheetPage, job: Job, photo: LoadedImage, output: Tensor, cycle: Tensor | Exception | None
    ) -> None:
        sheet.show(job.name, "input", photo.pixels, self.there.source)
        sheet.show(job.name, "output", output, self.there.target)
        if isinstance(cycle, Exception):
            raise cycle
        if self.back is not None and cycle is not None:
            sheet.show(job.name, "cycle", cycle, self.back.target)

    def _recall(self, job: Job, zips: dict[Path, ZipFile]) -> None:
        """Shows a result of an earlier run on the sheet, as far as it can be read."""
        self.report.present.append(job.name)
        if self.sheet is None:
            return
        output = Entry((job.output.name,), str(job.output))
        for column, entry, domain in (
            ("input", job.entry, self.there.source),
            ("output", output, self.there.target),
        ):
            if not self.sheet.thumbnail(job.name, column).exists():
                with suppress(Exception):  # a damaged file raises whatever its decoder happens to
                    self.sheet.show(job.name, column, self._read(entry, domain, zips).pixels, domain)
        self.sheet.add(job.name, job.links)


def _size(photo: LoadedImage | str | None) -> int:
    """Returns the bytes that an image holds."""
    return photo.pixels.nbytes if isinstance(photo, LoadedImage) else 0


def _why(problem: Exception) -> str:
    """Says why an image is left out; an error of the program itself is raised."""
    _raise_unless_known(problem)
    if _is_for_memory(problem):
        return "memory ran out: tile=512 takes less"
    return f"its translation cannot be written ({reason(problem)})"


def _raise_unless_known(problem: Exception) -> None:
    if not (_is_for_memory(problem) or isinstance(problem, OSError | ValueError)):
        raise problem


def _is_for_memory(problem: Exception) -> bool:
    """True if memory ran out; on the CPU torch raises a plain RuntimeError that only its text tells apart."""
    return isinstance(problem, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(problem)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
