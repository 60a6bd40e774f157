from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from gan_lab.training.callbacks import throughput
from gan_lab.training.callbacks.throughput import Throughput


class Log:
    def __init__(self):
        self.rows = []

    def log_metrics(self, metrics, step):
        self.rows.append((step, metrics))


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: now.seconds)
    return now


def run(monitor, clock, steps, wait=0.25, others=None, batch=32):
    """Iterations of the given step times, each after a wait, and followed by other callbacks."""
    trainer = SimpleNamespace(is_global_zero=True, loggers=[Log()], callbacks=[])
    module = SimpleNamespace(device=torch.device("cpu"), images_seen=0)
    monitor.setup(trainer, module, "fit")
    monitor.on_train_start(trainer, module)
    for i, step in enumerate(steps):
        clock.seconds += wait
        monitor.on_train_batch_start(trainer, module, {}, i)
        clock.seconds += step
        module.images_seen += batch
        monitor.on_train_batch_end(trainer, module, {}, {}, i)
        clock.seconds += (others or {}).get(i, 0.0)
        for callback in trainer.callbacks:
            callback.on_train_batch_end(trainer, module, {}, {}, i)
    monitor.on_train_end(trainer, module)
    return trainer.loggers[0].rows


def test_phases_at_intervals_count_and_other_callbacks_do_not(clock):
    rows = run(Throughput(every=160), clock, [60.0, 0.5, 0.5, 0.5, 2.5, 0.5, 0.5, 0.5, 0.5, 2.5], others={2: 99, 4: 9})
    assert [step for step, _ in rows] == [160, 320]
    for (_, row), (images, seconds, wait) in zip(rows, [(128, 5.0, 1.0), (160, 5.75, 1.25)], strict=True):
        assert row["perf/images_per_second"] == pytest.approx(images / seconds)
        assert row["perf/data_share"] == pytest.approx(wait / seconds)
        assert 0.01 < row["perf/peak_memory_gib"] < 1000


def test_summary_is_the_median_window(clock):
    monitor = Throughput(every=32)
    assert monitor.summary() == {}
    run(monitor, clock, [9.0, 0.75, 0.75, 7.75], wait=0.25)
    assert monitor.summary()["images_per_second"] == 32
    assert monitor.summary()["data_share"] == 0.25
    assert set(monitor.summary()) == {"images_per_second", "data_share", "peak_memory_gib"}


def test_long_windows_are_summed_in_parts(clock, monkeypatch):
    monkeypatch.setattr(throughput, "MAX_PENDING", 3)
    rows = run(Throughput(every=0), clock, [0.75] * 11)
    assert [(step, row["perf/images_per_second"]) for step, row in rows] == [(352, 32.0)]


class Toy(LightningModule):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.layer = torch.nn.Linear(1, 1)
        self.images_seen = 0

    def training_step(self, batch, batch_idx):
        self.images_seen += len(batch)
        return {}

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.zeros(8, 1), batch_size=2)


def test_the_end_marker_runs_after_every_callback_of_a_trainer(tmp_path, monkeypatch):
    """Also after the checkpoint, which Lightning moves to the end; the same trainer fits twice."""
    monitor, order = Throughput(every=4), []

    class Other(Callback):
        def on_train_batch_end(self, *args):
            order.append("other")

    monkeypatch.setattr(ModelCheckpoint, "on_train_batch_end", lambda *args: order.append("checkpoint"))
    monkeypatch.setattr(throughput.EndMarker, "on_train_batch_end", lambda *args: order.append("last"))
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        callbacks=[monitor, ModelCheckpoint(tmp_path), Other()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Toy())
    assert order == ["other", "checkpoint", "last"] * 4
    trainer.fit_loop.max_epochs = 2
    trainer.fit(Toy())
    assert order == ["other", "checkpoint", "last"] * 8
