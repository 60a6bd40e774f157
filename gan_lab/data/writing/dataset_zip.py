"""Images in one zip, in the format that StyleGAN2-ADA, StyleGAN3, EDM and R3GAN share.

The zip stores PNG files ``00000/img00000000.png``, a thousand in a folder, and ``dataset.json``, the labels; see
``gan_lab.data.reading.dataset_json``. Equal images give equal bytes.
"""

import json
from collections.abc import Iterable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import torch

from gan_lab.common.atomic import atomic_write
from gan_lab.common.background import Background
from gan_lab.common.images import PNG_LEVEL, png_options, to_pil
from gan_lab.data.reading.dataset_json import NAMES
from gan_lab.data.reading.listing import LABELS_FILE
from gan_lab.data.types import UInt8Array

READABLE, UNIX = 0o100644 << 16, 3
"""Attributes of a file that everybody may read, and the system that they belong to."""


def write_dataset_zip(
    path: Path,
    images: Iterable[tuple[UInt8Array, int | None]],
    class_names: Sequence[str] = (),
    compression: int = PNG_LEVEL,
) -> int:
    """Writes images as they come, without keeping them, and returns their number; the file is complete or absent.

    Args:
        path: of the file.
        images: uint8 (1 or 3, H, W), each with its class; None for all, if there are no classes.
        class_names: names of the classes, in the order of their numbers, if they are known.
        compression: of the PNG files, 0 to 9.

    Raises:
        WriteError: if the file cannot be written.
    """
    labels: list[int | None] = []
    with atomic_write(path) as temporary, ZipFile(temporary, "w", ZIP_STORED) as archive:
        with Background() as background:
            for number, (pixels, label) in enumerate(images):
                write = partial(archive.writestr, _member(image_name(number)))
                background.add(partial(_png, pixels, compression), write, pixels.nbytes)
                labels.append(label)
        _write_labels(archive, labels, class_names)
    return len(labels)


def image_name(number: int) -> str:
    """Returns the path of an image inside the zip."""
    return f"{number // 1000:05d}/img{number:08d}.png"


def _png(pixels: UInt8Array, compression: int) -> bytes:
    file = BytesIO()
    to_pil(torch.tensor(pixels)).save(file, format="PNG", **png_options(compression))
    return file.getvalue()


def _member(name: str) -> ZipInfo:
    """Returns what the zip states of a file: it must not depend on the time or the machine."""
    info = ZipInfo(name)  # of 1 January 1980
    info.create_system, info.external_attr = UNIX, READABLE
    return info


def _write_labels(archive: ZipFile, labels: Sequence[int | None], names: Sequence[str]) -> None:
    """Writes the labels one by one: as one text a million of them would take much memory."""
    with archive.open(_member(LABELS_FILE), "w") as file:
        if not labels or labels[0] is None:
            file.write(b'{"labels": null}')
            return
        file.write(b'{"labels": [')
        for number, label in enumerate(labels):
            file.write(f"{', ' if number else ''}{json.dumps([image_name(number), label])}".encode())
        file.write(f"]{f', {json.dumps(NAMES)}: {json.dumps([*names])}' if names else ''}}}".encode())
