from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from gan_lab.cli.config.compose import compose
from gan_lab.common import stopping
from gan_lab.common.instantiate import instantiate
from gan_lab.evaluation.kinds import animation_for
from gan_lab.training.callbacks.samples import SampleGrid
from gan_lab.training.callbacks.stop import INTERRUPTED
from gan_lab.training.callbacks.untrained import Untrained
from gan_lab.training.loggers import CSV


class Painter(nn.Module):
    """Generates uniform images whose grey level is the label or the number of images that its weights have seen."""

    def __init__(self, num_labels=0):
        super().__init__()
        self.register_buffer("level", torch.tensor(0))
        self.images_seen, self.synced, self.num_labels, self.asked = 0, 0, num_labels, []

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name == "images_seen":
            self.level.fill_(value)

    def sync_buffers(self):
        self.synced += 1

    def sample(self, n, seed=0, start=0, label=None, truncation=1.0):
        self.asked.append((n, seed))
        level = self.level.repeat(n) if label is None else label * 20
        return (level.view(n, 1, 1, 1) / 127.5 - 1).expand(n, 1, 64, 64)


def trainer(rank=0, loggers=()):
    return SimpleNamespace(is_global_zero=rank == 0, loggers=list(loggers), datamodule=None)


def run(grids: SampleGrid, painter: Painter, to: int, the_trainer=None, end: bool = True) -> None:
    the_trainer = the_trainer or trainer()
    grids.on_train_start(the_trainer, painter)
    while painter.images_seen < to:
        painter.images_seen += 10
        grids.on_train_batch_end(the_trainer, painter, {}, {}, 0)
    if end:
        grids.on_train_end(the_trainer, painter)


def names(folder: Path) -> list[int]:
    return [int(path.stem) for path in sorted((folder / "samples").iterdir())]


def level(folder: Path, number: int) -> int:
    return np.array(Image.open(folder / "samples" / f"{number:09d}.png"))[30, 30].item()


def test_the_untrained_grid_waits_for_the_first_iteration_and_shows_the_weights_before_it(tmp_path):
    grids, painter = SampleGrid(every=0, folder=str(tmp_path), n=1), Painter()
    grids.on_train_start(trainer(), painter)
    assert not painter.asked and not (tmp_path / "samples").exists()
    painter.images_seen = 10
    grids.on_train_batch_end(trainer(), painter)
    assert names(tmp_path) == [0] and level(tmp_path, 0) == 0 and painter.level == 10
    painter.images_seen = 20
    grids.on_train_batch_end(trainer(), painter)
    assert names(tmp_path) == [0] and grids.missing(20) == {"samples": INTERRUPTED}


def test_a_signal_leaves_the_untrained_grid_out_and_gives_the_weights_back(tmp_path, monkeypatch):
    class Interrupting(Painter):
        def sample(self, *_, **__):
            raise stopping.Interrupted(2)

    grids, painter = SampleGrid(every=0, folder=str(tmp_path), n=1), Interrupting()
    alone = SimpleNamespace(**vars(trainer()), world_size=1, callbacks=[], should_stop=False)
    grids.on_train_start(alone, painter)
    painter.images_seen = 10
    grids.on_train_batch_end(alone, painter)
    assert alone.should_stop and painter.level == 10 and not (tmp_path / "samples").exists()


