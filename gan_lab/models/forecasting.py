"""Frame forecasting: ConvLSTM (Shi et al. 2015), PredRNN (Wang et al. 2017), SimVP (Gao et al. 2022), by network."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from gan_lab.common.bounds import NonNegative, PositiveInt, Probability
from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.training.alternating import AlternatingModule, MakeOptimizer
from gan_lab.training.options import EngineOptions


class Forecaster(AlternatingModule):
    """Learns to predict each frame. Satisfies ``Predicts`` by the network's moving average.

    Args:
        network: frames, number of steps, and true frames where they are fed → predictions; see
            ``gan_lab.networks.forecasting``.
        context_frames: number of first frames of a clip that the network is given; the others are forecast.
        optimizer: function from parameters to an optimizer.
        teacher_forcing: initial probability that a true frame is fed in place of the network's prediction (scheduled
            sampling, Bengio et al. 2015); a schedule of ``teacher_forcing`` reduces it.
        l1: weight of the mean absolute error besides the mean squared error, both of values in [0, 1].
        engine: options that do not depend on the method; clips count as images.

    Raises:
        UserError: for fewer than one context frame, or a probability outside [0, 1].
    """

    def __init__(
        self,
        network: nn.Module,
        context_frames: PositiveInt,
        optimizer: MakeOptimizer,
        teacher_forcing: Probability = 0.0,
        l1: NonNegative = 0.0,
        engine: EngineOptions | None = None,
    ) -> None:
        super().__init__({"network": optimizer}, engine, {"network": network})
        if context_frames < 1:
            raise UserError(f"model.context_frames={context_frames} is not valid: give an integer of at least 1.")
        if not 0 <= teacher_forcing <= 1:
            raise UserError(f"model.teacher_forcing={teacher_forcing} is not valid: give a probability from 0 to 1.")
        self.network, self.context_frames, self.teacher_forcing, self.l1 = network, context_frames, teacher_forcing, l1

    @staticmethod
    def check_data(data: Mapping[str, Any], context_frames: int, **_: object) -> None:
        """Checks that clips have frames to forecast, see ``ChecksData``.

        Raises:
            UserError: if they do not.
        """
        length = data["length"]
        if type(length) is int and type(context_frames) is int and length <= context_frames:
            raise UserError(
                f"data.length={length} leaves no frames to forecast after model.context_frames={context_frames}: give "
                f"data.length={context_frames + 1} or more."
            )

    def phases(self) -> Sequence[Phase]:
        return [Phase("network", self.losses)]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.network]

    def modules_to_compile(self) -> Sequence[nn.Module]:
        return [self.network]

    def losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the errors of all predictions, and logs the error of the forecast frames as the literature states it.

        ``mse_a_frame`` is the squared error summed over a frame's values in [0, 1]; while true frames are fed it is
        lower than that of ``predict``.
        """
        context, target = self.split_context(batch["frames"])
        n, steps = target.shape[:2]
        fed = noise.uniform(n, steps - 1) < self.teacher_forcing
        predicted = self.network(context, steps, target, fed).float()
        error = (predicted - batch["frames"][:, -predicted.shape[1] :]) / 2
        terms = {"mse": error.square().mean()}
        if self.l1:
            terms["l1"] = self.l1 * error.abs().mean()
        return Losses(terms, {"mse_a_frame": error[:, -steps:].square().sum((2, 3, 4)).mean()})

    def split_context(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the context frames and the frames to forecast, both (N, T, C, H, W), of clips (N, T, C, H, W).

        Raises:
            UserError: if no frame is left to forecast.
        """
        length = frames.shape[1]
        if length <= self.context_frames:
            raise UserError(
                f"Clips of data.length={length} frames leave none to forecast after model.context_frames="
                f"{self.context_frames}: give data.length={self.context_frames + 1} or more."
            )
        return frames[:, : self.context_frames], frames[:, self.context_frames :]

    def predict(self, frames: Tensor, steps: int) -> Tensor:
        """Returns the next ``steps`` frames (N, steps, C, H, W), float32, given frames (N, T, C, H, W) in [-1, 1].

        Raises:
            UserError: for no frames, or no steps.
        """
        if steps < 1 or not frames.shape[1]:
            raise UserError(f"{steps} frames after {frames.shape[1]} are no forecast: give numbers of at least 1.")
        with self.inference_mode():
            predicted: Tensor = self.averaged("network")(frames.to(self.device), steps)
            return predicted[:, -steps:].float().clamp(-1, 1)
