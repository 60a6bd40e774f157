import json
import time
import warnings
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader

from gan_lab.common.errors import UserError
from gan_lab.evaluation import image_sets as sources
from gan_lab.evaluation.evaluators.clips import PredictionEvaluator
from gan_lab.evaluation.metrics.frechet import FrechetDistance
from gan_lab.evaluation.metrics.kernel import KernelDistance
from gan_lab.evaluation.metrics.score import Score
from gan_lab.training.budget import Budget
from gan_lab.training.callbacks import fidelity
from gan_lab.training.callbacks.checkpoint import Checkpoint
from gan_lab.training.callbacks.fidelity import Fidelity
from gan_lab.training.callbacks.sizing import fit_to_images
from gan_lab.training.callbacks.stop import StopOnSignal

QUICK = {"distance": FrechetDistance, "score": Score}
FINAL = {**QUICK, "kernel": KernelDistance}


class Module(LightningModule):
    """Counts images as the engine does; its samples grow brighter with them."""

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
    name = "digits"
    channels, height, width, classes = 1, 8, 8, 0

    def __init__(self):
        super().__init__()
        self.pixels = (128 + 40 * torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))).clamp(0, 255)

    def train_dataloader(self):
        return DataLoader(torch.zeros(48, 1), batch_size=4)

    def images(self, split, limit=None):
        yield (self.pixels if split == "train" else 255 - self.pixels).to(torch.uint8)[:limit]

    def count(self, split):
        return 40

    def fingerprint(self, split):
        return f"noise, {split}"

    def describe(self):
        return {"name": "noise"}


@pytest.fixture
def run(tmp_path):
    def fit(callback=None, module=None, data=None, **trainer):
        callback = callback or make(tmp_path, every=16)
        module = module or SamplingModule()
        logger = CSVLogger(tmp_path, name="", version="", flush_logs_every_n_steps=1)
        options = {"max_epochs": 1, "logger": logger, "enable_checkpointing": False, "accelerator": "cpu"}
        quiet = {"enable_progress_bar": False, "enable_model_summary": False}
        callbacks = [callback, *trainer.pop("callbacks", [])]
        trainer = Trainer(**{**options, **quiet, **trainer}, callbacks=callbacks)
        trainer.fit(module, datamodule=data or Data())
        return SimpleNamespace(callback=callback, module=module, trainer=trainer)

    return fit


def make(folder, every, n=24, **kwargs):
    options = {"cache_dir": str(folder / "cache"), "progress": False}
    return Fidelity(every, n, str(folder), FINAL, QUICK, batch_size=16, **options, **kwargs)


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def evaluations(folder):
    return [(line["tier"], line["images_seen"]) for line in lines(folder)]


def test_quick_tier_at_intervals_and_final_tier_at_the_end(run, tmp_path):
    out = run()
    assert evaluations(tmp_path) == [("quick", 16), ("quick", 32), ("quick", 48), ("final", 48)]
    *_, quick, final = lines(tmp_path)
    assert out.callback.last == {"quick": quick, "final": final}
    assert {f"quick_{name}" for name in final["figures"] if not name.startswith("kd")} == set(quick["figures"])
    assert quick["figures"]["quick_fd_grey"] == pytest.approx(final["figures"]["fd_grey"])
    assert out.module.synced == 4


def test_the_quick_tier_may_have_fewer_samples(run, tmp_path):
    run(make(tmp_path, every=24, quick_n=10))
    assert [line["protocol"]["samples"] for line in lines(tmp_path)] == [10, 10, 24]


def test_the_final_tier_is_evaluated_between_two_multiples(run, tmp_path):
    run(make(tmp_path, every=20))
    assert evaluations(tmp_path) == [("quick", 20), ("quick", 40), ("final", 48)]


def test_the_end_is_saved_before_it_is_evaluated(run, tmp_path):
    """The checkpoint of the last iteration is written first, and gets the metrics later."""
    seen = []

    class After(fidelity.Callback):
        def on_train_batch_end(self, trainer, module, *_):
            seen.append((module.images_seen, "fd_grey" in trainer.callback_metrics))

    module = SamplingModule()
    module.stop_at = 48
    run(make(tmp_path, every=0), module, callbacks=[After()])
    assert seen[-1] == (48, False)
    assert evaluations(tmp_path) == [("quick", 48), ("final", 48)]


def test_a_run_stopped_by_a_signal_is_not_evaluated(run, tmp_path):
    signals = StopOnSignal()

    class Signal(fidelity.Callback):
        def on_train_batch_end(self, trainer, module, *_):
            if module.images_seen == 8:
                signals.received = 15

    run(make(tmp_path, every=0), callbacks=[Signal(), signals])
    assert not (tmp_path / "metrics.jsonl").exists()


