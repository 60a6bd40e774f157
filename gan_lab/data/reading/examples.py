"""Examples: images in a model's size, and which of them have an attribute, by folders of classes or by a table."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float
from gan_lab.data.reading.files import ImageFiles
from gan_lab.data.reading.image_sets import DecodedImage
from gan_lab.data.reading.listing import IMAGE_SUFFIXES, Entry, list_images, natural_key
from gan_lab.data.reading.passed_over import PassedOver
from gan_lab.data.reading.resize import ResizeSpec

Attribute = tuple[Sequence[int], Sequence[int]]
"""Numbers of the images without an attribute, and of those with it."""
YES = ("yes", "true", "y", "t")
BEYOND = "beyond the header"
"""Key of a row's cells for which the header has no name."""


@dataclass(frozen=True)
class Examples:
    """Images, and which of them have an attribute.

    Args:
        images: (N, C, H, W) in [-1, 1].
        attributes: by name; an image can be in neither set.
    """

    images: Tensor
    attributes: Mapping[str, Attribute]


def pictures_in(folder: Path, key: str, spec: ResizeSpec) -> Tensor:
    """Returns the images (N, C, H, W) in [-1, 1] of a folder or zip, in a model's size; damaged ones are left out.

    Args:
        folder: the folder or zip, or one image.
        key: the user's name for it, in errors.
        spec: size and channels.

    Raises:
        UserError: if there are none that can be read.
    """
    single = folder.is_file() and folder.suffix.lower() in IMAGE_SUFFIXES
    entries = [Entry((folder.name,), str(folder))] if single else list_images(folder, key)
    return _decoded(entries, key, folder, spec)[1]


def two_sets(a: Tensor, b: Tensor, name: str) -> Examples:
    """Returns images ``a`` (N, C, H, W) without an attribute, and ``b`` (M, C, H, W) with it, as examples."""
    return Examples(torch.cat([a, b]), {name: (range(len(a)), range(len(a), len(a) + len(b)))})


def read_examples(path: Path, spec: ResizeSpec, key: str = "examples") -> Examples:
    """Reads examples of attributes.

    Args:
        path: a folder or zip with a folder for each class, where each class against all others is an attribute; or a
            table (.csv) beside images, with their names in the first column. Its other columns with two values, such as
            0 and 1 or female and male, are attributes; images without a value are left out.
        spec: size and channels of the images.
        key: the user's name for it, in errors.

    Raises:
        UserError: if no image can be read, and if there are no attributes.
    """
    table = path.suffix.lower() == ".csv"
    rows = read_table(path, key) if table else []
    listed = list_images(path.parent, key, PassedOver()) if table else list_images(path, key)
    entries, images = _decoded(listed, key, path, spec)
    attributes = (
        _of_columns(rows, entries, f"{key}={path}")
        if table
        else one_against_others([entry.parts[0] if len(entry.parts) > 1 else "" for entry in entries])
    )
    if not attributes:
        wanted = "columns with two values" if table else "folders of classes"
        raise UserError(f"{key}={path} has no {wanted}: give a table of attributes (.csv), or a folder for each class.")
    return Examples(images, attributes)


def _decoded(entries: Sequence[Entry], key: str, path: Path, spec: ResizeSpec) -> tuple[list[Entry], Tensor]:
    """Returns the images that can be read, and their entries."""
    found = list(zip(entries, ImageFiles(entries).render(spec), strict=True))
    kept = [(entry, torch.tensor(image.pixels)) for entry, image in found if isinstance(image, DecodedImage)]
    if not kept:
        raise UserError(f"No image of {key}={path} can be read: give a folder or zip of images.")
    return [entry for entry, _ in kept], to_float(torch.stack([pixels for _, pixels in kept]))


def one_against_others(classes: Sequence[str]) -> dict[str, Attribute]:
    """Returns each class against all others as an attribute; of two, the second against the first.

    Args:
        classes: of each image; "" for none.
    """
    names = sorted({*classes} - {""}, key=natural_key)
    if len(names) < 2:
        return {}
    wanted = names[1:] if len(names) == 2 else names
    return {
        name: ([i for i, own in enumerate(classes) if own not in ("", name)],
               [i for i, own in enumerate(classes) if own == name])
        for name in wanted
    }  # fmt: skip


def read_table(path: Path, key: str) -> list[dict[str, str]]:
    """Returns the rows of a table (.csv), values by column.

    ``key`` is the user's name for it, in errors.

    Raises:
        UserError: if it cannot be read, or has one column alone.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey=BEYOND, restval="")
            rows, columns = [*reader], reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{key}={path} cannot be read ({error}): give a table of attributes (.csv).") from error
    if len(columns) < 2:
        raise UserError(f"{key}={path} has one column alone: give names of files and attributes, separated by commas.")
    return rows


def _of_columns(rows: Sequence[Mapping[str, str]], entries: Sequence[Entry], source: str) -> dict[str, Attribute]:
    """Returns the attributes of the columns that have two values among the images.

    Raises:
        UserError: if no row belongs to an image.
    """
    first, *columns = [column for column in (rows[0] if rows else {"": ""}) if column != BEYOND]
    by_name = {row[first].strip(): row for row in rows}
    own = [by_name.get(entry.name) or by_name.get(entry.parts[-1]) or {} for entry in entries]
    if not any(own):
        raise UserError(f"{source} names none of the images beside it: give their names in its first column.")
    found, passed = list[tuple[str, str, Attribute]](), list[str]()
    for column in columns:
        values = [row.get(column, "").strip() for row in own]
        either = sorted({*values} - {""}, key=order_of_value)
        if len(either) == 2:
            without, having = ([i for i, value in enumerate(values) if value == each] for each in either)
            found.append((column, column if _is_yes(either[1]) else either[1], (without, having)))
        elif either:
            passed.append(f"{column} ({len(either)})")
    if passed and found:
        rank_zero_warn(f"These columns do not have two values, and are passed over: {', '.join(passed)}.")
    names = [name for _, name, _ in found]
    return {name if names.count(name) == 1 else f"{column} {name}": each for column, name, each in found}


def _is_yes(value: str) -> bool:
    """Tells whether a value says no more than its column's name does."""
    return value.lower() in YES or order_of_value(value)[0] == 1


def order_of_value(value: str) -> tuple[float, str]:
    """Returns a key that sorts numbers by their value, and other texts behind them."""
    try:
        return float(value), value
    except ValueError:
        return float("inf"), value
