"""Weights & Biases, which may neither hold up a run nor end it."""

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn
from torch import Tensor

from gan_lab.common.atomic import atomic_write
from gan_lab.common.images import to_pil
from gan_lab.training.loggers.showing import Row, keep, show_animation, show_image, show_table
from gan_lab.training.loggers.wandb_connection import lack, let_go, limited


class WandB(WandbLogger):
    """Weights & Biases, in ``<folder>/wandb``. The run's id is kept in ``<folder>/wandb_id``, so that a resumed run
    goes on in the same one.

    Without a key (``WANDB_API_KEY`` or ``wandb login``), a network or a server that answers it records offline, after
    one warning; ``WANDB_MODE=offline`` and ``disabled`` are honoured. ``wandb sync`` sends an offline run later.

    Args:
        folder: the run's folder; nothing is written outside it.
        project: the W&B project.
        entity: the user or team it belongs to; None for the key's own.
        name: the run's name there; None lets W&B invent one (the configuration gives the folder's).
        group: of runs that are shown together.
        tags: that runs are found by; null ones are left out, and words in one string are parted by commas.
        log_model: keep the checkpoints handed to ``log_checkpoint`` as versions of an artifact.
        start_seconds: how long the server has at the start, before the run is recorded offline.
        end_seconds: how long it has at the end to take what is left; more for large checkpoints over a slow line.
        init: further arguments of ``wandb.init`` (notes, job_type …).
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
        start_seconds: float = 30.0,
        end_seconds: float = 60.0,
        **init: Any,
    ) -> None:
        words = dict.fromkeys(filter(None, tags.split(",") if isinstance(tags, str) else tags))
        told: dict[str, Any] = {"entity": entity, "group": group, "tags": list(words) or None}
        super().__init__(name=name, save_dir=folder, project=project, **told, **init)
        self._wandb_init.pop("anonymous")  # of no effect any more but a warning
        self.folder = Path(folder)
        self.keeps_model, self.start_seconds, self.end_seconds = log_model, start_seconds, end_seconds
        self.lost = False
        self.places: dict[str, str] = {}  # variables of the environment that are this run's, until it ends
        self.spare = end_seconds / 4  # for handing over checkpoints; the rest is for the end itself

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        if self._experiment is None:
            self._prepare()
            self._begin()
            self._send(lambda run: run.define_metric("images"))
            self._send(lambda run: run.define_metric("*", step_metric="images", step_sync=True))
        return self._experiment

    def _prepare(self) -> None:
        """Settles the run's id, the places W&B writes to and the mode, before its service starts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        stored = self.folder / "wandb_id"
        if not stored.exists():
            with atomic_write(stored) as beside:
                beside.write_text(os.environ.get("WANDB_RUN_ID") or secrets.token_hex(4))
        self._wandb_init["id"] = self._id = stored.read_text().strip()
        for variable, place in {"WANDB_CACHE_DIR": "cache", "WANDB_DATA_DIR": "data"}.items():
            if variable not in os.environ:
                os.environ[variable] = self.places[variable] = str((self.folder / "wandb" / place).resolve())
        # Reports of its own errors, which at the end would wait for a silent server once more.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        if self._wandb_init.get("mode", "online") == "online" and (lacking := lack(self.start_seconds / 5)):
            self._go_offline(lacking)

    def _go_offline(self, why: str) -> None:
        rank_zero_warn(
            f"Weights & Biases records offline in {self.folder / 'wandb'}, since {why}; wandb sync sends the run later."
        )
        self._wandb_init["mode"] = "offline"

    def _begin(self) -> None:
        import wandb

        wandb.finish()
        # Quiet: else it asks for the user's name first, three times and without regard to the limit.
        limits: dict[str, Any] = {"init_timeout": self.start_seconds * 4 / 5}
        limits |= {"finish_timeout": self.end_seconds * 3 / 4}
        settings = wandb.Settings(**limits, finish_timeout_raises=True, quiet=True)
        try:
            self._experiment = wandb.init(**self._wandb_init, settings=settings)
        except Exception as error:  # what is wrong with the arguments is so offline too, and ends the run
            let_go()
            first = next(iter(str(error).splitlines()), type(error).__name__)
            self._go_offline(f"its server refused or did not answer ({first})")
            self._experiment = wandb.init(**self._wandb_init, settings=settings)

    def _send(self, message: Callable[[Any], object]) -> None:
        """Whatever becomes of W&B's service, the run goes on, after one warning."""
        if self.lost:
            return
        run = self.experiment
        try:
            message(run)
        except Exception as error:
            self.lost = True
            rank_zero_warn(
                f"Weights & Biases takes nothing more ({type(error).__name__}: {error}), and the run goes on without "
                f"it; what it had is in {self.folder / 'wandb'}."
            )

    @rank_zero_only
    def log_hyperparams(self, params: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """The configuration as it is: nested plain containers."""
        self._send(lambda run: run.config.update(dict(params), allow_val_change=True))

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        self._send(lambda run: run.log({**metrics, "images": step or 0}))

    def keep(self, checkpoint: Path, alias: str) -> None:
        """Stores a checkpoint as a version of the run's artifact, where ``log_model`` asks for it."""
        if self.keeps_model:
            self._send(lambda run: self._hand_over(run, checkpoint, alias))

    def _hand_over(self, run: Any, checkpoint: Path, alias: str) -> None:
        """W&B asks its server about artifacts, and waits: this is given up after a while."""

        def hand_over() -> None:
            run.log_model(str(checkpoint), name=f"model-{run.id}", aliases=[alias])

        if getattr(run, "offline", True):
            hand_over()
            return
        began = time.monotonic()
        limited(hand_over, self.spare)
        self.spare -= time.monotonic() - began

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Ends the W&B run, so that the next job of a sweep in this process begins its own."""
        if self._experiment is not None:
            self._end(self._experiment, status)
        self._experiment = None
        for variable, place in self.places.items():
            if os.environ.get(variable) == place:
                del os.environ[variable]
        self.places = {}

    def _end(self, run: Any, status: str) -> None:
        try:
            run.finish(exit_code=0 if status == "success" else 1)
        except Exception as error:
            let_go()
            why = f"{type(error).__name__}: {error}".rstrip(": ")
            if isinstance(error, TimeoutError):
                why = f"its server did not take all of it within {self.end_seconds:g} s"
            if not self.lost:
                rank_zero_warn(
                    f"Weights & Biases may lack the end of this run, since {why}: wandb sync sends what is in "
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


@keep.register
def _(logger: WandB, path: Path, alias: str) -> None:
    logger.keep(path, alias)
