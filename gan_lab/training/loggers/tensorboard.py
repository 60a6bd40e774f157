"""TensorBoard event files.

The event files of a resumed run's parts lie in one folder; events that an earlier part logged after the checkpoint are
hidden.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image
from torch import Tensor

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

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.writer(step or 0)
        super().log_metrics(metrics, step)

    def writer(self, step: int) -> "SummaryWriter":
        """Returns the writer. If earlier event files exist, opening it hides their events from ``step`` on."""
        if self._experiment is None:
            if any(Path(self.log_dir).glob("events.*")):
                self._kwargs["purge_step"] = step
            if self.config:
                text = json.dumps(self.config, indent=2, default=str)
                self.experiment.add_text("config", f"```json\n{text}\n```", step)
                # Readers keep the first summary of a tag: a resumed run repeats it, and it counts once.
                self.add(self._session()[0], step)
        return self.experiment

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
