"""Forecasting frames: ConvLSTM (Shi et al. 2015), PredRNN (Wang et al. 2017), SimVP (Gao et al. 2022), by network."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.training.alternating import AlternatingModule, MakeOptimizer
from gan_lab.training.ema import EMA


class Forecaster(AlternatingModule):
    """Learns to predict each frame; satisfies ``gan_lab.common.capabilities.Predicts``, by the network's moving average.

    Args:
        network: frames, steps, and the truth where it is fed → predictions; see ``gan_lab.networks.forecasting``.
        context_frames: T, the first frames of a clip, which it is given; the others are forecast.
        optimizer: parameters → optimizer.
        teacher_forcing: probability at the beginning that a true frame is fed rather than the network's prediction of it
            (scheduled sampling, Bengio et al. 2015); a schedule of ``teacher_forcing`` lets it fall.
        l1: weight of the mean absolute error beside the mean squared error, both of values in [0, 1].
        ema_half_life: in clips.
        ema_ramp: its upper bound as a share of the clips seen; None sets none.
        core: what ``AlternatingModule`` takes.
    """

    def __init__(
        self,
        network: nn.Module,
        context_frames: int,
        optimizer: MakeOptimizer,
        teacher_forcing: float = 0.0,
        l1: float = 0.0,
        ema_half_life: float = 10_000,
        ema_ramp: float | None = 0.05,
        **core: Any,
    ) -> None:
        ema = EMA({"network": network}, ema_half_life, ema_ramp)
        super().__init__(optimizers={"network": optimizer}, ema=ema, **core)
        if context_frames < 1:
            raise UserError(
                f"model.context_frames={context_frames} does not serve: give a whole number of frames from 1 up."
            )
        if not 0 <= teacher_forcing <= 1:
            raise UserError(f"model.teacher_forcing={teacher_forcing} does not serve: give a probability, from 0 to 1.")
        self.network, self.context_frames, self.teacher_forcing, self.l1 = network, context_frames, teacher_forcing, l1

    def phases(self) -> Sequence[Phase]:
        return [Phase("network", self.losses)]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.network]

    def modules_to_compile(self) -> Sequence[nn.Module]:
        return [self.network]

    def losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """The errors of all predictions, and, in the literature's form, of the forecast alone.

        ``mse_a_frame`` is the squared error summed over a frame's values in [0, 1]; while true frames are fed it is
        lower than that of ``predict``.
        """
        given, after = self.parted(batch["frames"])
        n, steps = after.shape[:2]
        fed = noise.uniform(n, steps - 1) < self.teacher_forcing
        made = self.network(given, steps, after, fed).float()
        error = (made - batch["frames"][:, -made.shape[1] :]) / 2
        terms = {"mse": error.square().mean()}
        if self.l1:
            terms["l1"] = self.l1 * error.abs().mean()
        return Losses(terms, {"mse_a_frame": error[:, -steps:].square().sum((2, 3, 4)).mean()})

    def parted(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Clips (N, T, C, H, W) → the frames given, and those to be forecast.

        Raises:
            UserError: where none is left.
        """
        length = frames.shape[1]
        if length <= self.context_frames:
            raise UserError(
                f"Clips of data.length={length} frames leave none to forecast after model.context_frames={self.context_frames}: "
                f"data.length={self.context_frames + 1} and more works."
            )
        return frames[:, : self.context_frames], frames[:, self.context_frames :]

    def predict(self, frames: Tensor, steps: int) -> Tensor:
        """Frames (N, T, C, H, W) in [-1, 1] → the next ``steps`` frames (N, steps, C, H, W), float32 in [-1, 1].

        Raises:
            UserError: without frames, or steps.
        """
        if steps < 1 or not frames.shape[1]:
            raise UserError(f"{steps} frames after {frames.shape[1]} are no forecast: give numbers from 1 up.")
        with self.inference_mode():
            made: Tensor = self.averaged("network")(frames.to(self.device), steps)
            return made[:, -steps:].float().clamp(-1, 1)
