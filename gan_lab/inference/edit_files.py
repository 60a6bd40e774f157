"""Editing files: read ahead in threads, edited one after the other, written in threads, and reported one by one."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, ClassVar
from zipfile import ZipFile

import torch
from PIL import Image
from torch import Tensor

from gan_lab.common import image_files
from gan_lab.common.background import Background, read_ahead
from gan_lab.common.distributed import all_gather, rank_and_world_size
from gan_lab.common.errors import UserError
from gan_lab.common.progress import track
from gan_lab.data.reading.images import LoadedImage, reason
from gan_lab.data.reading.listing import Entry, open_entry
from gan_lab.data.reading.passed_over import PassedOver
from gan_lab.inference.file_jobs import Job
from gan_lab.inference.job_shares import JobShare

SHOWN = 5
"""The number of names that are listed at most."""


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

    def raise_if_none(self, count: int, source: Path, done: str) -> None:
        """Raises UserError if none of ``count`` images could be ``done``, such as "translated", with the reasons."""
        if self.left_out and len(self.left_out) == count:
            named = [f"{name} ({why})" for name, why in self.left_out.items()]
            raise UserError(f"No image of {source} could be {done}: {listed(named)}.")

    def lines(self, output: Path, others: PassedOver, done: str, does: str) -> Iterator[str]:
        """Yields the lines for the user, the counts last.

        Args:
            output: where the results are.
            others: files that are no images.
            done, does: what happens to images: "translated", "translates".
        """
        for note, names in self.notes.items():
            yield f"{note}: {listed(names)}"
        for name, why in self.left_out.items():
            yield f"left out {name}: {why}"
        total = len(self.done) + len(self.present) + len(self.left_out)
        further = {
            f"{len(self.present)} exist already (overwrite=true {does} them again)": self.present,
            f"{len(self.left_out)} left out": self.left_out,
            f"passed over {others.text()}": others,
        }
        yield "; ".join(
            [f"{done.capitalize()} {len(self.done)} of {total} images to {output}", *filter(further.get, further)]
        )


@dataclass
class Edited:
    """An edited image.

    Args:
        pixels: uint8 (C, H, W), or int32 in [0, 65535] for 16 bits.
        alpha: transparency that is written with it, or None.
        exif: tags that are written with it.
        notes: what is said of it besides the notes on reading; empty ones are left out.
    """

    pixels: Tensor
    alpha: Image.Image | None = None
    exif: bytes = b""
    notes: Sequence[str] = ()


@dataclass
class FilesJob(ABC):
    """Edits one image after the other, and reports the outcome of each.

    The next images are read, and results are written, in threads while an image is edited.

    Args:
        overwrite: edits again what exists already.
        compression: of PNG files, 0 to 9.
    """

    overwrite: bool
    compression: int
    report: Report = field(default_factory=Report, init=False)
    share: JobShare = field(default=JobShare(), init=False)

    doing: ClassVar[str]
    """What happens to images, at the progress bar: "Translating"."""

    result: ClassVar[str]
    """What comes of it, in messages: "translation"."""

    done: ClassVar[str]
    does: ClassVar[str]
    """What was done to images and what the command does to them, in reports: "translated", "translates"."""

    @abstractmethod
    def read(self, entry: Entry, zips: dict[Path, ZipFile]) -> LoadedImage:
        """Reads an image; raises whatever its decoder does if that fails."""

    @abstractmethod
    def edit(self, job: Job, photo: LoadedImage, number: int) -> Edited:
        """Edits an image, whose number among all is given."""

    def after(self, job: Job, photo: LoadedImage, edited: Edited) -> list[str]:
        """Does what follows the writing of a result, in a thread; returns notes."""
        return []

    def recall(self, job: Job, zips: dict[Path, ZipFile]) -> None:  # noqa: B027 (most jobs need nothing)
        """Does what a result of an earlier run needs."""

    def run(self, jobs: Sequence[Job]) -> None:
        """Edits this job's share; ranks take images in turn, and each has the report afterwards (a collective)."""
        rank, world = rank_and_world_size()
        mine = self.share.of(jobs, rank, world)
        with ExitStack() as opened:
            files = {job.entry.file for job in jobs if job.entry.member is not None}
            zips = {file: opened.enter_context(ZipFile(file)) for file in files}
            background = opened.enter_context(Background())
            ahead = read_ahead(lambda item: self._photo(item[1], zips), mine, _size)
            for (number, job), photo in track(ahead, self.doing, len(mine), show=rank == 0):
                if photo is None:
                    self.report.present.append(job.name)
                    self.recall(job, zips)
                elif isinstance(photo, str):
                    self.report.left_out[job.name] = photo
                else:
                    self._attempt(job, photo, number, background)
        self.report = Report.joined(all_gather(self.report), jobs)

    def _photo(self, job: Job, zips: dict[Path, ZipFile]) -> LoadedImage | str | None:
        """Reads an image; returns why it cannot be read, or None if its result exists already."""
        if job.output.exists() and not self.overwrite:
            return None
        try:
            return self.read(job.entry, zips)
        except Exception as problem:  # a damaged file raises whatever its decoder happens to
            return reason(problem)

    def _attempt(self, job: Job, photo: LoadedImage, number: int, background: Background) -> None:
        try:
            edited = self.edit(job, photo, number)
        except ValueError as problem:  # what does not fit, in words
            self.report.left_out[job.name] = reason(problem)
            return
        except (MemoryError, RuntimeError, OSError) as problem:
            self.report.left_out[job.name] = self._why(problem)
            return
        work = partial(self._written, job, photo, edited)
        background.add(work, partial(self._record, job), _size(photo) + edited.pixels.nbytes)

    def _written(self, job: Job, photo: LoadedImage, edited: Edited) -> list[str] | str:
        """Writes a result; returns notes, or why it cannot be written."""
        try:
            kept = image_files.write_image(job.output, edited.pixels, edited.alpha, edited.exif, self.compression)
        except (MemoryError, RuntimeError, OSError, ValueError) as problem:
            return self._why(problem)
        return [*photo.notes, *kept, *edited.notes, *self.after(job, photo, edited)]

    def _record(self, job: Job, outcome: "list[str] | str") -> None:
        """Reports an image: with notes if it is written, else why it is not."""
        if isinstance(outcome, str):
            self.report.left_out[job.name] = outcome
            return
        self.report.done.append(job.name)
        self.report.note(job.name, [note for note in outcome if note])
        self.finished(job)

    def finished(self, job: Job) -> None:  # noqa: B027 (most jobs need nothing)
        """Does what follows when an image is done, in the main thread."""

    def _why(self, problem: Exception) -> str:
        """Says why an image is left out; an error of the program itself is raised."""
        raise_unless_known(problem)
        if is_for_memory(problem):
            return "memory ran out: tile=512 takes less"
        return f"its {self.result} cannot be written ({reason(problem)})"


def read_entry(entry: Entry, zips: dict[Path, ZipFile], read: Callable[[BinaryIO], LoadedImage]) -> LoadedImage:
    """Reads an image file by a function.

    Raises:
        ValueError, …: for an empty file, and whatever the function raises.
    """
    with open_entry(zips, entry) as file:
        if not file.read(1):
            raise ValueError("an empty file")
        file.seek(0)
        return read(file)


def _size(photo: LoadedImage | str | None) -> int:
    """Returns the bytes that an image holds."""
    return photo.pixels.nbytes if isinstance(photo, LoadedImage) else 0


def raise_unless_known(problem: Exception) -> None:
    """Raises an error that is the program's own."""
    if not (is_for_memory(problem) or isinstance(problem, OSError | ValueError)):
        raise problem


def is_for_memory(problem: Exception) -> bool:
    """True if memory ran out; on the CPU torch raises a plain RuntimeError that only its text tells apart."""
    return isinstance(problem, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(problem)


def listed(names: Sequence[str]) -> str:
    """Returns the first names, and how many more there are."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
