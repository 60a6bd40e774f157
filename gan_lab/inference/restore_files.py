"""Restoring files."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar
from zipfile import ZipFile

from torch import Tensor

from gan_lab.common.distributed import all_gather
from gan_lab.common.domains import Domain
from gan_lab.common.images import of_eight_bits
from gan_lab.data.reading.images import LoadedImage, read_image
from gan_lab.data.reading.listing import Entry
from gan_lab.inference.edit_files import Edited, FilesJob, read_entry
from gan_lab.inference.file_jobs import Job
from gan_lab.inference.masks import Mask
from gan_lab.inference.restoring import PhotoRestorer
from gan_lab.inference.sheet_page import SliderPage


@dataclass
class RestorationJob(FilesJob):
    """Restores one image after the other, and reports the outcome of each.

    Args:
        overwrite, compression: see ``FilesJob``.
        restorer: what restores them.
        domain: how images are read and stored.
        mask: the known pixels of each; None for a model that needs none.
        fills_alpha: the mask is the transparency, so results are opaque.
        max_pixels: larger images are left out.
        page: a page of images before and after; None for none.
    """

    restorer: PhotoRestorer
    domain: Domain
    mask: Mask | None
    fills_alpha: bool
    max_pixels: int
    page: SliderPage | None = None

    doing: ClassVar[str] = "Restoring"
    result: ClassVar[str] = "restoration"
    done: ClassVar[str] = "restored"
    does: ClassVar[str] = "restores"

    def read(self, entry: Entry, zips: dict[Path, ZipFile]) -> LoadedImage:
        read = partial(read_image, domain=self.domain, max_pixels=self.max_pixels, all_levels=True)
        return read_entry(entry, zips, read)

    def edit(self, job: Job, photo: LoadedImage, number: int) -> Edited:
        known: Tensor | None = None if self.mask is None else self.mask(job.entry, photo)
        alpha = None if self.fills_alpha else photo.alpha
        pixels = photo.pixels if photo.levels is None else photo.levels
        return Edited(self.restorer(pixels, known), alpha, photo.exif)

    def after(self, job: Job, photo: LoadedImage, edited: Edited) -> list[str]:
        """Draws both images of the page."""
        if self.page is not None:
            self.page.show(job.name, "before", photo.pixels, self.domain)
            self.page.show(job.name, "after", of_eight_bits(edited.pixels), self.domain)
        return []

    def finished(self, job: Job) -> None:
        if self.page is not None:
            self.page.add(job.name, {})

    def run(self, jobs: Sequence[Job]) -> None:
        """Restores; every rank has the whole report and page afterwards (a collective)."""
        super().run(jobs)
        if self.page is not None:
            rows = {name: links for part in all_gather(self.page.links) for name, links in part.items()}
            self.page.links = {job.name: rows[job.name] for job in jobs if job.name in rows}

    def recall(self, job: Job, zips: dict[Path, ZipFile]) -> None:
        """Keeps the row of a result of an earlier run, if its images were drawn then."""
        if self.page is not None and all(self.page.thumbnail(job.name, each).exists() for each in self.page.columns):
            self.page.add(job.name, {})
