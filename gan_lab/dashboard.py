"""Makes the Weights & Biases workspace of a project: ``python -m gan_lab.dashboard project=gan_lab``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gan_lab.cli.artifacts import Artifact, Message
from gan_lab.cli.command import command
from gan_lab.cli.requests import Request, Words
from gan_lab.common.errors import UserError


@dataclass(frozen=True, kw_only=True)
class DashboardRequest(Request):
    rest: Annotated[tuple[str, ...], Words("")] = ()
    project: str | None = None
    entity: str | None = None
    name: str = "gan_lab"
    output: Path | None = None

    def __post_init__(self) -> None:
        if self.rest or not self.project:
            wrong = f"{self.rest[0]} is not a key of this command" if self.rest else "The project is missing"
            raise UserError(f"{wrong}: give project=… as in logger.wandb.project.")


@command(DashboardRequest)
def dashboard(request: DashboardRequest) -> Iterator[Artifact]:
    """Makes the workspace of a project on Weights & Biases, with its curves, tables and images.

    project=   the project, as in logger.wandb.project; must be given
    entity=    the project's owner; by default yours
    name=      the workspace's name
    output=    a JSON file to write the workspace to, instead of W&B
    """
    from gan_lab.training.loggers.wandb_workspace import save, write

    assert request.project
    if request.output:
        written = write(request.project, request.entity, request.name, str(request.output))
        yield Message(f"Wrote {written}")
    else:
        yield Message(f"The workspace {request.name}: {save(request.project, request.entity, request.name)}")


if __name__ == "__main__":
    dashboard()
