"""Weights & Biases; a connection that fails never ends a run, and never delays it for long."""

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn
from torch import Tensor

from gan_lab.common.atomic import atomic_write
from gan_lab.common.bounds import NonNegative
from gan_lab.common.images import to_pil
from gan_lab.training.loggers.media import Row, show_animation, show_image, show_table, store_checkpoint
from gan_lab.training.loggers.wandb_connection import missing_requirement, run_with_timeout, teardown

if TYPE_CHECKING:
    from wandb import Run


class WandB(WandbLogger):
    """Logs to Weights & Biases, with all files in ``<folder>/wandb``.

    The run's id is kept in ``<folder>/wandb_id``, so that a resumed run continues the same W&B run. Without a key
    (``WANDB_API_KEY`` or ``wandb login``), a network or a server that answers, it records offline after one warning;
    ``wandb sync`` uploads an offline run later. ``WANDB_MODE=offline`` and ``disabled`` are respected.

    Args:
        folder: the run's folder; nothing is written outside it.
        project: the W&B project.
        entity: the user or team that owns the project; None takes the key's default.
        name: the run's name in W&B; None lets W&B invent one (the configuration gives the folder's).
        group: group of runs that are shown together.
        tags: the run's tags; None entries are left out, and a string is split at commas.
        log_model: store the checkpoints passed to ``log_checkpoint`` as versions of an artifact.
        start_seconds: time limit for the server at the start; after it the run is recorded offline.
        end_seconds: time limit for uploads at the end; large checkpoints over a slow connection need more.
        init: further arguments of ``wandb.init`` (notes, job_type, …).
    """

    def __init__(
        self,
        folder: str | Path,
        project: str = "gan_lab",
        entity: str | None = None,
        name: str | None = None,
        group: str | None = None,
        tags: str | Sequence[str | None] = (),
        log_model: bool = False,
        start_seconds: NonNegative = 30.0,
        end_seconds: NonNegative = 60.0,
        **init: Any,
    ) -> None:
        unique_tags = list(dict.fromkeys(filter(None, tags.split(",") if isinstance(tags, str) else tags)))
        init = {"entity": entity, "group": group, "tags": unique_tags or None, **init}
        super().__init__(name=name, save_dir=folder, project=project, **init)
        self._wandb_init.pop("anonymous")  # has no effect any more but a warning
        self.folder = Path(folder)
        self.stores_checkpoints, self.start_seconds, self.end_seconds = log_model, start_seconds, end_seconds
        self.connection_lost = False
        self.environment: dict[str, str] = {}  # variables set for this run, until it ends
        self.upload_seconds = end_seconds / 4  # for uploads of checkpoints; the rest is for the end itself

    @property
    @rank_zero_experiment
    def experiment(self) -> "Run":
        if self._experiment is None:
            self._prepare()
            self._start()
            self._send(lambda run: run.define_metric("images"))
            self._send(lambda run: run.define_metric("*", step_metric="images", step_sync=True))
        return cast("Run", self._experiment)

    def _prepare(self) -> None:
        """Sets the run's id, W&B's folders and its mode, before its service process starts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        stored = self.folder / "wandb_id"
        if not stored.exists():
            with atomic_write(stored) as temporary:
                temporary.write_text(os.environ.get("WANDB_RUN_ID") or secrets.token_hex(4))
        self._wandb_init["id"] = self._id = stored.read_text().strip()
        for variable, folder in {"WANDB_CACHE_DIR": "cache", "WANDB_DATA_DIR": "data"}.items():
            if variable not in os.environ:
                os.environ[variable] = self.environment[variable] = str((self.folder / "wandb" / folder).resolve())
        # W&B's reports of its own errors would, at the end, wait for a silent server once more.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        online = self._wandb_init.get("mode", "online") == "online"
        if online and (missing := missing_requirement(self.start_seconds / 5)):
            self._go_offline(missing)

    def _go_offline(self, reason: str) -> None:
        rank_zero_warn(
            f"Weights & Biases records offline in {self.folder / 'wandb'}, since {reason}; wandb sync uploads the run "
            "later."
        )
        self._wandb_init["mode"] = "offline"

    def _start(self) -> None:
        import wandb

        wandb.finish()
        # Without ``quiet`` it first asks for the user's name, three times and regardless of the time limit.
        init, finish = self.start_seconds * 4 / 5, self.end_seconds * 3 / 4
        settings = wandb.Settings(init_timeout=init, finish_timeout=finish, finish_timeout_raises=True, quiet=True)
        try:
            self._experiment = wandb.init(**self._wandb_init, settings=settings)
        except Exception as error:  # a wrong argument fails offline too, and ends the run
            teardown()
            first_line = next(iter(str(error).splitlines()), type(error).__name__)
            self._go_offline(f"its server refused or did not answer ({first_line})")
            self._experiment = wandb.init(**self._wandb_init, settings=settings)

    def _send(self, message: Callable[["Run"], object]) -> None:
        """Sends a message to W&B's service; if the service fails, the run continues after one warning."""
        if self.connection_lost:
            return
        run = self.experiment
        try:
            message(run)
        except Exception as error:
            self.connection_lost = True
            rank_zero_warn(
                f"Weights & Biases accepts no more data ({type(error).__name__}: {error}), so the run continues "
                f"without it; earlier data are in {self.folder / 'wandb'}."
            )

    @rank_zero_only
    def log_hyperparams(self, params: Mapping[str, Any], *args: object, **kwargs: object) -> None:  # type: ignore[override]
        """Stores the configuration as nested plain containers."""
        self._send(lambda run: run.config.update(dict(params), allow_val_change=True))

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        self._send(lambda run: run.log({**metrics, "images": step or 0}))

    def store_checkpoint(self, checkpoint: Path, alias: str) -> None:
        """Stores a checkpoint as a version of the run's artifact if ``log_model`` was given."""
        if self.stores_checkpoints:
            self._send(lambda run: self._upload(run, checkpoint, alias))

    def _upload(self, run: "Run", checkpoint: Path, alias: str) -> None:
        """Uploads with a time limit: W&B asks its server about artifacts, and waits for the answer."""

        def upload() -> None:
            run.log_model(str(checkpoint), name=f"model-{run.id}", aliases=[alias])

        if getattr(run, "offline", True):
            upload()
            return
        began = time.monotonic()
        run_with_timeout(upload, self.upload_seconds)
        self.upload_seconds -= time.monotonic() - began

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Ends the W&B run, so that the next job of a sweep in this process starts its own."""
        if self._experiment is not None:
            self._end(cast("Run", self._experiment), status)
        self._experiment = None
        for variable, value in self.environment.items():
            if os.environ.get(variable) == value:
                del os.environ[variable]
        self.environment = {}

    def _end(self, run: "Run", status: str) -> None:
        try:
            run.finish(exit_code=0 if status == "success" else 1)
        except Exception as error:
            teardown()
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            if isinstance(error, TimeoutError):
                reason = f"the upload was not complete within {self.end_seconds:g} s"
            if not self.connection_lost:
                rank_zero_warn(
                    f"Weights & Biases may lack the end of this run, since {reason}: wandb sync uploads the rest from "
                    f"{self.folder / 'wandb'}."
                )


@show_image.register
def _(logger: WandB, name: str, image: Tensor, step: int) -> None:
    import wandb

    logger.log_metrics({name: wandb.Image(to_pil(image))}, step)


@show_animation.register
def _(logger: WandB, name: str, path: Path, step: int) -> None:
    import wandb

    logger.log_metrics({name: wandb.Video(str(path), format="gif")}, step)


@show_table.register
def _(logger: WandB, name: str, columns: Sequence[str], rows: Sequence[Row], step: int) -> None:
    import wandb

    logger.log_metrics({name: wandb.Table(columns=list(columns), data=[list(row) for row in rows])}, step)


@store_checkpoint.register
def _(logger: WandB, path: Path, alias: str) -> None:
    logger.store_checkpoint(path, alias)
