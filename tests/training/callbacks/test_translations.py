"""Callbacks with a translation model: metrics, sheets, and warnings of collapse."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from domains import Carrier, Side, TwoSides, two_sides
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader

from gan_lab.common.capabilities import Translates, TwoDomains
from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.evaluation.kinds import sheet_for
from gan_lab.evaluation.metrics.frechet import FrechetDistance
from gan_lab.evaluation.metrics.kernel import KernelDistance
from gan_lab.inference.sheets import SheetOptions
from gan_lab.training.callbacks.checkpoint import Checkpoint
from gan_lab.training.callbacks.fidelity import Fidelity
from gan_lab.training.callbacks.health import Health
from gan_lab.training.callbacks.samples import SampleGrid


class Module(Carrier, LightningModule):
    """Shifts the brightness more and more, first towards the other domain, in the end past it."""

    def __init__(self):
        LightningModule.__init__(self)
        Carrier.__init__(self, lambda image: image + self.images_seen / 64, lambda image: image - self.images_seen / 64)
        self.automatic_optimization = False
        self.layer = nn.Linear(1, 1)
        self.iteration = self.images_seen = 0
        self.seconds = 0.0

    def training_step(self, batch, batch_idx):
        self.iteration += 1
        self.images_seen += len(batch)
        return {}

    def sync_buffers(self):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Data(TwoSides, LightningDataModule):
    def __init__(self, **kwargs):
        LightningDataModule.__init__(self)
        given = two_sides(**kwargs)
        TwoSides.__init__(self, given.sides["a"], given.sides["b"], given.paired)

    def train_dataloader(self):
        return DataLoader(torch.zeros(64, 1), batch_size=16)


def fit(folder, data=None, **fidelity):
    fidelity = {"every": 16, "n": 100, "cache_dir": str(folder / "cache"), "progress": False, **fidelity}
    parts = {"distance": FrechetDistance, "kernel": KernelDistance}
    callback = Fidelity(folder=str(folder), metrics=parts, quick=parts, **fidelity)
    checkpoint = Checkpoint(str(folder), every=16)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = Trainer(max_epochs=1, **quiet, callbacks=[callback, checkpoint])
    trainer.fit(Module(), datamodule=data or Data())
    return SimpleNamespace(callback=callback, trainer=trainer, checkpoint=checkpoint)


def test_the_test_doubles_satisfy_the_protocols():
    assert isinstance(Module(), Translates) and isinstance(Data(), TwoDomains)


def test_metrics_best_checkpoint_and_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    out = fit(tmp_path)
    *records, final = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [record["images_seen"] for record in (*records, final)] == [16, 32, 48, 64, 64]
    distances = [record["figures"]["quick_fd_general"] for record in records]
    assert next(iter(out.trainer.callback_metrics)) == "quick_fd_general"
    lowest = int(np.argmin(distances))
    assert 0 < lowest < 3 and out.checkpoint.best == pytest.approx(distances[lowest])
    assert (tmp_path / "best.ckpt").is_file() and (tmp_path / "last.ckpt").is_file()
    printed, last = capsys.readouterr().out, final["figures"]
    for name in (
        "fd_general_b2a",
        "fd_general_b2a_untranslated",
        "fd_general_b2a_real",
        "kd_general_b2a",
        "identity_b",
    ):
        assert f"{last[name]:.4g}" in printed
    for part in ("model after 64 images", "untranslated", "a2b 10 against 13", "cycle_a"):
        assert part in printed


def test_too_few_images_end_the_run_before_it_begins(tmp_path):
    with pytest.raises(UserError, match="at least 3 images of each set"):
        fit(tmp_path, Data(b=2))
    assert not (tmp_path / "last.ckpt").exists()


def test_pairs_unknown_to_the_method_are_compared_on_request(tmp_path):
    last = fit(tmp_path, Data(a=9, b=9), every=0, paired=True).callback.last["final"]
    assert last["figures"]["l1_a2b"] > 0 and last["protocol"]["paired"] is True
    assert "l1_a2b" not in fit(tmp_path, Data(a=9, b=9), every=0).callback.last["final"]["figures"]


def level(sheet, row, column, cell=66):
    return sheet[:, row * cell + 2 : (row + 1) * cell, column * cell + 2 : (column + 1) * cell].float().mean().item()


def grey(*levels):
    return torch.tensor(levels, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 16, 16)


def test_a_row_shows_an_image_of_each_domain_its_translation_and_reconstruction():
    data = TwoSides(Side(test=grey(10, 20, 30, 40)), Side(test=grey(100, 150, 200)))
    model = Carrier(lambda x: x + 20 / 127.5, lambda x: x - 10 / 127.5)
    sheet = sheet_for(model, data, SheetOptions(n=12))()
    assert sheet.shape == (3, 2 * 66 + 2, 6 * 66 + 2)
    rows = [[level(sheet, row, column) for column in range(6)] for row in range(2)]
    assert rows == [[20, 40, 30, 150, 140, 160], [40, 60, 50, 200, 190, 210]]


def test_a_row_of_pairs_shows_source_output_and_target_of_any_size():
    ragged = [grey(10), torch.full((1, 3, 16, 8), 50, dtype=torch.uint8)]
    data = TwoSides(Side(test=ragged), Side(test=[part + 100 for part in ragged]), paired=True)
    sheet = sheet_for(Carrier(lambda x: x + 20 / 127.5), data, SheetOptions(n=64))()
    rows = [[level(sheet, row, column) for column in range(3)] for row in range(2)]
    assert rows == [[10, 30, 110], [50, 70, 150]]


def test_many_images_and_their_translations_share_rows():
    data = TwoSides(Side(test=grey(*range(0, 180, 10))), Side(test=grey(0)))
    sheet = sheet_for(Carrier(lambda x: x + 20 / 127.5), data, SheetOptions(n=64))()
    assert sheet.shape == (3, 6 * 66 + 2, 6 * 66 + 2)
    assert [level(sheet, 1, column) for column in range(6)] == [30, 50, 40, 60, 50, 70]


def test_a_label_map_is_shown_in_colour_next_to_a_grey_image():
    domains = {"a": Domain(labels=2), "b": Domain(1)}
    ids = torch.tensor([0, 1], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 1, 16, 16)
    data = TwoSides(Side(test=ids), Side(test=ids), True, domains)
    sheet = sheet_for(Carrier(lambda x: x[:, 1:], domains=domains), data, SheetOptions(n=6))()
    assert sheet.shape[0] == 3
    assert sheet[:, 30, 30].tolist() != sheet[:, 96, 30].tolist()
    assert [level(sheet, row, 1) for row in range(2)] == [128, 255]


def test_a_grid_of_translations_is_written_like_one_of_samples(tmp_path):
    grids, module = SampleGrid(every=0, folder=str(tmp_path), n=6), Module()
    trainer = SimpleNamespace(is_global_zero=True, loggers=[], datamodule=Data())
    grids.on_train_start(trainer, module)
    module.images_seen = 16
    grids.on_train_batch_end(trainer, module)
    grids.on_train_end(trainer, module)
    assert [path.name for path in sorted((tmp_path / "samples").iterdir())] == ["000000000.png", "000000016.png"]
    with Image.open(tmp_path / "samples.gif") as animation:
        assert animation.n_frames == 2


@pytest.mark.parametrize("flat", ["a2b", "neither"])
def test_translations_that_collapse_are_reported(flat, recwarn):
    health = Health(every=16)
    model = Carrier((lambda x: 0 * x + 0.3) if flat == "a2b" else (lambda x: x), lambda x: x)
    model.images_seen = model.iteration = 0
    trainer = SimpleNamespace(precision="32-true", world_size=1, is_global_zero=True, loggers=[])
    trainer.datamodule = two_sides()
    for _ in range(3):
        model.images_seen += 16
        health.on_train_batch_end(trainer, model, {"generator": {"adversarial": torch.tensor(0.7)}}, {"a": None}, 0)
    messages = [str(warning.message) for warning in recwarn.list if "collapsed" in str(warning.message)]
    assert len(messages) == (flat == "a2b")
    assert all("translations to b have collapsed" in text for text in messages)
