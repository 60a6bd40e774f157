"""Packs images for other programs: ``python -m gan_lab.pack data=cifar10 format=edm output=cifar10.zip``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from gan_lab.cli.artifacts import Artifact, Message, Output, Written
from gan_lab.cli.command import command
from gan_lab.cli.requests import DataPaths, Request, Size
from gan_lab.common.atomic import check_place
from gan_lab.common.bounds import Bounds, PositiveInt, Seed
from gan_lab.common.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True, kw_only=True)
class PackRequest(Request):
    data: Annotated[Mapping[str, Any], DataPaths]
    split: Literal["train", "test", "all"]
    format: Literal["edm"]
    output: Path
    size: Size | None
    compression: Annotated[int, Bounds(0, 9)]
    data_dir: Path
    batch_size: PositiveInt
    seed: Seed

    @property
    def splits(self) -> dict[str, bool]:
        """Each split, and whether it is packed."""
        return {split: self.split in (split, "all") for split in ("train", "test")}

    def destination(self) -> Output:
        return Output(self.output.parent)

    def check_places(self) -> None:
        from gan_lab.data.reading.listing import role_of

        if self.output.suffix.lower() != ".zip" or self.output.is_dir():
            raise UserError(f"output={self.output} is not valid: give the name of a file that ends in .zip.")
        check_place(self.output.parent, "output")
        if (root := self.data.get("root")) is None:
            return
        folder, file = Path(root).expanduser().resolve(), self.output.resolve()
        if file == folder or (file.parent == folder and role_of(file.stem)):
            raise UserError(f"output={self.output} is a zip that data.root={root} reads: give another output=….")


def prepare(config: DictConfig) -> None:
    """Refuses data that cannot be packed, and fills in what only the user's images know."""
    from gan_lab.cli.config.packed_data import complete

    complete(config)


@command(PackRequest, prepare=prepare)
def pack(request: PackRequest) -> Iterator[Artifact]:
    """Packs images into one zip that StyleGAN2-ADA, StyleGAN3, EDM and R3GAN read, and gan_lab as data=folder."""
    from gan_lab.cli.config.packed_data import IMAGES_INSTEAD
    from gan_lab.common.instantiate import instantiate
    from gan_lab.data.modules.images import ImageDataModule
    from gan_lab.data.writing.dataset_zip import write_dataset_zip

    data = instantiate(request.data)
    if not isinstance(data, ImageDataModule):
        raise UserError(f"data={request.data['name']} has no single images to pack: {IMAGES_INSTEAD}.")
    images = chain.from_iterable(data.stream(split) for split, packed in request.splits.items() if packed)
    n = write_dataset_zip(request.output, images, data.class_names, request.compression)
    yield Message(summary(data, n, request))
    yield Written(request.output)


def summary(data: Any, n: int, request: PackRequest) -> str:
    """Says what is in the file and what is not."""
    colours = "grey" if data.channels == 1 else "in colour"
    classes = f"{data.classes} classes" if data.classes else "no classes"
    lines = [f"Packed {n:,} images of {data.width}×{data.height} px, {colours}, {classes}."]
    if data.class_names:
        lines.append(
            "dataset.json keeps the names of the classes for gan_lab; other programs read their numbers alone."
        )
    if data.width != data.height:
        lines.append("StyleGAN and EDM read square images only: size= with one side makes them square.")
    for split, packed in request.splits.items():
        if not packed:
            count = len(data.stream(split))
            left_out = f"{count:,} image{'s' * (count > 1)}"
            lines.append(f"The {split} split is left out ({left_out}): split=all packs both.")
    return "\n".join(lines)


if __name__ == "__main__":
    pack()
