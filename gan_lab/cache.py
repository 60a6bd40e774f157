"""Lists and clears what is cached on disk: ``python -m gan_lab.cache clear=unused``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gan_lab.cli.artifacts import Artifact, Message
from gan_lab.cli.command import command
from gan_lab.cli.requests import Request
from gan_lab.common.bounds import NonNegative


@dataclass(frozen=True, kw_only=True)
class CacheRequest(Request):
    clear: Literal["all", "pixels", "statistics", "unused"] | None
    days: NonNegative
    cache_dir: Path | None


@command(CacheRequest)
def cache(request: CacheRequest) -> Iterator[Artifact]:
    """Lists what is cached on disk, with sizes and last use, and clears it if asked.

    Everything in the cache is made anew when it is needed. Do not clear pixels that a running training reads.
    """
    from gan_lab.cli import cached_files as files
    from gan_lab.evaluation.cache import cache_folder

    folder = cache_folder(request.cache_dir)
    things = files.list_cached(folder)
    if not things:
        yield Message(f"Nothing is cached in {folder}.")
        return
    if request.clear is None:
        yield Message("\n".join([f"{folder} holds {files.counted(things)}:", *files.lines(things)]))
        return
    asked = files.chosen(things, request.clear, request.days)
    gone = list(files.remove(asked))
    kept = f"; {len(asked) - len(gone):,} cannot be removed" if len(gone) < len(asked) else ""
    yield Message(f"Cleared {files.counted(gone)} of {files.counted(things)} in {folder}{kept}.")


if __name__ == "__main__":
    cache()
