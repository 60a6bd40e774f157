"""Artefacts: what commands yield, and where it is written.

A command yields artefacts; ``Output`` gives each its path, writes it whole or not at all, and says so. Names and
endings follow one rule: ``output=`` is a folder, in which an artefact has its own name, or the path of one file, whose
stem all artefacts then share (``output=walk.gif`` also writes ``walk.png``).
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_lab.common.atomic import check_place, make_folder
from gan_lab.common.background import Background
from gan_lab.common.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

ANIMATIONS = (".gif", ".webp", ".mp4")
ENDINGS = (".png", *ANIMATIONS, ".json", ".html", ".npz")
IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")


class Artifact(ABC):
    """Something a command makes. Rank 0 writes it, except where ``of_every_rank`` is set."""

    of_every_rank = False

    @abstractmethod
    def write(self, output: Output) -> list[Path]:
        """Writes the artefact; returns the paths to tell the user."""

    def deliver(self, output: Output, background: Background) -> list[Path]:
        """Writes the artefact once everything before it is written; returns the paths to tell the user."""
        background.wait()
        return self.write(output)


@dataclass(frozen=True)
class Message(Artifact):
    """A line for the user."""

    text: Any

    def write(self, output: Output) -> list[Path]:
        """Prints the text, or what rich makes of it."""
        from rich.console import Console

        if isinstance(self.text, str):
            say(self.text)
        else:
            Console().print(self.text)
        return []


def say(text: str) -> None:
    """Prints a line; what the terminal cannot show, such as a byte of a name that is no UTF-8, becomes an escape."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))


@dataclass(frozen=True)
class Sheet(Artifact):
    """One image, uint8 (1 or 3, H, W), as ``<name>.png``."""

    name: str
    image: Tensor

    def write(self, output: Output) -> list[Path]:
        """Writes the PNG."""
        from gan_lab.common.images import save_png

        path = output.path(self.name, ".png")
        save_png(path, self.image, output.compression)
        return [path]


@dataclass(frozen=True)
class Animation(Artifact):
    """Frames uint8 (T, 1 or 3, H, W) as ``<name>.gif``, or with the ending that the user chose (.webp, .mp4)."""

    name: str
    frames: Tensor
    fps: float

    def write(self, output: Output) -> list[Path]:
        """Writes the animation."""
        from gan_lab.common.images import save_animation

        path = output.path(self.name, *ANIMATIONS)
        save_animation(path, self.frames, self.fps)
        return [path]


@dataclass(frozen=True)
class Images(Artifact):
    """Images (N, C, H, W) in [-1, 1], each as a PNG numbered from ``start``; every rank writes its own.

    They are compressed and written in threads, while the command computes the next.
    """

    images: Tensor
    start: int = 0
    of_every_rank = True

    def write(self, output: Output) -> list[Path]:
        """Writes the PNGs, and waits for them."""
        with Background() as background:
            return self.deliver(output, background)

    def deliver(self, output: Output, background: Background) -> list[Path]:
        from gan_lab.common.images import save_images

        save_images(output.folder, self.images, self.start, output.compression, background)
        return []


@dataclass(frozen=True)
class Record(Artifact):
    """Plain containers as ``<name>.json``."""

    name: str
    content: Mapping[str, Any]

    def write(self, output: Output) -> list[Path]:
        """Writes the JSON file."""
        from gan_lab.common.runs import write_json

        path = output.path(self.name, ".json")
        write_json(path, self.content)
        return [path]


@dataclass(frozen=True)
class Written(Artifact):
    """A file that the work has written itself."""

    path: Path

    def write(self, output: Output) -> list[Path]:
        """Tells of the file."""
        return [self.path]


def walk_artifacts(frames: Tensor, fps: float) -> list[Artifact]:
    """Frames (T, C, H, W) in [-1, 1] of a walk, as a strip and as an animation."""
    import torch

    from gan_lab.common.images import grid, strip

    single = torch.stack([grid(frame[None], pad=0) for frame in frames])
    return [Sheet("interpolation", strip(frames)), Animation("interpolation", single, fps)]


def clip_artifacts(
    name: str, clips: Tensor, columns: int | None, fps: float, shown: int | None = None
) -> list[Artifact]:
    """Clips (N, T, C, H, W) in [-1, 1], each in a row of a sheet, and side by side as an animation.

    ``shown`` frames, evenly spaced from the first to the last, are in the sheet; None shows all.
    """
    import torch

    from gan_lab.common.images import grid

    abreast = torch.stack([grid(frame, columns) for frame in clips.unbind(1)])
    steps = min(clips.shape[1], shown or clips.shape[1])
    some = clips[:, torch.linspace(0, clips.shape[1] - 1, steps).round().long()]
    return [Sheet(name, grid(some.flatten(0, 1), steps)), Animation(name, abreast, fps)]


@dataclass(frozen=True)
class Output:
    """The place of a command's artefacts: a folder, or one file whose stem they share.

    Args:
        given: the folder or file.
        compression: of PNG files, 0 to 9.
    """

    given: Path
    compression: int = 1

    @classmethod
    def base(cls, given: str | None, beside: Path | None) -> Output:
        """Takes a folder, or a file's name with or without ending; None for the folder of ``beside``, or this one."""
        if given is None:
            return cls(Path() if beside is None else beside if beside.is_dir() else beside.parent)
        path = Path(given).expanduser()
        whole = path.is_dir() or given.endswith("/") or path.suffix.lower() in (".json", ".html")
        return cls(path if whole else path.with_name(f"{path.name}.json"))

    @classmethod
    def of_edited(cls, given: Path, compression: int) -> Output:
        """Takes a folder of edited images, or the name of a single one, for its folder."""
        return cls(given.parent if cls(given).is_image else given, compression)

    @property
    def named(self) -> bool:
        """True if the user named a file rather than a folder."""
        return self.given.suffix.lower() in ENDINGS and not self.given.is_dir()

    @property
    def is_image(self) -> bool:
        """True if the user named an image."""
        return self.given.suffix.lower() in IMAGES and not self.given.is_dir()

    @property
    def is_animation(self) -> bool:
        """True if the user named an animation."""
        return self.named and self.given.suffix.lower() in ANIMATIONS

    @property
    def is_npz(self) -> bool:
        """True if the user named a .npz file."""
        return self.named and self.given.suffix.lower() == ".npz"

    @property
    def folder(self) -> Path:
        """The folder of everything that is written."""
        return self.given.parent if self.named else self.given

    def path(self, name: str, *endings: str) -> Path:
        """The path of an artefact of that name: the user's own if its ending is among these, else with the first."""
        if not self.named:
            return self.given / f"{name}{endings[0]}"
        if self.given.suffix.lower() in endings:
            return self.given
        return self.given.with_name(f"{self.given.stem}{endings[0]}")

    def check(self) -> None:
        """Checks before the work that the folder can be made; leaves nothing behind.

        Raises:
            UserError: if it cannot be made, or cannot be written to.
        """
        if self.is_image and not self.named:
            raise UserError(f"output={self.given} has an ending that is not written here: give a folder, or .png.")
        check_place(self.folder, "output")

    def deliver(self, artifact: Artifact, background: Background, rank: int = 0) -> list[Path]:
        """Writes an artefact on the ranks that do; returns the paths to tell the user."""
        if rank and not artifact.of_every_rank:
            return []
        make_folder(self.folder)
        return artifact.deliver(self, background)