def test_untrained_weights_come_back_to_the_bit(tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    untrained = Untrained(module, tmp_path)
    module(torch.randn(2, 3, 8, 8)).sum().backward()
    torch.optim.Adam(module.parameters()).step()
    after = {name: value.clone() for name, value in module.state_dict().items()}
    with untrained.restored(module):
        assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(torch.equal(value, after[name]) for name, value in module.state_dict().items())
    assert module[0].weight.is_contiguous(memory_format=torch.channels_last)
    untrained.close()
    assert not list(tmp_path.iterdir())


def test_grids_at_the_start_when_due_and_at_the_end(tmp_path):
    painter = Painter()
    run(SampleGrid(every=50, folder=str(tmp_path), n=4, seed=3), painter, to=120)
    assert names(tmp_path) == [0, 50, 100, 120]
    assert set(painter.asked) == {(4, 3)} and painter.synced == 3
    assert [level(tmp_path, number) for number in (0, 50, 100, 120)] == [0, 50, 100, 120]
    assert (tmp_path / "samples.png").read_bytes() == (tmp_path / "samples" / "000000120.png").read_bytes()
    with Image.open(tmp_path / "samples.gif") as animation:
        assert animation.n_frames == 4


def test_no_second_grid_at_the_end_if_one_was_just_due(tmp_path):
    painter = Painter()
    run(SampleGrid(every=50, folder=str(tmp_path), n=4), painter, to=100)
    assert len(painter.asked) == 3


def test_a_resumed_run_animates_all_its_parts_without_discarded_grids(tmp_path):
    first, painter = SampleGrid(every=50, folder=str(tmp_path), n=1), Painter()
    run(first, painter, to=100, end=False)
    state = first.state_dict()
    run(first, painter, to=250, end=False)
    second, resumed = SampleGrid(every=50, folder=str(tmp_path), n=1), Painter()
    second.load_state_dict(state)
    resumed.images_seen = 100
    run(second, resumed, to=160)
    assert len(resumed.asked) == 2
    with Image.open(tmp_path / "samples.gif") as animation:
        assert animation.n_frames == 5  # 0, 50, 100, 150, 160, without 200 and 250


def test_rows_are_classes_of_a_conditional_model(tmp_path):
    grids = SampleGrid(every=0, folder=str(tmp_path), n=8, animate=False)
    run(grids, Painter(num_labels=3), to=10)
    sheet = np.array(Image.open(tmp_path / "samples.png"))
    assert sheet.shape == (3 * 66 + 2, 2 * 66 + 2)
    assert [sheet[66 * row + 30, 30] for row in range(3)] == [0, 20, 40]


def test_other_ranks_take_part_in_the_collective_only(tmp_path):
    painter = Painter()
    run(SampleGrid(every=50, folder=str(tmp_path)), painter, to=50, the_trainer=trainer(rank=1))
    assert painter.synced == 1 and not painter.asked and not list(tmp_path.iterdir())


def test_loggers_get_every_grid(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("gan_lab.training.callbacks.samples.log_image", lambda *args: shown.append(args))
    logger = CSV(tmp_path)
    run(SampleGrid(50, str(tmp_path), n=1, animate=False), Painter(), to=50, the_trainer=trainer(loggers=[logger]))
    assert [(loggers, name, step) for loggers, name, _, step in shown] == [([logger], "samples", s) for s in (0, 50)]


def test_a_model_that_cannot_sample_has_no_grid(tmp_path):
    grids = SampleGrid(every=1, folder=str(tmp_path))
    module = SimpleNamespace(images_seen=0)
    for hook in (grids.on_train_start, grids.on_train_end):
        hook(trainer(), module)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("every", [0, -1])
def test_without_an_interval_there_are_the_first_and_the_last_grid(tmp_path, every):
    run(SampleGrid(every=every, folder=str(tmp_path), n=1), Painter(), to=200)
    assert names(tmp_path) == [0, 200]


class Walker(Painter):
    """Has a latent space; the first latent is the grey level."""

    def latents(self, n, seed=0, start=0, truncation=1.0, label=None):
        return torch.randn(n, 4, generator=torch.Generator().manual_seed(100 * seed + start))

    def decode(self, latents, label=None):
        self.asked.append(label)
        return latents[:, :1, None, None].tanh().expand(-1, 1, 64, 64)


def test_closed_walks_are_animated_at_the_end(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("gan_lab.training.callbacks.samples.log_animation", lambda _, *logged: shown.append(logged))
    walker = Walker(num_labels=3)
    run(SampleGrid(every=0, folder=str(tmp_path), n=4), walker, to=20)
    animation = animation_for(walker, None, seed=0)
    assert animation.name == "interpolation"
    frames = animation.frames
    assert frames.shape == (32, 1, 2 * 66 + 2, 4 * 66 + 2)
    steps = (frames.float() - frames.roll(1, 0).float()).abs().amax((1, 2, 3))
    assert steps.min() > 0 and steps[0] <= steps[1:].max()  # no jump from the last to the first
    assert [label for label in walker.asked if type(label) is int][:8] == [0, 1, 2, 0, 1, 2, 0, 1]
    assert shown == [("interpolation", tmp_path / "interpolation.gif", 20)]
    with Image.open(tmp_path / "interpolation.gif") as animation:
        assert animation.n_frames == 32


def test_models_without_latents_or_images_have_no_walk(tmp_path):
    run(SampleGrid(every=0, folder=str(tmp_path), n=4), Painter(), to=20)
    assert not (tmp_path / "interpolation.gif").exists()
    assert animation_for(Painter(), None, 0) is None
    assert animation_for(Walker(), instantiate(compose(["model=gan", "data=gaussians"]).data), 0) is None
