"""Images of a split one after another, for work that sees each of them once."""

from collections.abc import Iterator

import numpy as np
from lightning.pytorch.utilities import rank_zero_warn

from gan_lab.common.progress import track
from gan_lab.data.loading.cache import check_readable
from gan_lab.data.loading.keyed_random import keyed_uniform, permutation
from gan_lab.data.reading.image_sets import DamagedImage, DecodedImage, EncodedImages, ImageSet, Scan
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.reading.tables import TableImages
from gan_lab.data.types import Int64Array, UInt8Array


def packing_order(images: ImageSet, seed: int) -> Int64Array:
    """Returns a random order of a set, int64 (N,); images of a table that are read at once stay together."""
    if not isinstance(images, TableImages):
        return permutation(len(images), seed)
    parts = np.searchsorted(images.table.groups, images.rows, side="right")
    within = keyed_uniform(np.arange(len(images)), seed)
    return np.lexsort((within, keyed_uniform(parts, seed, 1)))


class ImageStream:
    """Images without random transforms, decoded while they are read; a few are in memory at a time.

    Args:
        images: the set.
        spec: the fixed part of the transform.
        labelled: yield classes.
    """

    def __init__(self, images: ImageSet, spec: ResizeSpec, labelled: bool) -> None:
        self.images, self.spec, self.labelled = images, spec, labelled

    def __len__(self) -> int:
        """Returns the number of images, unreadable ones included."""
        return len(self.images)

    def __iter__(self) -> Iterator[tuple[UInt8Array, int | None]]:
        """Yields readable images uint8 (C, H, W), each with its class, or None; and names the others at the end.

        Raises:
            UserError: as soon as more than 1 % of the images cannot be read.
        """
        scan, labels = Scan(), self.images.labels if self.labelled else None
        for row, image in enumerate(self._decoded()):
            if isinstance(image, DamagedImage):
                scan.unreadable[image.name] = image.reason
                check_readable(scan, len(self))
            else:
                yield self.spec.center_crop(image.pixels), None if labels is None else int(labels[row])
        if scan.unreadable:
            rank_zero_warn(f"{len(scan.unreadable)} unreadable images are skipped: {scan.list_unreadable(20)}.")

    def _decoded(self) -> Iterator[DecodedImage | DamagedImage]:
        images = self.images.render(self.spec)
        return images if isinstance(self.images, EncodedImages) else track(images, "Reading images", len(self))
