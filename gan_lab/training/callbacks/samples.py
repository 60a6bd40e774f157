"""Sample grids during training: images of fixed latents, or translations of fixed test images."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from gan_lab.common.atomic import writing
from gan_lab.common.bounds import Natural, PositiveInt, Seed
from gan_lab.common.errors import UserError
from gan_lab.common.images import read_frames, save_animation, save_png
from gan_lab.evaluation.kinds import animation_for, sheet_for
from gan_lab.inference.sheets import SheetOptions
from gan_lab.training.callbacks.interval import ImageInterval, State
from gan_lab.training.callbacks.stop import INTERRUPTED, is_stopped, long_step
from gan_lab.training.callbacks.untrained import Untrained
from gan_lab.training.loggers import log_animation, log_image


class SampleGrid(Callback):
    """Writes a grid of the model's outputs for fixed latents, or fixed test images, as PNG and to every logger.

    It does so of the model before training, every ``every`` images, and at the end. The grid of the untrained model is
    drawn after the first iteration, from the weights before it, so that a wrong configuration is seen sooner. Files in
    the run's folder:

    - ``samples/<images seen>.png``: each grid;
    - ``samples.png``: the last one;
    - ``samples.gif``: all of them, as an animation;
    - ``interpolation.gif``: walks through the latent space, for a model that has one;
    - ``prediction.gif``: predictions of a model of sequences.

    A signal interrupts it; what is then missing is made up for when the run is resumed.

    A conditional model on data with classes has a class in each row, a translation model a test image in each: see
    ``gan_lab.evaluation.kinds``. A model that neither samples nor translates nor predicts has no grid.

    Args:
        every: images between grids; 0 writes the first and the last alone.
        folder: the run's folder.
        n: images in a grid.
        seed: seed of the latents, or of stochastic translations.
        columns: samples in a row; None makes the grid as square as possible.
        animate: write the animations.

    Raises:
        UserError: if ``n`` is below 1.
    """

    def __init__(
        self,
        every: Natural,
        folder: str,
        n: PositiveInt = 64,
        seed: Seed = 0,
        columns: PositiveInt | None = None,
        animate: bool = True,
    ) -> None:
        if n < 1:
            raise UserError(f"callbacks.samples.n={n} is not valid: give an integer of at least 1.")
        self.every, self.folder = ImageInterval(every), Path(folder)
        self.options, self.animate = SheetOptions(n, seed, columns), animate
        self.sheet: Callable[[], Tensor] | None = None
        self.shown = self.animated = -1
        self.owed = False  # a grid of these weights, which a signal interrupted
        self.untrained: Untrained | None = None

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self.sheet = sheet_for(module, getattr(trainer, "datamodule", None), self.options)
        if self.sheet is None:
            rank_zero_info(f"No sample grids: {type(module).__name__} has no outputs to show on these data.")
        elif self.owed:
            self._show(trainer, module, self.sheet)
        elif module.images_seen == 0 and trainer.is_global_zero:
            with writing(self.folder):
                self.untrained = Untrained(module, self.folder)

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: object) -> None:
        if self.sheet and self.untrained:
            self._show_untrained(trainer, module, self.sheet, self.untrained)
        if self.sheet and self.every.due(module.images_seen):
            self._show(trainer, module, self.sheet)

    def teardown(self, trainer: Trainer, module: Any, stage: str) -> None:
        self._forget_untrained()

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        if self.sheet is None or is_stopped(trainer):
            return
        if self.shown != module.images_seen:
            self._show(trainer, module, self.sheet)
        if self.animate and self.animated != module.images_seen and not self.owed:
            completed = not trainer.is_global_zero or long_step(trainer, partial(self._animate, trainer, module))
            self.animated = module.images_seen if completed else -1

    def _show_untrained(
        self, trainer: Trainer, module: Any, make_sheet: Callable[[], Tensor], untrained: Untrained
    ) -> None:
        """Shows the weights before training, on rank 0 alone; a signal leaves the grid out."""
        made: list[Tensor] = []

        def draw() -> None:
            with untrained.restored(module):
                made.append(make_sheet())

        if long_step(trainer, draw):
            self._write(trainer, made[0], 0)
        self._forget_untrained()

    def _forget_untrained(self) -> None:
        if self.untrained:
            self.untrained.close()
        self.untrained = None

    def _show(self, trainer: Trainer, module: Any, make_sheet: Callable[[], Tensor]) -> None:
        """Averages the buffers over all ranks (collective); then rank 0 makes the images."""
        if hasattr(module, "sync_buffers"):
            module.sync_buffers()
        made: list[Tensor] = []
        if trainer.is_global_zero:
            self.owed = not long_step(trainer, lambda: made.append(make_sheet()))
        if self.owed:
            return
        self.shown = module.images_seen
        for sheet in made:
            self._write(trainer, sheet, self.shown)

    def _write(self, trainer: Trainer, sheet: Tensor, images_seen: int) -> None:
        save_png(self.folder / "samples" / f"{images_seen:09d}.png", sheet)
        save_png(self.folder / "samples.png", sheet)
        log_image(trainer.loggers, "samples", sheet, images_seen)

    def missing(self, images_seen: int) -> dict[str, str]:
        """Returns "samples", and why, if the end of the run lacks its grid or its animations."""
        wanted = () if self.sheet is None else (self.shown, self.animated) if self.animate else (self.shown,)
        return {"samples": INTERRUPTED} if any(at != images_seen for at in wanted) else {}

    def _animate(self, trainer: Trainer, module: Any) -> None:
        self._animate_grids(module.images_seen)
        self._animate_model(trainer, module)

    def _animate_grids(self, images_seen: int) -> None:
        """Reads the grids from disk, so that those written before the run was resumed are included."""
        found = sorted((self.folder / "samples").glob("*.png"))  # a user's own pictures may be among them
        grids = [path for path in found if path.stem.isdecimal() and int(path.stem) <= images_seen]
        save_animation(self.folder / "samples.gif", read_frames(grids), fps=8)

    def _animate_model(self, trainer: Trainer, module: Any) -> None:
        animation = animation_for(module, getattr(trainer, "datamodule", None), self.options.seed)
        if animation is not None:
            path = self.folder / f"{animation.name}.gif"
            save_animation(path, animation.frames, fps=12)
            log_animation(trainer.loggers, animation.name, path, module.images_seen)

    def state_dict(self) -> State:
        return {"every": self.every.state_dict(), "shown": self.shown, "animated": self.animated, "owed": self.owed}

    def load_state_dict(self, state: State) -> None:
        self.every.load_state_dict(state["every"])
        self.shown, self.animated = state["shown"], state.get("animated", -1)
        self.owed = state.get("owed", False)