def test_metrics_reach_the_loggers_and_the_checkpoint_callback(run, tmp_path):
    out = run()
    figures = out.callback.last["final"]["figures"] | out.callback.last["quick"]["figures"]
    assert out.trainer.callback_metrics["fd_grey"].item() == pytest.approx(figures["fd_grey"])
    header, *rows = (tmp_path / "metrics.csv").read_text().splitlines()
    logged = [dict(zip(header.split(","), row.split(","), strict=True)) for row in rows]
    assert [int(row["step"]) for row in logged] == [16, 32, 48, 48]  # at the end of either tier
    assert float(logged[-1]["metric_train/fd_grey"]) == pytest.approx(figures["fd_grey"])
    assert {f"metric_train/{name}" for name in (*figures, "samples", "real")} == set(header.split(",")) - {"step"}


def test_the_state_is_plain_and_is_restored(run, tmp_path):
    out = run()
    torch.save(out.callback.state_dict(), tmp_path / "state")
    other = make(tmp_path, every=16)
    other.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert other.last == out.callback.last
    assert not other.every.due(63)


def test_records_after_the_checkpoint_and_a_truncated_line_are_dropped(run, tmp_path):
    rows = [json.dumps({"tier": "quick", "images_seen": seen}) for seen in (0, 16)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(rows) + '\n{"tier": "quick", "ima')
    run(make(tmp_path, every=0))
    assert evaluations(tmp_path) == [("final", 48)]  # nor did the checkpoint know the one of its own moment


def test_a_tier_without_metrics_generates_no_samples(run, tmp_path):
    callback = Fidelity(16, 24, str(tmp_path), FINAL, {"accuracy": {"steps": 2}}, progress=False)
    run(callback)
    assert evaluations(tmp_path) == [("final", 48)]


