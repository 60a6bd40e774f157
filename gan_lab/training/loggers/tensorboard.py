"""TensorBoard event files.

The event files of a resumed run's parts lie in one folder; events that an earlier part logged after the checkpoint are
removed.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image
from torch import Tensor

from gan_lab.training.loggers.marks import Marks
from gan_lab.training.loggers.media import Row, show_animation, show_image, show_table

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from torch.utils.tensorboard import SummaryWriter


class TensorBoard(TensorBoardLogger):
    """Writes event files to ``<folder>/tensorboard``.

    The configuration is shown as text, and its leaves as hyperparameters: TensorBoard lists each run's hyperparameters
    with the last value of every metric, and many runs in one table.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(folder, name="", version="tensorboard", default_hp_metric=False)
        self.config: Mapping[str, Any] = {}

    @rank_zero_only
    def log_hyperparams(self, params: Mapping[str, Any], *args: object, **kwargs: object) -> None:  # type: ignore[override]
        self.config = params

    @property
    def experiment(self) -> Any:
        """Writer of torch.utils.tensorboard, which opens its file on first use and not before.

        Lightning asks for it before it is known where a resumed run continues.
        """
        opened = self._experiment is not None or getattr(rank_zero_only, "rank", False)
        return super().experiment if opened else _Unopened(self)

    @rank_zero_only
    def begin(self, images: int, marks: Marks | None = None) -> None:
        """Removes events that an earlier part of the run logged after ``images``, and opens a new file.

        Without marks they stay in their files, and are hidden from readers.
        """
        if marks is not None:
            for path in self._files():
                if (size := marks.get(self._relative(path))) is None:
                    path.unlink()
                elif size < path.stat().st_size:
                    os.truncate(path, size)
        self.writer(images, purge=None if marks is not None else images + 1 if images else 0)

    def marks(self) -> dict[str, int]:
        """Returns the sizes of the event files, within the run's folder."""
        return {self._relative(path): path.stat().st_size for path in self._files()}

    def _files(self) -> list[Path]:
        return sorted(Path(self.log_dir).glob("events.out.tfevents.*"))

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.root_dir).as_posix()

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.writer(step or 0, purge=step)
        super().log_metrics(metrics, step)

    def writer(self, step: int, purge: int | None = None) -> "SummaryWriter":
        """Returns the writer. Opening it hides events of earlier files from the step ``purge`` on, and logs the
        configuration.
        """
        if self._experiment is None:
            if purge is not None and self._files():
                self._kwargs["purge_step"] = purge
            opened: SummaryWriter = super().experiment
            if self.config:
                text = json.dumps(self.config, indent=2, default=str)
                opened.add_text("config", f"```json\n{text}\n```", step)
                # Readers keep the first summary of a tag: a resumed run repeats it, and it counts once.
                self.add(self._session()[0], step)
        return cast("SummaryWriter", self._experiment)

    def _session(self) -> tuple["Summary", "Summary"]:
        """Returns the summaries that mark the start of a run with these hyperparameters, and its successful end.

        The experiment summary is left out: TensorBoard would take the table's columns from a single run's. Without it
        the columns are all runs' hyperparameters and metrics.
        """
        from torch.utils.tensorboard.summary import hparams

        return hparams(dict(_leaves(self.config)), {})[1:]  # type: ignore[no-untyped-call, no-any-return]

    def add(self, summary: "Summary", step: int) -> None:
        """Writes a summary that SummaryWriter has no method for."""
        self.writer(step)._get_file_writer().add_summary(summary, step)

    @rank_zero_only
    def save(self) -> None:
        if self._experiment is not None:
            self._experiment.flush()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if self._experiment is not None and self.config and status == "success":
            self.add(self._session()[1], 0)
        super().finalize(status)


class _Unopened:
    """Stands for a writer that is not opened yet; the first use of it opens it."""

    def __init__(self, logger: TensorBoard) -> None:
        self._logger = logger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._logger.writer(0), name)


def _leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, bool | float | str]]:
    """Yields the values that are not null by their dotted keys; lists as text."""
    for key, value in node.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{name}.")
        elif value is not None:
            yield name, value if isinstance(value, bool | int | float | str) else json.dumps(value, default=str)


@show_image.register
def _(logger: TensorBoard, name: str, image: Tensor, step: int) -> None:
    logger.writer(step).add_image(name, image.cpu(), step)


@show_animation.register
def _(logger: TensorBoard, name: str, path: Path, step: int) -> None:
    """Logs the file as an image: TensorBoard passes its bytes on unchanged, and browsers play it."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    with Image.open(path) as first:
        width, height = first.size
    image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=path.read_bytes())
    logger.add(Summary(value=[Summary.Value(tag=name, image=image)]), step)


@show_table.register
def _(logger: TensorBoard, name: str, columns: Sequence[str], rows: Sequence[Row], step: int) -> None:
    lines = [list(columns), ["---"] * len(columns), *rows]
    text = "\n".join("|".join("" if cell is None else str(cell).replace("|", "\\|") for cell in line) for line in lines)
    logger.writer(step).add_text(name, text, step)
