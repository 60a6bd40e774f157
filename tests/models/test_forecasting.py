"""Forecasters: losses, scheduled sampling, and predictions."""

from functools import partial

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn

from gan_lab.common.capabilities import Predicts
from gan_lab.common.errors import UserError
from gan_lab.models.forecasting import Forecaster
from gan_lab.networks.forecasting import ConvLSTM
from gan_lab.training.budget import Budget
from gan_lab.training.noise import KeyedStream
from gan_lab.training.options import EngineOptions
from gan_lab.training.schedules import Cosine

N, LENGTH, CONTEXT, SHAPE = 4, 7, 3, (1, 4, 4)
STEPS = LENGTH - CONTEXT
CLIPS = torch.rand(N, LENGTH, *SHAPE, generator=torch.Generator().manual_seed(0)) * 2 - 1


class FixedForecast(nn.Module):
    """Predicts ``value``, or the truth, plus its one weight; context frames too if ``whole``. Records its inputs."""

    def __init__(self, value=None, whole=False):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.value, self.whole, self.calls = value, whole, []

    def forward(self, frames, steps, truth=None, fed=None):
        self.calls.append((truth, fed))
        predicted = frames.new_zeros(len(frames), steps, *frames.shape[2:]) if truth is None else truth[:, :steps]
        if self.whole:
            predicted = torch.cat([frames[:, 1:], predicted], 1)
        return (predicted if self.value is None else torch.full_like(predicted, self.value)) + self.weight


def forecaster(network, **options):
    return Forecaster(network, CONTEXT, partial(torch.optim.Adam, lr=0.0), **options)


def losses(network, **options):
    return forecaster(network, **options).losses({"frames": CLIPS}, {}, KeyedStream(0))


@pytest.mark.parametrize("whole", [False, True])
def test_a_perfect_prediction_has_no_loss(whole):
    result = losses(FixedForecast(whole=whole), l1=1.0)
    assert result.total.item() == result.logs["mse_a_frame"].item() == 0


@pytest.mark.parametrize("whole", [False, True])
def test_the_logged_error_is_summed_over_a_frame_and_averaged_over_forecast_frames(whole):
    result, values = losses(FixedForecast(-1.0, whole), l1=0.5), (CLIPS.double() + 1) / 2
    predicted = values[:, 1 if whole else CONTEXT :]
    assert result.terms["mse"].item() == pytest.approx(predicted.square().mean().item(), rel=1e-6)
    assert result.terms["l1"].item() == pytest.approx(0.5 * predicted.mean().item(), rel=1e-6)
    summed = values[:, CONTEXT:].square().sum() / (N * STEPS)
    assert result.logs["mse_a_frame"].item() == pytest.approx(summed.item(), rel=1e-6)
    assert list(losses(FixedForecast(-1.0)).terms) == ["mse"]


def test_the_network_gets_context_frames_and_true_frames_at_random():
    network = FixedForecast()
    forecaster(network, teacher_forcing=0.3).losses({"frames": CLIPS.repeat(500, 1, 1, 1, 1)}, {}, KeyedStream(0))
    ((truth, fed),) = network.calls
    assert truth.equal(CLIPS.repeat(500, 1, 1, 1, 1)[:, CONTEXT:])
    assert fed.shape == (2000, STEPS - 1) and fed.dtype == torch.bool
    assert ((fed.float().mean(0) - 0.3).abs() < 5 * (0.3 * 0.7 / 2000) ** 0.5).all()


def test_teacher_forcing_follows_its_schedule():
    network = FixedForecast()
    schedules = {"teacher_forcing": Cosine(start=1.0, end=0.0, until=0.5)}
    model = forecaster(network, teacher_forcing=0.8, engine=EngineOptions(Budget(images=8 * N), schedules=schedules))
    clips = [{"frames": clip} for clip in CLIPS.repeat(8, 1, 1, 1, 1)]
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_model_summary", "enable_progress_bar"), False)
    trainer = Trainer(accelerator="cpu", max_epochs=-1, use_distributed_sampler=False, **quiet)
    seen = []
    network.register_forward_pre_hook(lambda *_: seen.append(model.teacher_forcing))
    trainer.fit(model, torch.utils.data.DataLoader(clips, N))
    assert seen == pytest.approx([0.8 * Cosine(until=0.5)(i / 8) for i in range(8)])
    assert seen[0] == 0.8 and seen[4:] == [0] * 4
    assert not any(fed.any() for _, fed in network.calls[4:])


def test_predictions_come_from_the_average_are_clamped_and_have_any_length():
    model = forecaster(FixedForecast(3.0, whole=True))
    assert isinstance(model, Predicts) and model.context_frames == CONTEXT
    for given, steps in ((1, 1), (2, 5), (9, 3)):
        predicted = model.predict(torch.zeros(2, given, *SHAPE), steps)
        assert (
            predicted.shape == (2, steps, *SHAPE) and predicted.dtype == torch.float32 and not predicted.requires_grad
        )
        assert predicted.unique().tolist() == [1]
    model.ema.networks["network"].value = 0.5
    assert model.predict(CLIPS, 2).unique().tolist() == [0.5]


def test_predictions_are_deterministic_and_in_float32():
    torch.manual_seed(0)
    model = forecaster(ConvLSTM(*SHAPE, patch=2, maps=4, layers=1, kernel=3))
    expected = model.predict(CLIPS, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert model.predict(CLIPS, 3).equal(expected)
    torch.testing.assert_close(model.predict(CLIPS[2:3], 3), expected[2:3])


def test_a_moving_dot_is_learned():
    """It moves one pixel to the right per frame and wraps around; the error falls far below 1, that of black frames."""
    torch.manual_seed(0)
    clips = torch.full((16, 6, 1, 4, 4), -1.0)
    for i in range(16):
        for t in range(6):
            clips[i, t, 0, i // 4, (i + t) % 4] = 1
    model = Forecaster(ConvLSTM(*SHAPE, patch=2, maps=16, layers=1, kernel=3), CONTEXT, torch.optim.Adam)
    optimizer = torch.optim.Adam(model.network.parameters(), 0.02)
    for i in range(100):
        result = model.losses({"frames": clips}, {}, KeyedStream(i))
        optimizer.zero_grad()
        result.total.backward()
        optimizer.step()
    assert result.logs["mse_a_frame"].item() < 0.1


def test_impossible_forecasts_are_refused():
    with pytest.raises(
        UserError, match=r"data\.length=3 frames .* model\.context_frames=3: give data\.length=4 or more"
    ):
        forecaster(FixedForecast()).losses({"frames": CLIPS[:, :3]}, {}, KeyedStream(0))
    for frames, steps in ((CLIPS, 0), (CLIPS[:, :0], 2)):
        with pytest.raises(UserError, match="numbers of at least 1"):
            forecaster(FixedForecast()).predict(frames, steps)
    with pytest.raises(UserError, match=r"model\.context_frames=0"):
        Forecaster(FixedForecast(), 0, torch.optim.Adam)
    with pytest.raises(UserError, match=r"model\.teacher_forcing=1\.5"):
        forecaster(FixedForecast(), teacher_forcing=1.5)
