import json
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader

from gan_lab.callbacks import fidelity, measure_samples
from gan_lab.callbacks.fidelity import Fidelity
from gan_lab.types import UserError


class Module(LightningModule):
    """Counts images as the training core does; its samples grow brighter with them."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.layer = nn.Linear(1, 1)
        self.iteration = self.images_seen = self.synced = 0
        self.stop_at = None

    def training_step(self, batch, batch_idx):
        self.iteration += 1
        self.images_seen += len(batch)
        self.trainer.should_stop = self.images_seen == self.stop_at

    def sync_buffers(self):
        self.synced += 1

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class SamplingModule(Module):
    def sample(self, n, seed=0, start=0, label=None, truncation=1.0):
        rows = [torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(i)) for i in range(start, start + n)]
        return 0.2 * torch.stack(rows) - 1 + self.images_seen / 32


class Data(LightningDataModule):
    channels, height, width, classes = 1, 8, 8, 0

    def __init__(self):
        super().__init__()
        self.pixels = (128 + 40 * torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))).clamp(0, 255)

    def train_dataloader(self):
        return DataLoader(torch.zeros(48, 1), batch_size=4)

    def images(self, split, limit=None):
        yield self.pixels.to(torch.uint8)[:limit]

    def count(self, split):
        return 40

    def fingerprint(self, split):
        return "noise"

    def describe(self):
        return {"name": "noise"}


@pytest.fixture
def run(tmp_path):
    def fit(callback=None, module=None, data=None, **trainer):
        callback = callback or made(tmp_path, every=16)
        module = module or SamplingModule()
        logger = CSVLogger(tmp_path, name="", version="", flush_logs_every_n_steps=1)
        options = {"max_epochs": 1, "logger": logger, "enable_checkpointing": False, "accelerator": "cpu"}
        quiet = {"enable_progress_bar": False, "enable_model_summary": False}
        trainer = Trainer(**options, **quiet, callbacks=[callback, *trainer.pop("callbacks", [])], **trainer)
        trainer.fit(module, datamodule=data or Data())
        return SimpleNamespace(callback=callback, module=module, trainer=trainer)

    return fit


def made(folder, every, n=24, **kwargs):
    return Fidelity(every, n, str(folder), batch_size=16, cache_dir=str(folder / "cache"), progress=False, **kwargs)


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_measures_by_images_and_once_at_the_end(run, tmp_path):
    out = run()
    assert [line["images_seen"] for line in lines(tmp_path)] == [16, 32, 48]
    assert out.callback.last == lines(tmp_path)[-1]
    assert out.module.synced == 3


def test_the_end_is_measured_between_two_multiples(run, tmp_path):
    run(made(tmp_path, every=20))
    assert [line["images_seen"] for line in lines(tmp_path)] == [20, 40, 48]


def test_where_the_budget_ends_is_measured_within_the_iteration(run, tmp_path):
    """So that the checkpoint written at its end holds the figures."""
    seen = []

    class After(fidelity.Callback):
        def on_train_batch_end(self, trainer, module, *_):
            seen.append((module.images_seen, "fd_grey" in trainer.callback_metrics))

    module = SamplingModule()
    module.stop_at = 12
    run(made(tmp_path, every=0), module, callbacks=[After()])
    assert seen == [(4, False), (8, False), (12, True)]
    assert [line["images_seen"] for line in lines(tmp_path)] == [12]


def test_a_run_stopped_by_a_signal_is_not_measured(run, tmp_path):
    signals = fidelity.StopOnSignal()

    class Signal(fidelity.Callback):
        def on_train_batch_end(self, trainer, module, *_):
            if module.images_seen == 8:
                signals.received = 15

    run(made(tmp_path, every=0), callbacks=[Signal(), signals])
    assert not (tmp_path / "metrics.jsonl").exists()


def test_figures_reach_the_loggers_and_the_checkpoint_callback(run, tmp_path):
    out = run()
    figures = out.callback.last["figures"]
    assert out.trainer.callback_metrics["fd_grey"].item() == pytest.approx(figures["fd_grey"])
    header, *rows = (tmp_path / "metrics.csv").read_text().splitlines()
    logged = [dict(zip(header.split(","), row.split(","), strict=True)) for row in rows]
    assert [int(row["step"]) for row in logged] == [16, 32, 48]
    assert float(logged[-1]["metric_train/fd_grey"]) == pytest.approx(figures["fd_grey"])
    assert {f"metric_train/{name}" for name in (*figures, "samples", "real")} == set(header.split(",")) - {"step"}


def test_best_and_state_are_plain_and_come_back(run, tmp_path):
    out = run()
    by_distance = min(lines(tmp_path), key=lambda line: line["figures"]["fd_grey"])
    assert out.callback.best["fd_grey"] == {"images_seen": by_distance["images_seen"], **by_distance["figures"]}
    torch.save(out.callback.state_dict(), tmp_path / "state")
    other = made(tmp_path, every=16)
    other.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert (other.last, other.best) == (out.callback.last, out.callback.best)
    assert not other.every.due(63)


def test_the_table_at_the_end_names_extractor_split_and_counts(run, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    out = run()
    printed = capsys.readouterr().out
    for part in (
        "grey features",
        "24 samples against 40 pictures of the train split",
        "pixel Gaussian",
        "real pictures",
    ):
        assert part in printed
    assert f"{out.callback.last['figures']['fd_grey']:.3f}" in printed
    assert f"{out.callback.last['figures']['fd_grey_gaussian']:.3f}" in printed


def test_references_are_worked_out_once(run, monkeypatch):
    asked = []
    inner = measure_samples.references
    monkeypatch.setattr(measure_samples, "references", lambda *a, **k: asked.append(1) or inner(*a, **k))
    run()
    assert len(asked) == 1


def test_training_goes_as_without_it(run, tmp_path):
    class Random(SamplingModule):
        def training_step(self, batch, batch_idx):
            super().training_step(batch, batch_idx)
            self.layer.weight.data += torch.rand(())

    weights = []
    for every in (4, 0):
        torch.manual_seed(0)
        weights.append(run(made(tmp_path, every), Random()).module.layer.weight)
    assert torch.equal(*weights)


@pytest.mark.parametrize("case", ["model", "data"])
def test_what_cannot_be_measured_is_passed_over(run, tmp_path, case):
    class Plain(LightningDataModule):
        def train_dataloader(self):
            return DataLoader(torch.zeros(8, 1), batch_size=4)

    run(**({"module": Module()} if case == "model" else {"data": Plain()}))
    assert not (tmp_path / "metrics.jsonl").exists()


def test_an_unknown_extractor_ends_the_run_before_it_begins(run, tmp_path):
    module = SamplingModule()
    with pytest.raises(UserError, match="no extractor 'grau'"):
        run(made(tmp_path, 16, extractors=["grau"]), module)
    assert module.iteration == 0


def test_missing_inception_weights_end_the_run_before_it_begins(run, tmp_path):
    module = SamplingModule()
    weights = {"inception": str(tmp_path / "absent.pth")}
    with pytest.raises(UserError, match="Inception's weights are not at"):
        run(made(tmp_path, 16, extractors=["inception"], weights=weights), module)
    assert module.iteration == 0


def test_one_sample_is_refused_before_the_first_step(run, tmp_path):
    module = SamplingModule()
    with pytest.raises(UserError, match="at least 2 samples"):
        run(made(tmp_path, 16, n=1), module)
    assert module.iteration == 0
