import io
import re
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Trainer
from rich.console import Console

from gan_lab.common.progress import display, track
from gan_lab.training.callbacks import progress as module_under_test
from gan_lab.training.callbacks.progress import BudgetBar

TRAINER = SimpleNamespace(callback_metrics={"fd_grey": torch.tensor(12.345678)})


def screen(monkeypatch, terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=200)
    monkeypatch.setattr("gan_lab.common.progress.console", console)
    monkeypatch.setattr(module_under_test, "console", console)
    monkeypatch.setattr(module_under_test, "REFRESH_SECONDS", 0.0)
    return console.file


def train(bar, steps=40, start=0, during=lambda: None):
    run = SimpleNamespace(images_seen=100 * start, progress=start / steps)
    bar.on_train_start(TRAINER, run)
    for i in range(start, steps):
        run.images_seen, run.progress = 100 * (i + 1), (i + 1) / steps
        outputs = {"discriminator": {"adversarial": torch.tensor(0.5), "accuracy": torch.tensor(1.0)}}
        bar.on_train_batch_end(
            TRAINER, run, outputs | ({"generator": {"adversarial": torch.tensor(2.0)}} if i % 5 == 0 else {}), {}, i
        )
        during()
    bar.on_train_end(TRAINER, run)


def test_without_a_terminal_a_line_every_tenth(monkeypatch):
    out = screen(monkeypatch, terminal=False)
    train(BudgetBar(), start=8)
    lines = out.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == [f"{i}%" for i in range(30, 101, 10)]
    assert re.match(
        r"100%  0:00:00 left  4,000 images  [\d,]+ images/s  discriminator 0.5  generator 2  fd_grey 12.35$", lines[-1]
    )
    assert "\x1b" not in out.getvalue()


def test_on_a_terminal_other_bars_join_the_display(monkeypatch):
    out = screen(monkeypatch, terminal=True)
    inside = []

    def measure():
        for _ in track(range(3), "Sampling", total=3):
            with display() as shown:
                inside.append([task.description for task in shown.tasks])
        inside.append([task.description for task in shown.tasks])

    train(BudgetBar(), steps=2, during=measure)
    assert inside == ([["Training", "Sampling"]] * 3 + [["Training"]]) * 2
    assert "4,000" not in out.getvalue() and "200 images" in out.getvalue() and "fd_grey 12.35" in out.getvalue()


@pytest.mark.parametrize("end", ["on_exception", "teardown"])
def test_the_terminal_is_restored_however_the_run_ends(monkeypatch, end):
    out = screen(monkeypatch, terminal=True)
    bar = BudgetBar()
    bar.on_train_start(TRAINER, SimpleNamespace(images_seen=0, progress=0.0))
    getattr(bar, end)(TRAINER, None, None)
    assert out.getvalue().endswith("\x1b[?25h")


def test_other_ranks_show_nothing(monkeypatch):
    out = screen(monkeypatch, terminal=False)
    bar = BudgetBar()
    bar.disable()
    train(bar)
    assert out.getvalue() == ""


@pytest.mark.parametrize(("terminal", "show"), [(False, True), (True, False)])
def test_track_is_silent_without_a_terminal_or_on_other_ranks(monkeypatch, terminal, show):
    out = screen(monkeypatch, terminal)
    assert list(track(iter("abc"), "Sampling", show=show)) == ["a", "b", "c"]
    assert out.getvalue() == ""


def test_lightning_adds_no_bar_of_its_own():
    bar = BudgetBar()
    assert Trainer(callbacks=[bar], accelerator="cpu", logger=False).progress_bar_callback is bar
