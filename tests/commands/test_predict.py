"""Sequences continued from the command line: those of the data, and the user's own."""

import sys

import pytest
import torch
from cases import limited, plain
from fitting import fit
from PIL import Image

import gan_lab
from gan_lab.common.images import save_animation, save_png, to_float
from gan_lab.evaluation.metrics.prediction import squared_error
from gan_lab.predict import predict
from gan_lab.sample import sample

SIDE, CELL = 16, 16 * 4 + 2


def call(monkeypatch, *arguments, command=predict):
    monkeypatch.setattr(sys, "argv", ["gan_lab", *arguments])
    return command()


def refused(monkeypatch, capsys, *arguments, command=predict):
    """The sentence that a wrong command ends with."""
    with pytest.raises(SystemExit) as end:
        call(monkeypatch, *arguments, command=command)
    assert end.value.code == 2
    (sentence,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert sentence.startswith("gan_lab: ") and sentence.endswith(".")
    return sentence


def trained(folder, *case):
    """A checkpoint of the small case on random clips of four frames, two of which are given."""
    configuration = plain([*case], folder, *limited(4), "data.channels=1")
    trainer, _ = fit(configuration)
    trainer.save_checkpoint(folder / "last.ckpt")
    return folder / "last.ckpt"


@pytest.fixture(scope="module")
def forecaster(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("convlstm"), "model=convlstm")


@pytest.fixture(scope="module")
def animator(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("mocogan"), "model=mocogan")


@pytest.fixture
def clip():
    """Grey frames that need no scaling, uint8 (6, 1, 16, 16)."""
    return torch.randint(256, (6, 1, SIDE, SIDE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_the_data_can_be_another_way(forecaster, tmp_path, monkeypatch, capsys):
    few = ["n=9", f"output={tmp_path}", "frames=1"]
    call(monkeypatch, f"checkpoint={forecaster}", "+data.count=6", *few)
    assert "Predicted 1 frame of 3 sequences" in capsys.readouterr().out
    assert "colour" in refused(monkeypatch, capsys, f"checkpoint={forecaster}", "+data.colour=1", *few)


def test_clips_of_the_data_beside_the_truth(forecaster, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    call(monkeypatch, f"checkpoint={forecaster}", "n=2", "frames=3")
    said = capsys.readouterr().out
    assert "Predicted 3 frames of 2 sequences, 2 frames given" in said and "last frame repeated" in said
    assert [path.name for path in tmp_path.iterdir()] == ["predictions"]
    rows, columns = 2 * 3, 2 + 3
    assert Image.open("predictions/prediction.png").size == (columns * CELL + 2, rows * CELL + 2)
    with Image.open("predictions/prediction.gif") as animation:
        assert animation.n_frames == 5 and animation.size == (2 * CELL + 2, 3 * CELL + 2)


@pytest.mark.parametrize("form", ["folder", "gif"])
def test_a_sequence_of_the_users(forecaster, clip, form, tmp_path, monkeypatch, capsys):
    path = tmp_path / ("clip.gif" if form == "gif" else "frames")
    if form == "gif":
        save_animation(path, clip)
    else:
        for number, frame in enumerate(clip):
            save_png(path / f"frame{number}.png", frame)
    out = tmp_path / "out"
    call(
        monkeypatch, f"checkpoint={forecaster}", f"input={path}", "after=4", "frames=2", f"output={out}", "single=true"
    )
    model, frames = gan_lab.load(forecaster), to_float(clip)[None]
    made = model.predict(frames[:, :4], 2)
    error = squared_error(made[0], frames[0, 4:]).mean()
    assert f"Summed squared error per frame {error:.1f};" in capsys.readouterr().out
    shown = torch.tensor(Image.open(out / "000001.png").getdata()).view(SIDE, SIDE)
    assert (shown - (made[0, 1, 0] + 1) * 127.5).abs().max() <= 1


def test_without_the_truth_it_goes_on_after_the_last_frame(forecaster, clip, tmp_path, monkeypatch, capsys):
    save_animation(tmp_path / "clip.gif", clip)
    wanted = tmp_path / "later.webp"
    call(monkeypatch, f"checkpoint={forecaster}", f"input={tmp_path}/clip.gif", "frames=7", f"output={wanted}")
    assert "Predicted 7 frames of 1 sequence, 6 frames given" in capsys.readouterr().out
    assert Image.open(wanted).size == (CELL + 2, 2 * CELL + 2)
    # As many of those given as the model was trained to see, and what follows.
    assert Image.open(tmp_path / "later.png").size == ((2 + 7) * CELL + 2, 2 * CELL + 2)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (["frames=0"], "frames=0 is not valid"),
        (["after=nine"], "after=nine is not valid"),
        (["after=9"], "A clip of the data has 4 frames, fewer than after=9"),
        (["split=later"], "split=later is not valid"),
        (["input=nowhere"], "nowhere"),
        (["ema=maybe"], "ema=maybe is not valid"),
    ],
)
def test_what_does_not_serve_is_refused_in_a_sentence(forecaster, keys, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert sentence in refused(monkeypatch, capsys, f"checkpoint={forecaster}", *keys)


def test_models_that_do_something_else_say_what(forecaster, animator, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "MoCoGAN, which cannot continue sequences of frames" in refused(
        monkeypatch, capsys, f"checkpoint={animator}"
    )
    said = refused(monkeypatch, capsys, f"checkpoint={forecaster}", command=sample)
    assert f"gan_lab.predict checkpoint={forecaster}" in said
    said = refused(monkeypatch, capsys, f"checkpoint={animator}", "traverse=3", command=sample)
    assert "samples clips" in said


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["canvases=true"], "MoCoGAN samples clips: leave out canvases="),
        (["truncation=0.5", "single=true"], "leave out truncation= and single="),
        (["label=3"], "trained without labels"),
        (["single=true"], "leave out single="),
        (["canvases=true", "interpolate=3"], "leave out interpolate="),
    ],
)
def test_keys_of_no_use_for_sequences_are_refused(animator, keys, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert said in refused(monkeypatch, capsys, f"checkpoint={animator}", *keys, command=sample)


def test_an_animation_shows_the_first_of_many_sequences(forecaster, tmp_path, monkeypatch):
    call(monkeypatch, f"checkpoint={forecaster}", "n=18", "frames=1", f"output={tmp_path}")
    assert Image.open(tmp_path / "prediction.gif").size == (16 * CELL + 2, 3 * CELL + 2)
    assert Image.open(tmp_path / "prediction.png").size == (3 * CELL + 2, 18 * 3 * CELL + 2)


def test_sequences_are_sampled_as_strips_and_animations(animator, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call(monkeypatch, f"checkpoint={animator}", "n=4", "frames=5", "batch_size=3", command=sample)
    assert Image.open("samples/sequences.png").size == (5 * CELL + 2, 4 * CELL + 2)
    assert Image.open("samples/sequences.gif").n_frames == 5
    call(monkeypatch, f"checkpoint={animator}", "exchange=3", "frames=5", "output=crossed.gif", command=sample)
    assert Image.open("crossed.gif").size == (3 * CELL + 2, 3 * CELL + 2)
    assert Image.open("crossed.png").size == (5 * CELL + 2, 9 * CELL + 2)
