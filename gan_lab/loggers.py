"""Where figures and pictures of a run go: a CSV table, TensorBoard, Weights & Biases. The x-axis is images seen.

A resumed run goes on in its folder: the first step that is logged tells where, and what an earlier part had logged
from there on (it was killed after its last checkpoint) gives way.
"""

import csv
import io
import json
import os
import secrets
import time
from collections.abc import Iterable, Mapping
from functools import singledispatch
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn
from torch import Tensor

from gan_lab.atomic import replacing
from gan_lab.imaging import to_pil
from gan_lab.online import lack

FLUSH_SECONDS = 5.0


@rank_zero_only
def log_image(loggers: Iterable[Logger], name: str, image: Tensor, step: int) -> None:
    """Shows a picture, uint8 (1 or 3, H, W), in every logger that can show one."""
    for logger in loggers:
        _show(logger, name, image, step)


@rank_zero_only
def log_checkpoint(loggers: Iterable[Logger], path: str | Path) -> None:
    """Hands a finished checkpoint to every logger that was asked to keep it (W&B with ``log_model``)."""
    for logger in loggers:
        if isinstance(logger, WandB):
            logger.keep(Path(path))


@singledispatch
def _show(logger: Logger, name: str, image: Tensor, step: int) -> None:
    """Other loggers show no pictures."""


class CSV(Logger):
    """A wide table ``<folder>/metrics.csv``: a row a step, ``images`` first, a new column where a new name comes.

    Rows reach the disk every few seconds; a row that was cut by a crash is dropped on resuming.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.path = self.folder / "metrics.csv"
        self.columns: list[str] = []
        self.rows: list[dict[str, Any]] = []
        self.end = 0
        self.written = time.monotonic()

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self.folder)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """A table of figures has no place for them."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float | Tensor], step: int | None = None) -> None:
        step = int(step or 0)
        if not self.columns:
            self._open(step)
        if not self.rows or self.rows[-1]["images"] != step:
            self.rows.append({"images": step})
        self.rows[-1].update({name: _number(value) for name, value in metrics.items()})
        if time.monotonic() - self.written > FLUSH_SECONDS:
            self.save()

    def _open(self, step: int) -> None:
        """Takes up the table of an earlier part of the run, up to the step where this part begins."""
        self.columns = ["images"]
        if self.path.exists():
            whole, _, _ = self.path.read_text().rpartition("\n")
            reader = csv.DictReader(io.StringIO(whole))
            self.columns = list(reader.fieldnames or self.columns)
            self.rows = [{**row, "images": int(row["images"])} for row in reader if int(row["images"]) <= step]
            self._rewrite()

    @rank_zero_only
    def save(self) -> None:
        """Brings the file up to date; the newest row may still grow, so the next time it is written again."""
        self.written = time.monotonic()
        if not self.rows:
            return
        names = sorted({name for row in self.rows for name in row} - set(self.columns))
        if names or not self.end:
            self._widen(names)
            return
        with self.path.open("r+", newline="") as file:
            file.seek(self.end)
            file.truncate()
            self._write(file)

    def _widen(self, names: list[str]) -> None:
        kept = []
        if self.end:
            with self.path.open("rb") as file:
                kept = list(csv.DictReader(io.StringIO(file.read(self.end).decode())))
        self.columns += names
        self.rows = [*kept, *self.rows]
        self._rewrite()

    def _rewrite(self) -> None:
        with replacing(self.path) as beside, beside.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(self.columns)
            self._write(file)

    def _write(self, file: io.TextIOWrapper) -> None:
        """Writes the waiting rows and remembers where the newest begins."""
        table = csv.DictWriter(file, self.columns, lineterminator="\n")
        table.writerows(self.rows[:-1])
        file.flush()
        self.end = file.tell()
        table.writerows(self.rows[-1:])
        self.rows = self.rows[-1:]

    @rank_zero_only
    def finalize(self, status: str) -> None:
        self.save()


def _number(value: float | Tensor) -> str | int:
    value = value.item() if isinstance(value, Tensor) else value
    return value if isinstance(value, int) else f"{value:.8g}"


