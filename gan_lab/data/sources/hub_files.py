"""Pictures that lie in files beside a data set of ``datasets``: which of the paths that it states may be read."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


class FilesBeside:
    """The files below some folders; whoever wrote a data set may state any path in it.

    Args:
        folders: their files may be read, and those of folders in them.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self.folders = frozenset(folder.resolve() for folder in folders)

    def read(self, path: str) -> bytes:
        """Returns the bytes of a file, empty if it may not or cannot be read."""
        try:
            return b"" if self.refusal(path) else Path(path).read_bytes()
        except OSError:
            return b""

    def refusal(self, path: str) -> str:
        """Says why a file may not be read; empty if it may."""
        try:
            file = Path(path).resolve()
            if self.folders.isdisjoint(file.parents):
                return f"its file {path} is not in the folder of the data set"
            return "" if file.is_file() else f"its file {path} is missing, or no regular file"
        except (OSError, RuntimeError, ValueError):  # of loops of links, and of bytes that no path has
            return "the path of its file is none"

    def among(self, column: Any) -> list[Path]:
        """Returns the files that may be read of the rows that hold a path alone, each once.

        Args:
            column: of pyarrow, (N,), pairs of ``bytes`` and ``path``.
        """
        import pyarrow.compute as compute

        alone = compute.is_null(compute.struct_field(column, "bytes"))
        paths = compute.struct_field(column, "path").filter(alone).unique().drop_null().to_pylist()
        return [Path(path) for path in paths if path and not self.refusal(path)]


def folders_of(root: Path | None, name: str) -> Sequence[Path]:
    """Returns the folders in which a data set's own pictures may lie.

    Args:
        root: a local folder; None for a data set of the hub.
        name: of the data set on the hub.
    """
    from datasets import config

    unpacked = [Path(config.EXTRACTED_DATASETS_PATH), Path(config.DOWNLOADED_DATASETS_PATH)]
    if root is None:
        from huggingface_hub.constants import HF_HUB_CACHE

        return [*unpacked, Path(HF_HUB_CACHE) / f"datasets--{name.replace('/', '--')}"]
    whole = root.resolve()
    blobs = [whole.parent.parent / "blobs"] if whole.parent.name == "snapshots" else []  # the hub's cache holds links
    return [*unpacked, whole if whole.is_dir() else whole.parent, *blobs]
