"""The folder that shards lie in: on this machine, or at a URL of an object store, from which they are copied."""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from gan_lab.common.errors import UserError
from gan_lab.common.found_files import stated_files
from gan_lab.data.loading.cache import cache_folder
from gan_lab.data.reading.download import check_contact
from gan_lab.data.shards.index import lies_inside

T = TypeVar("T")
URL = re.compile(r"[a-z0-9]+://|local:")
"""The beginning of a URL; ``local:`` copies from a folder, such as one of a slow network."""
GIB = 1 << 30
DIGEST = re.compile(r"[0-9a-f]{32}")
"""What ``digest_of`` returns."""
LOCK = ".copying"
"""Ending of the files by which processes take turns; litdata uses another for its own."""


class ShardFolder:
    """A folder of shards, or a URL.

    Args:
        root: path or URL, such as s3://bucket/set.
        room: GiB of copied shards that are kept on this machine; the one that was used least recently goes first.
        cache_dir: folder of the copies; None stands for $GAN_LAB_CACHE, else ~/.cache/gan_lab.

    Raises:
        UserError: for a URL that a checkpoint names, where ``downloading`` forbids it.
    """

    def __init__(self, root: str, room: float = 64, cache_dir: str | None = None) -> None:
        self.root, self.room = root.rstrip("/"), room
        self.is_remote = bool(URL.match(root))
        if self.is_remote:
            check_contact(f"data.root={root}", "data.root=…, a folder or a URL of your own")
        digest = blake2b(self.root.encode(), digest_size=8).hexdigest()
        self.folder = cache_folder(cache_dir).parent / "shards" / digest if self.is_remote else Path(root).expanduser()

    def path(self, name: str, digest: str) -> Path:
        """Returns the path of a shard, which is copied to this machine first if it lies elsewhere.

        Args:
            name: of the file, below the root.
            digest: of its content, as the index states it: a copy of another content is another file.

        Raises:
            UserError: if it cannot be copied or is another, and for a name that leads out of the folder.
        """
        if not lies_inside(name):
            raise UserError(f"{self.root} names the shard {name!r}, which is not in its folder: pack the images again.")
        if not self.is_remote:
            return self.folder / name
        if not DIGEST.fullmatch(digest):
            raise UserError(f"{self.root} states no hash of the shard {name}: pack the images again.")
        local = self.folder / digest[:16] / name
        return twice(lambda: self._kept(name, local, digest))

    def _kept(self, name: str, local: Path, digest: str) -> Path:
        with _turn(local):
            if not local.is_file():
                self._make_room()
                self._copy(name, local, digest)
            os.utime(local)
        return local

    def content(self, name: str) -> bytes:
        """Returns what is in a file now, such as the index.

        Raises:
            UserError: if it cannot be copied.
        """
        local = self.folder / name
        return twice(lambda: self._fresh(name, local)) if self.is_remote else local.read_bytes()

    def _fresh(self, name: str, local: Path) -> bytes:
        with _turn(local):
            self._copy(name, local)
            return local.read_bytes()

    def _copy(self, name: str, local: Path, digest: str | None = None) -> None:
        """Copies a file under another name first, so that a copy is complete or absent."""
        downloader, part = _litdata_downloader(self.root, str(self.folder)), local.with_name(f"{local.name}.part")
        try:
            part.unlink(missing_ok=True)
            downloader.download_file(f"{self.root}/{name}", str(part))
            if not part.is_file():
                raise FileNotFoundError("it is not there")
            if digest not in (None, digest_of(part)):
                raise ValueError("its content is not what the index states")
            part.replace(local)
        except Exception as error:  # clients of object stores raise many kinds of exceptions
            said = " ".join(str(error).split())[:300]
            raise UserError(
                f"{self.root}/{name} cannot be copied ({said}): check the address and the access."
            ) from error

    def _make_room(self) -> None:
        """Removes copies that were not used for longest, until those that stay take three quarters of the room."""
        files = [(stated, file) for stated, file in stated_files(self.folder) if file.suffix != LOCK]
        taken = sum(stated.st_size for stated, _ in files)
        if taken <= self.room * GIB:
            return
        for stated, file in sorted(files, key=lambda each: each[0].st_mtime):
            if taken > 0.75 * self.room * GIB and time.time() - stated.st_mtime > 1:
                with suppress(OSError):  # another process may have removed it
                    file.unlink()
                taken -= stated.st_size


@contextmanager
def _turn(local: Path) -> Iterator[None]:
    """Waits until no other process copies a file."""
    local.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{local}{LOCK}"):
        yield


def twice(work: Callable[[], T]) -> T:
    """Returns what a function returns, which is called again if another process has just removed its file.

    Raises:
        FileNotFoundError: if the file is not there the second time either.
    """
    try:
        return work()
    except FileNotFoundError:
        return work()


def digest_of(file: Path) -> str:
    """Returns a hash of the content of a file."""
    with file.open("rb") as stream:
        return file_digest(stream, lambda: blake2b(digest_size=16)).hexdigest()


def _litdata_downloader(root: str, folder: str) -> Any:
    try:
        from litdata.streaming.downloader import get_downloader
    except ImportError as error:
        raise UserError("Shards at a URL need litdata: run pip install gan_lab[stream].") from error
    return get_downloader(root, folder, [])
