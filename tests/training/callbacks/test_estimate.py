"""One line on what a run takes, measured on a clock of the test's own."""

from types import SimpleNamespace

import pytest
import torch

from gan_lab.evaluation.evaluators.base import Evaluator
from gan_lab.training import forecast
from gan_lab.training.budget import Budget
from gan_lab.training.callbacks import throughput
from gan_lab.training.callbacks.estimate import Estimate
from gan_lab.training.callbacks.fidelity import Fidelity
from gan_lab.training.callbacks.samples import SampleGrid
from gan_lab.training.forecast import Forecast, advice, duration


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: now.seconds)
    return now


def run(clock, estimate, seconds, budget, batch=32, iterations=30, others=0.0, intervals=(1,), costly=(), began=0):
    """Iterations of these seconds each, in turn, followed by other callbacks."""
    loader = SimpleNamespace(per_epoch=10)  # 320 images
    trainer = SimpleNamespace(callbacks=[*costly], world_size=1, max_epochs=-1, train_dataloader=loader)
    trainer.num_training_batches, trainer.should_stop = 10, False
    trainer.datamodule = SimpleNamespace(batch_size=batch, size=(256, 256))
    phases = [SimpleNamespace(name=f"p{each}", interval=each, begin=0.0) for each in intervals]
    module = SimpleNamespace(
        device=torch.device("cpu"), images_seen=began, seconds=0.0, budget=budget, progress=0.0, phases=lambda: phases
    )
    estimate.setup(trainer, module, "fit")
    estimate.on_train_start(trainer, module)
    for i in range(iterations):
        clock.seconds += seconds[i % len(seconds)]
        module.images_seen += batch
        module.seconds = clock.seconds
        estimate.on_train_batch_end(trainer, module, {}, {}, i)
        clock.seconds += others
        trainer.callbacks[-1].on_train_batch_end(trainer, module, {}, {}, i)
    return estimate.forecast


def lines(caplog):
    return [record.message for record in caplog.records if record.message.startswith(("Estimate", "This is long"))]


def test_it_is_said_once_and_is_right(clock, caplog):
    with caplog.at_level("INFO"):
        found = run(clock, Estimate(), [9.0, 4.0, 2.0, *[0.5] * 27], Budget(images=3200), others=7.0)
    assert found.images_per_second == pytest.approx(64)
    assert found.training == pytest.approx((3200 - 13 * 32) / 64)
    assert [line.partition(",")[0] for line in lines(caplog)] == ["Estimate: 64 images/s"]
    assert lines(caplog)[0].endswith("44 s to the end.")


def test_a_phase_that_is_due_in_some_iterations_counts_in_full(clock):
    found = run(clock, Estimate(), [0.1, 0.1, 0.1, 0.1, 1.6], Budget(images=10_000), intervals=(1, 5))
    assert found.images_per_second == pytest.approx(32 / 0.4)


def test_slow_iterations_are_waited_for_no_longer_than_needed(clock):
    assert run(clock, Estimate(), [20.0], Budget(images=10_000), iterations=4) is None
    assert run(clock, Estimate(), [20.0], Budget(images=10_000), iterations=5).images_per_second == pytest.approx(1.6)


def test_fast_iterations_are_measured_for_two_seconds(clock):
    assert run(clock, Estimate(), [0.01], Budget(images=10_000), iterations=100) is None
    assert run(clock, Estimate(), [0.01], Budget(images=10**9), iterations=220).images_per_second == pytest.approx(3200)


@pytest.mark.parametrize(
    ("budget", "seconds"),
    [(Budget(epochs=20), 84), (Budget(minutes=1), 53.5), (Budget(images=6400, minutes=1), 53.5)],
)
def test_every_kind_of_budget(clock, budget, seconds):
    found = run(clock, Estimate(), [0.5], budget, began=320)
    assert found.training == pytest.approx(seconds, abs=10)


class Costly(Evaluator):
    """Takes 0.01 s for an item, and 0.02 s for its features."""

    evaluate = counts = comparison_text = sheet = lambda self, *_: None

    def seconds_per_item(self, model):
        return 0.01, 0.02


def test_grids_and_metrics_count(clock):
    data = SimpleNamespace(count=lambda split: 5000)
    fidelity = Fidelity(10_000, None, "x", {}, {})
    fidelity.evaluators = {tier: Costly(data, 1000, [], {}) for tier in ("quick", "final")}
    found = run(clock, Estimate(), [0.5], Budget(images=32_000), costly=[fidelity, SampleGrid(16_000, "x", n=50)])
    assert found.evaluations == pytest.approx((3 + 1) * 1000 * 0.03 + 5000 * 0.02 + 2 * 50 * 0.01)
    found = run(clock, Estimate(), [0.5], Budget(minutes=60), costly=[fidelity])
    assert found.evaluations == pytest.approx(1000 * 0.03 + 5000 * 0.02)
    short = run(clock, Estimate(), [0.5], Budget(images=320), costly=[fidelity])
    assert short.evaluations is None and short.sentence().endswith(" s to the end, without grids and metrics.")


def test_a_phase_that_begins_later_is_named(clock):
    text = Forecast(2.5, 1.0, 7200.0, 0.0, ("prior",)).sentence()
    assert text.startswith("Estimate: 2.50 images/s, 1.0 GiB at the peak, 2.0 h to the end, without the phase prior")


def test_a_long_run_gets_numbers_that_would_fit():
    long = Forecast(0.08, 2.0, 8 * forecast.DAY)
    assert advice(long, "cpu", (256, 256), "paper", {"a": None, "b": 64}) == (
        "This is long: scale=laptop takes half an hour, data.size=32 takes about 3.0 h, b=32 makes a network "
        "narrower, and budget.minutes=60 ends training after an hour."
    )
    assert advice(long, "cuda", (256, 256), "gpu", {}) == (
        "This is long: data.size=64 takes about 12.0 h, and budget.minutes=1440 ends training after a day."
    )
    assert (
        advice(long, "cpu", (1, 1), "laptop", {"b": 1})
        == "This is long: budget.minutes=60 ends training after an hour."
    )


def test_a_short_run_gets_none():
    assert advice(Forecast(100.0, 1.0, 3000.0, 500.0), "cpu", (64, 64), "paper", {}) is None
    assert advice(Forecast(100.0, 1.0, 80_000.0), "cuda", (64, 64), "paper", {}) is None


def test_durations_are_words():
    found = [duration(each) for each in (40, 600, 3.4 * 3600, 8 * forecast.DAY)]
    assert found == ["40 s", "10 min", "3.4 h", "192 h (8 days)"]
