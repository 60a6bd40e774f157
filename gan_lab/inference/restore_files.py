"""Restoring files."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar
from zipfile import ZipFile

from torch import Tensor

from gan_lab.common.domains import Domain
from gan_lab.data.reading.images import LoadedImage, read_image
from gan_lab.data.reading.listing import Entry
from gan_lab.inference.edit_files import Edited, FilesJob, read_entry
from gan_lab.inference.file_jobs import Job
from gan_lab.inference.masks import Mask
from gan_lab.inference.restoring import PhotoRestorer


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
    """

    restorer: PhotoRestorer
    domain: Domain
    mask: Mask | None
    fills_alpha: bool
    max_pixels: int

    doing: ClassVar[str] = "Restoring"
    result: ClassVar[str] = "restoration"

    def read(self, entry: Entry, zips: dict[Path, ZipFile]) -> LoadedImage:
        return read_entry(entry, zips, partial(read_image, domain=self.domain, max_pixels=self.max_pixels))

    def edit(self, job: Job, photo: LoadedImage, number: int) -> Edited:
        known: Tensor | None = None if self.mask is None else self.mask(job.entry, photo)
        alpha = None if self.fills_alpha else photo.alpha
        return Edited(self.restorer(photo.pixels, known), alpha, photo.exif)
