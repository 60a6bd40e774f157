"""Pictures of the same latents, or translations of the same pictures, while a run learns."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities import rank_zero_info

from gan_lab.common.images import read_frames, save_animation, save_png
from gan_lab.inference.sheets import Sheet, moving_for, sheet_for
from gan_lab.training.callbacks.every import Every
from gan_lab.training.loggers import log_animation, log_image


class SampleGrid(Callback):
    """Writes a grid of what the model makes of the same latents, or of the same test pictures, to
    ``<folder>/samples/<images seen>.png`` and to every logger: before training, every so many images, and at the end.
    The last is also ``<folder>/samples.png``, and all of them together ``<folder>/samples.gif``. Walks through the
    latent space of a model that has one are, at the end, ``<folder>/interpolation.gif``, and predictions of a model of
    sequences ``<folder>/prediction.gif``.

    A conditional model on data with classes shows a class in each row, a model that translates a test picture in each:
    see ``sheets``. A model that does neither has no grid.

    Args:
        every: images between grids.
        folder: the run's folder.
        n: pictures in a grid.
        seed: of the latents, or of a translation's chance.
        columns: samples in a row; None makes the grid as square as it can be.
        animate: make the animations.
    """

    def __init__(
        self, every: int, folder: str, n: int = 64, seed: int = 0, columns: int | None = None, sample_clips: bool = True
    ) -> None:
        self.every, self.folder = Every(every), Path(folder)
        self.n, self.seed, self.columns, self.sample_clips = n, seed, columns, sample_clips
        self.sheet: Sheet | None = None
        self.shown = -1

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self.sheet = sheet_for(module, getattr(trainer, "datamodule", None), self.n, self.seed, self.columns)
        if self.sheet is None:
            rank_zero_info(f"No sample grids: {type(module).__name__} makes no pictures from nothing or these data.")
        elif module.images_seen == 0:
            self._show(trainer, module, self.sheet)

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.sheet and self.every.due(module.images_seen):
            self._show(trainer, module, self.sheet)

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        if self.sheet is None:
            return
        if self.shown != module.images_seen:
            self._show(trainer, module, self.sheet)
        if trainer.is_global_zero and self.sample_clips:
            self._animate(module.images_seen)
            self._walk(trainer, module)

    def _show(self, trainer: Trainer, module: Any, make: Sheet) -> None:
        """All ranks agree on the buffers first (a collective); rank zero makes the pictures."""
        self.shown = module.images_seen
        if hasattr(module, "sync_buffers"):
            module.sync_buffers()
        if not trainer.is_global_zero:
            return
        sheet = make()
        save_png(self.folder / "samples" / f"{self.shown:09d}.png", sheet)
        save_png(self.folder / "samples.png", sheet)
        log_image(trainer.loggers, "samples", sheet, self.shown)

    def _animate(self, images_seen: int) -> None:
        """Reads the grids from disk, so that those of the parts before a resume are among them."""
        grids = [path for path in sorted((self.folder / "samples").glob("*.png")) if int(path.stem) <= images_seen]
        save_animation(self.folder / "samples.gif", read_frames(grids), fps=8)

    def _walk(self, trainer: Trainer, module: Any) -> None:
        moving = moving_for(module, getattr(trainer, "datamodule", None), self.seed)
        if moving is not None:
            name, frames = moving
            path = self.folder / f"{name}.gif"
            save_animation(path, frames, fps=12)
            log_animation(trainer.loggers, name, path, module.images_seen)

    def state_dict(self) -> dict[str, Any]:
        return {"every": self.every.state_dict(), "shown": self.shown}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.every.load_state_dict(state["every"])
        self.shown = state["shown"]
