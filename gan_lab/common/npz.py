"""Images in one .npz file, in the format of guided-diffusion (ADM): ``arr_0`` uint8 (N, H, W, C), and ``arr_1``, the
labels int64 (N,), if there are any.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import IO
from zipfile import ZIP_STORED, ZipFile

import numpy as np
from numpy.lib import format as npy
from torch import Tensor

from gan_lab.common.atomic import atomic_write

IMAGES, LABELS = "arr_0", "arr_1"
"""Names of the arrays."""


def write_npz(path: Path, n: int, batches: Iterable[Tensor], labels: Tensor | None = None) -> None:
    """Writes images as they come, without keeping them; the file is complete or absent.

    Args:
        path: of the file.
        n: the number of images.
        batches: uint8 (m, C, H, W), of one size; n images in all.
        labels: int64 (n,); None for none.

    Raises:
        ValueError: if there are more or fewer images.
        WriteError: if the file cannot be written.
    """
    with atomic_write(path) as temporary, ZipFile(temporary, "w", ZIP_STORED) as archive:
        with archive.open(f"{IMAGES}.npy", "w", force_zip64=True) as file:
            _write_images(file, n, batches)
        if labels is not None:
            with archive.open(f"{LABELS}.npy", "w") as file:
                npy.write_array(file, labels.cpu().numpy().astype(np.int64), allow_pickle=False)


def _write_images(file: IO[bytes], n: int, batches: Iterable[Tensor]) -> None:
    written = 0
    for batch in batches:
        pixels = np.ascontiguousarray(batch.cpu().permute(0, 2, 3, 1).numpy())
        if not written:
            header = {"descr": "|u1", "fortran_order": False, "shape": (n, *pixels.shape[1:])}
            npy.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call]
        file.write(pixels.data)
        written += len(pixels)
    if written != n:
        raise ValueError(f"{written} images came instead of {n}.")
