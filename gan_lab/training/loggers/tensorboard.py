"""Event files for TensorBoard.

The parts of a resumed run lie side by side, and what an earlier one logged after the checkpoint is hidden.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image
from torch import Tensor

from gan_lab.training.loggers.showing import Row, show_animation, show_image, show_table


class TensorBoard(TensorBoardLogger):
    """Event files directly in ``<folder>/tensorboard``.

    The configuration is shown as text, and its leaves as hyperparameters: TensorBoard puts the last value of every
    figure beside them, and many runs into one table.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(folder, name="", version="tensorboard", default_hp_metric=False)
        self.config: Mapping[str, Any] = {}

    @rank_zero_only
    def log_hyperparams(self, params: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        self.config = params

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.writer(step or 0)
        super().log_metrics(metrics, step)

    def writer(self, step: int) -> Any:
        """The SummaryWriter. One that is opened over earlier event files hides what they hold from ``step`` on."""
        if self._experiment is None:
            if any(Path(self.log_dir).glob("events.*")):
                self._kwargs["purge_step"] = step
            if self.config:
                told = json.dumps(self.config, indent=2, default=str)
                self.experiment.add_text("config", f"```json\n{told}\n```", step)
                # Readers keep the first of a tag: a resumed run's is the same again, and counts once.
                self.add(self._session()[0], step)
        return self.experiment

    def _session(self) -> tuple[Any, Any]:
        """What says that a run with these hyperparameters has begun, and that it has ended well.

        Without an experiment's summary, which of many runs' would be taken from one: TensorBoard then makes the table's
        columns of all runs' hyperparameters and figures.
        """
        from torch.utils.tensorboard.summary import hparams

        return hparams(dict(_leaves(self.config)), {})[1:]  # type: ignore[no-untyped-call]

    def add(self, summary: Any, step: int) -> None:
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
    """What is not null, by its dotted key; a list as text."""
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
    """As a picture: browsers play it, and TensorBoard hands out the bytes as they are."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    with Image.open(path) as first:
        width, height = first.size
    picture = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=path.read_bytes())
    logger.add(Summary(value=[Summary.Value(tag=name, image=picture)]), step)


@show_table.register
def _(logger: TensorBoard, name: str, columns: Sequence[str], rows: Sequence[Row], step: int) -> None:
    lines = [list(columns), ["---"] * len(columns), *rows]
    text = "\n".join("|".join("" if cell is None else str(cell).replace("|", "\\|") for cell in line) for line in lines)
    logger.writer(step).add_text(name, text, step)
