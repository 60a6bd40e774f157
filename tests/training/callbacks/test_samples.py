from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lab.cli.config.compose import compose
from gan_lab.common.instantiate import instantiate
from gan_lab.evaluation.kinds import animation_for
from gan_lab.training.callbacks.samples import SampleGrid
from gan_lab.training.loggers import CSV


class Painter:
    """Generates uniform images whose grey level is the label or the number of images seen."""

    def __init__(self, num_labels=0):
        self.images_seen, self.synced, self.num_labels, self.asked = 0, 0, num_labels, []

    def sync_buffers(self):
        self.synced += 1

    def sample(self, n, seed=0, start=0, label=None, truncation=1.0):
        self.asked.append((n, seed))
        level = torch.full((n,), self.images_seen) if label is None else label * 20
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


def test_grids_at_the_start_when_due_and_at_the_end(tmp_path):
    painter = Painter()
    run(SampleGrid(every=50, folder=str(tmp_path), n=4, seed=3), painter, to=120)
    assert names(tmp_path) == [0, 50, 100, 120]
    assert set(painter.asked) == {(4, 3)} and painter.synced == 4
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
    assert painter.synced == 2 and not painter.asked and not list(tmp_path.iterdir())


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