class TensorBoard(TensorBoardLogger):
    """Event files directly in ``<folder>/tensorboard``; the configuration is shown as text."""

    def __init__(self, folder: str | Path) -> None:
        super().__init__(folder, name="", version="tensorboard", default_hp_metric=False)
        self.config = ""

    @rank_zero_only
    def log_hyperparams(self, params: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        self.config = json.dumps(params, indent=2, default=str)

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
                self.experiment.add_text("config", f"```json\n{self.config}\n```", step)
        return self.experiment

    @rank_zero_only
    def save(self) -> None:
        if self._experiment is not None:
            self._experiment.flush()


@_show.register
def _(logger: TensorBoardLogger, name: str, image: Tensor, step: int) -> None:
    writer = logger.writer(step) if isinstance(logger, TensorBoard) else logger.experiment
    writer.add_image(name, image.cpu(), step)


class WandB(WandbLogger):
    """Weights & Biases, in ``<folder>/wandb``. The run's id is kept in ``<folder>/wandb_id``, so that a resumed run
    goes on in the same one.

    Without a key (``WANDB_API_KEY`` or ``wandb login``) or a network it records offline, after one warning;
    ``WANDB_MODE=offline`` and ``disabled`` are honoured. ``wandb sync`` sends an offline run later.

    Args:
        folder: the run's folder; nothing is written outside it.
        project: the W&B project.
        name: the run's name there; None lets W&B invent one.
        log_model: keep the checkpoints handed to ``log_checkpoint`` as artifacts.
        init: further arguments of ``wandb.init`` (entity, group, tags, notes …).
    """

    def __init__(
        self,
        folder: str | Path,
        project: str = "gan_lab",
        name: str | None = None,
        log_model: bool = False,
        **init: Any,
    ) -> None:
        super().__init__(name=name, save_dir=folder, project=project, **init)
        self.folder = Path(folder)
        self.keeps_model = log_model

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        if self._experiment is None:
            self._prepare()
            self._begin()
            self._experiment.define_metric("images")  # type: ignore[attr-defined]
            self._experiment.define_metric("*", step_metric="images", step_sync=True)  # type: ignore[attr-defined]
        return self._experiment

    def _prepare(self) -> None:
        """Settles the run's id, the places W&B writes to and the mode, before its service starts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        stored = self.folder / "wandb_id"
        if not stored.exists():
            with replacing(stored) as beside:
                beside.write_text(os.environ.get("WANDB_RUN_ID") or secrets.token_hex(4))
        self._wandb_init["id"] = self._id = stored.read_text().strip()
        for variable, place in {"WANDB_CACHE_DIR": "cache", "WANDB_DATA_DIR": "data"}.items():
            os.environ.setdefault(variable, str((self.folder / "wandb" / place).resolve()))
        if lacking := lack():
            self._go_offline(lacking)

    def _go_offline(self, why: str) -> None:
        rank_zero_warn(
            f"Weights & Biases records offline in {self.folder / 'wandb'}, since {why}; wandb sync sends the run later."
        )
        self._wandb_init["mode"] = "offline"

    def _begin(self) -> None:
        import wandb

        wandb.finish()
        try:
            self._experiment = wandb.init(**self._wandb_init)
        except wandb.errors.Error as error:
            self._go_offline(f"its server refused ({error})")
            self._experiment = wandb.init(**self._wandb_init)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        self.experiment.log({**metrics, "images": step or 0})

    def keep(self, checkpoint: Path) -> None:
        """Stores a checkpoint as an artifact, where ``log_model`` asks for it."""
        if self.keeps_model:
            self.experiment.log_model(str(checkpoint), name=f"model-{self.experiment.id}", aliases=[checkpoint.stem])

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Ends the W&B run, so that the next job of a sweep in this process begins its own."""
        if self._experiment is not None:
            self._experiment.finish(exit_code=0 if status == "success" else 1)
            self._experiment = None


@_show.register
def _(logger: WandbLogger, name: str, image: Tensor, step: int) -> None:
    logger.log_image(name, [to_pil(image)], step)
