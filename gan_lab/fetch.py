"""Downloads weights that metrics need, once: ``python -m gan_lab.fetch inception to=folder``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gan_lab.cli.artifacts import Artifact, Message
from gan_lab.cli.command import command
from gan_lab.cli.requests import Request, Words
from gan_lab.common.atomic import check_place
from gan_lab.common.errors import UserError


@dataclass(frozen=True, kw_only=True)
class FetchRequest(Request):
    names: Annotated[tuple[str, ...], Words("inception")]
    to: Path | None = None

    def check_places(self) -> None:
        if self.to is not None:
            check_place(self.to, "to")

    def __post_init__(self) -> None:
        if self.names != ("inception",):
            raise UserError(f"There are no weights called {' '.join(self.names)}: give the name inception.")


@command(FetchRequest)
def fetch(request: FetchRequest) -> Iterator[Artifact]:
    """Downloads the weights of the Inception network of FID, IS and KID, and verifies their checksum.

    to=   a folder; by default torch hub's cache
    """
    from gan_lab.evaluation.features.inception import INCEPTION_URL, inception_weights

    target = None if request.to is None else request.to / INCEPTION_URL.rpartition("/")[2]
    yield Message(f"{inception_weights(target, download=True)}: complete and verified.")


if __name__ == "__main__":
    fetch()