@pytest.mark.parametrize(
    ("pattern", "name"), [("quick_*f[di]*", "quick_clean_fid"), ("quick_*f[di]*", "quick_fd_grey"), ("fid", None)]
)
def test_the_monitor_is_a_pattern_and_a_missing_metric_gives_one_warning(tmp_path, pattern, name):
    callback = Checkpoint(str(tmp_path), monitor=pattern)
    figures = {"train/loss": torch.tensor(0.0), name or "quick_clean_fid": torch.tensor(3.0)}
    trainer = SimpleNamespace(callback_metrics=figures)
    with nullcontext() if name else pytest.warns(UserWarning, match="monitor=one of quick_clean_fid"):
        assert callback.monitored(trainer) == ((name, 3.0) if name else None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        callback.monitored(trainer)


def test_the_final_table_says_what_was_compared(run, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    figures = run().callback.last["final"]["figures"]
    printed = capsys.readouterr().out
    for part in ("24 samples against 40 images of the train split", "pixel Gaussian", "real images"):
        assert part in printed
    for name in ("fd_grey", "fd_grey_gaussian", "kd_grey", "cs_grey_real"):
        assert f"{figures[name]:.4g}" in printed


def test_real_images_are_read_once(run, monkeypatch):
    read = []
    inner = sources.SplitImages.batches
    monkeypatch.setattr(sources.SplitImages, "batches", lambda *a: read.append(1) or inner(*a))
    run()
    assert len(read) == 2  # both splits; so few, that every tier keeps their features one by one


def test_training_is_the_same_without_it(run, tmp_path):
    class Random(SamplingModule):
        def training_step(self, batch, batch_idx):
            super().training_step(batch, batch_idx)
            self.layer.weight.data += torch.rand(())

    weights = []
    for every in (4, 0):
        torch.manual_seed(0)
        weights.append(run(make(tmp_path, every), Random()).module.layer.weight)
    assert torch.equal(*weights)


@pytest.mark.parametrize("case", ["model", "data"])
def test_a_model_or_data_without_evaluator_is_skipped(run, tmp_path, case):
    class Plain(LightningDataModule):
        def train_dataloader(self):
            return DataLoader(torch.zeros(8, 1), batch_size=4)

    run(**({"module": Module()} if case == "model" else {"data": Plain()}))
    assert not (tmp_path / "metrics.jsonl").exists()


@pytest.mark.parametrize("counts", [{"n": 1}, {"n": 24, "quick_n": 1}])
def test_one_sample_is_refused_before_the_first_step(run, tmp_path, counts):
    module = SamplingModule()
    with pytest.raises(UserError, match="n=1 is not valid"):
        run(make(tmp_path, 16, **counts), module)
    assert module.iteration == 0


def test_an_evaluation_that_fails_does_not_end_the_run(run, tmp_path, caplog):
    class Broken(SamplingModule):
        def sample(self, n, seed=0, start=0, label=None, truncation=1.0):
            if self.images_seen == 32:
                raise RuntimeError("out of\nmemory")
            return super().sample(n, seed, start, label, truncation)

    out = run(module=Broken())
    assert evaluations(tmp_path) == [("quick", 16), ("quick", 32), ("quick", 48), ("final", 48)]
    assert lines(tmp_path)[1]["error"] == "RuntimeError: out of memory"
    assert "The quick evaluation failed, so its metrics are missing: RuntimeError: out of memory" in caplog.text
    assert out.callback.missing(48) == {}


def test_a_budget_of_minutes_has_a_small_last_evaluation_which_a_resumed_run_keeps(run, tmp_path, caplog):
    class Slow(SamplingModule):
        budget = Budget(minutes=0.01)

        def sample(self, n, seed=0, start=0, label=None, truncation=1.0):
            time.sleep(0.0005 * n)
            return super().sample(n, seed, start, label, truncation)

        stop_at = property(lambda self: 48, lambda self, value: None)

    out = run(make(tmp_path, every=0, n=None), Slow(), max_epochs=-1)
    (final,) = (line for line in lines(tmp_path) if line["tier"] == "final")
    assert final["protocol"]["samples"] == 256 and "256 items are generated for them instead of 10,000" in caplog.text
    assert out.callback.state_dict()["sizes"]["final"][0] == 256
    resumed = make(tmp_path, every=0, n=None)
    resumed.load_state_dict({**out.callback.state_dict(), "last": {}, "sizes": {"quick": [99, None], "final": [99, 7]}})
    run(resumed, Slow(), max_epochs=-1)
    protocol = lines(tmp_path)[-1]["protocol"]
    assert (protocol["samples"], protocol["real"]) == (99, 7)


def test_a_resumed_run_measures_again_what_is_chosen_anew(run, tmp_path):
    class Done(SamplingModule):
        def training_step(self, batch, batch_idx):
            """Has nothing left to train."""

    done = run(make(tmp_path, every=0)).callback.state_dict()
    for n, measured in ((24, 0), (30, 1)):
        again = make(tmp_path, every=0, n=n)
        again.load_state_dict(json.loads(json.dumps(done)))
        module = Done()
        module.iteration = module.images_seen = 48
        assert run(again, module).module.synced == measured  # once for each evaluation
        assert again.last["final"]["protocol"]["samples"] == n and evaluations(tmp_path) == [("final", 48)]
        assert len({row[2] for row in again.rows}) == len(again.rows), "the table has nothing twice"


def test_a_run_that_goes_on_keeps_what_was_measured_by_other_metrics(run, tmp_path):
    done = run(make(tmp_path, every=0)).callback.state_dict()
    again = make(tmp_path, every=0, n=30)
    again.load_state_dict(json.loads(json.dumps(done)))
    module = SamplingModule()
    module.iteration = module.images_seen = 48
    run(again, module)
    assert evaluations(tmp_path) == [("final", 48), ("final", 96)]


@pytest.mark.parametrize(
    ("limits", "numbers"),
    [
        ({"images": 300}, [300, 1500]),
        ({"images": 9_999, "epochs": 9}, [432, 2160]),  # nine times 48 images
        ({"images": 5}, [256, 1280]),
        ({"images": 10_000}, [10_000, None]),
    ],
)
def test_a_small_budget_of_images_has_small_evaluations(run, tmp_path, caplog, limits, numbers):
    class Short(SamplingModule):
        budget = Budget(**limits)

    callback = make(tmp_path, every=0, n=None, quick_n=2_500)
    callback._evaluate = lambda *_: None
    module = Short()
    module.stop_at = 48
    run(callback, module, max_epochs=-1)
    final, quick = (callback.evaluators[tier] for tier in ("final", "quick"))
    assert [final.n, final.limit] == numbers and quick.n == min(numbers[0], 2_500)
    words = f"{numbers[0]:,} are generated for the last metrics instead of 10,000: callbacks.fidelity.n=… sets"
    assert (words in caplog.text) == (numbers[0] < 10_000)


def test_items_that_there_are_not_are_not_missed(caplog):
    """A predictor has a prediction for each test clip, however many are asked for."""
    clips = SimpleNamespace(count=lambda split: 3)
    evaluator = PredictionEvaluator(clips, 2_000, [], {})
    fit_to_images({"final": evaluator}, 32)
    assert not caplog.text and evaluator.most == 3


def test_epochs_of_a_plain_trainer_are_a_budget_too(run, tmp_path):
    run(make(tmp_path, every=0, n=None))
    assert lines(tmp_path)[-1]["protocol"]["samples"] == 256


def test_a_number_that_was_asked_for_is_taken_in_any_budget(run, tmp_path):
    class Short(SamplingModule):
        budget = Budget(images=4, minutes=0.0001)

    run(make(tmp_path, every=0, n=300), Short())
    assert lines(tmp_path)[-1]["protocol"]["samples"] == 300


def test_a_metric_that_one_picture_is_too_few_for_is_missing_and_the_others_are_measured(run, tmp_path, caplog):
    class One(Data):
        def images(self, split, limit=None):
            yield self.pixels.to(torch.uint8)[:1]

        def count(self, split):
            return 1

    out = run(make(tmp_path, every=0), data=One())
    (record,) = lines(tmp_path)
    reason = record["failed"]["distance"]
    assert reason.startswith("A covariance needs at least 2 images") and "cs_grey" in record["figures"]
    assert out.callback.missing(48) == {"final: distance": reason}
    assert f"distance failed in the final evaluation, so it is missing: {reason}" in caplog.text
