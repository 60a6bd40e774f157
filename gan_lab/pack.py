"""Packs images for other programs, or in shards that stream: ``python -m gan_lab.pack data=cifar10 format=edm``."""

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
from gan_lab.common.wording import counted

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True, kw_only=True)
class PackRequest(Request):
    data: Annotated[Mapping[str, Any], DataPaths]
    split: Literal["train", "test", "all"]
    format: Literal["edm", "shards", "webdataset"]
    output: Path
    encoding: Literal["pixels", "png"]
    shard_mib: Annotated[int, Bounds(1, 2048)]
    shuffle: bool
    join: Path | None
    size: Size | None
    compression: Annotated[int, Bounds(0, 9)]
    data_dir: Path
    batch_size: PositiveInt
    seed: Seed

    @property
    def splits(self) -> dict[str, bool]:
        """Each split, and whether it is packed."""
        return {split: self.split in (split, "all") for split in ("train", "test")}

    @property
    def in_shards(self) -> bool:
        """The format is a folder of shards."""
        return self.format != "edm"

    def destination(self) -> Output:
        return Output(self.output.parent if self.join is None else self.join)

    def check_places(self) -> None:
        from gan_lab.data.reading.listing import role_of

        if self.join is not None:
            if not self.join.is_dir():
                raise UserError(f"join={self.join} does not exist: give a folder with folders of shards.")
            check_place(self.join, "join")
            return
        if self.in_shards and (self.output.exists() or self.output.suffix.lower() == ".zip"):
            raise UserError(f"output={self.output} is not valid: give the name of a folder that does not exist yet.")
        if not self.in_shards and (self.output.suffix.lower() != ".zip" or self.output.is_dir()):
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

    if config.join is None:
        complete(config)


@command(PackRequest, prepare=prepare)
def pack(request: PackRequest) -> Iterator[Artifact]:
    """Packs images into one zip that StyleGAN2-ADA, StyleGAN3, EDM and R3GAN read, or into shards for data=stream."""
    from gan_lab.cli.config.packed_data import IMAGES_INSTEAD
    from gan_lab.common.instantiate import instantiate
    from gan_lab.data.modules.images import ImageDataModule
    from gan_lab.data.modules.streams import StreamDataModule

    if request.join is not None:
        yield from joined(request.join)
        return
    data = instantiate(request.data)
    if not isinstance(data, (ImageDataModule, StreamDataModule)):
        raise UserError(f"data={request.data['name']} has no single images to pack: {IMAGES_INSTEAD}.")
    n = write(data, request)
    yield Message(summary(data, n, request))
    yield Written(request.output)


def joined(folder: Path) -> Iterator[Artifact]:
    """Writes the index of folders of shards that were packed one by one."""
    from gan_lab.data.shards.index import INDEX
    from gan_lab.data.shards.source import write_joined_index

    index = write_joined_index(folder, f"join={folder}")
    shards = sum(map(len, index.splits.values()))
    images = sum(map(index.count, index.splits))
    found = f"{counted(images, 'image')} in {counted(shards, 'shard')}"
    yield Message(f"Joined {found}: data=stream data.root={folder}, here or at a URL.")
    yield Written(folder / INDEX)


def write(data: Any, request: PackRequest) -> int:
    """Writes the file or folder, and returns the number of images in it."""
    from gan_lab.data.shards.writing import write_shards
    from gan_lab.data.writing.dataset_zip import write_dataset_zip

    packed = [split for split, packed in request.splits.items() if packed]
    if not request.in_shards:
        images = chain.from_iterable(data.stream(split) for split in packed)
        return write_dataset_zip(request.output, images, data.class_names, request.compression)
    order = request.seed if request.shuffle else None
    splits = {split if len(packed) > 1 else "all": data.stream(split, order) for split in packed}
    kind, mib = {"shards": "litdata"}.get(request.format, request.format), request.shard_mib << 20
    named = request.compression, data.class_names, data.classes
    index = write_shards(request.output, splits, kind, request.encoding, *named, mib)
    return sum(index.count(split) for split in index.splits)


def summary(data: Any, n: int, request: PackRequest) -> str:
    """Says what is in the file and what is not."""
    colours = "grey" if data.channels == 1 else "in colour"
    classes = f"{data.classes} classes" if data.classes else "no classes"
    lines = [f"Packed {counted(n, 'image')} of {data.width}×{data.height} px, {colours}, {classes}."]
    if request.in_shards:
        lines.append(f"Train on them with data=stream data.root={request.output}.")
    elif data.class_names:
        lines.append(
            "dataset.json keeps the names of the classes for gan_lab; other programs read their numbers alone."
        )
    if data.width != data.height and not request.in_shards:
        lines.append("StyleGAN and EDM read square images only: size= with one side makes them square.")
    for split, packed in request.splits.items():
        if not packed:
            left_out = counted(data.count_stored(split), "image")
            lines.append(f"The {split} split is left out ({left_out}): split=all packs both.")
    return "\n".join(lines)


if __name__ == "__main__":
    pack()
