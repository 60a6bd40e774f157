"""The commands as a user gives them: right, wrong, interrupted, and with files of any name."""

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from calls import call, refused
from PIL import Image

import gan_lab
from gan_lab.cli.config.paths import home
from gan_lab.common import images as imaging
from gan_lab.common import runs
from gan_lab.common.found_files import files_below
from gan_lab.evaluate import evaluate
from gan_lab.sample import sample
from gan_lab.train import train
from gan_lab.translate import translate

TINY = ["data=digits", "data.size=8", "batch_size=64", "model.generator.base=4", "model.discriminator.base=4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished run in a folder whose name is hard on Hydra's grammar."""
    folder = tmp_path_factory.mktemp("run") / "é, (1)=x"
    argv, sys.argv = sys.argv, ["gan_lab", *TINY, "debug=smoke", f"run_dir={folder}"]
    try:
        train()
    finally:
        sys.argv = argv
    return folder


def test_a_run_leaves_pictures_figures_logs_and_checkpoints(folder):
    expected = {"last.ckpt", "best.ckpt", "samples.png", "samples.gif", "metrics.csv", "metrics.jsonl", "tensorboard"}
    assert expected <= {path.name for path in folder.iterdir()}
    assert [path.name for path in sorted((folder / "samples").iterdir())] == [f"{i:09d}.png" for i in (0, 256, 512)]
    assert Image.open(folder / "samples.png").getextrema()[0] != Image.open(folder / "samples.png").getextrema()[1]
    state = json.loads((folder / "run.json").read_text())
    assert state["state"] == "finished" and state["images_seen"] == 512
    assert state["figures"]["fd_grey"] > 0
    record = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert record["protocol"]["samples"] == 64 and record["protocol"]["split"] == "train"


def test_sampling_needs_the_checkpoint_alone_and_leaves_nothing_else(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call(monkeypatch, sample, f"checkpoint={folder}/last.ckpt", "output=2024", "n=5", "single=true", "seed=1")
    assert [path.name for path in tmp_path.iterdir()] == ["2024"]
    assert sorted(path.name for path in (tmp_path / "2024").iterdir()) == [f"{i:06d}.png" for i in range(5)] + [
        "grid.png"
    ]
    call(monkeypatch, sample, f"checkpoint={folder}", "output=later", "n=2", "start=3", "seed=1", "single=true")
    assert (tmp_path / "later" / "000003.png").read_bytes() == (tmp_path / "2024" / "000003.png").read_bytes()
    call(monkeypatch, sample, f"checkpoint={folder}", "output=a,b (1).gif", "interpolate=3", "steps=2")
    assert Image.open("a,b (1).gif").n_frames == 5


def test_evaluating_repeats_the_runs_own_figure(folder, tmp_path, monkeypatch):
    output = tmp_path / "été=3.json"
    call(monkeypatch, evaluate, f"checkpoint={folder}/last.ckpt", f"output={output}", "n=64")
    record = json.loads(output.read_text())
    recorded = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["figures"]
    assert record["figures"]["fd_grey"] == pytest.approx(recorded["fd_grey"], rel=1e-4)
    assert record["protocol"]["ema"] is True and record["seconds"] > 0


def test_the_networks_themselves_can_be_looked_at_in_place_of_their_average(folder, tmp_path, monkeypatch):
    chosen = {"averaged": [], "raw": ["ema=false"]}
    for name, switch in chosen.items():
        call(monkeypatch, sample, f"checkpoint={folder}", f"output={tmp_path}/{name}.png", "n=4", *switch)
    model = gan_lab.load(folder / "last.ckpt")
    latents = model.latents(4)
    for name, generator in (("averaged", model.ema.networks["generator"]), ("raw", model.generator)):
        made = imaging.grid(generator(latents).detach().clamp(-1, 1))
        assert torch.equal(imaging.from_pil(Image.open(tmp_path / f"{name}.png")), made)


SHORT = ("classification_accuracy.n=100", "classification_accuracy.steps=3", "path_length.n=4")


def test_measuring_leaves_training_as_it_is(tmp_path, monkeypatch):
    command = [*TINY, "model=cgan", "debug=smoke"]
    full = ["metrics=full", "metrics@quick=full", *(f"{tier}.{key}" for tier in ("metrics", "quick") for key in SHORT)]
    for name, measured in (("with", full), ("without", ["callbacks.fidelity=null"])):
        call(monkeypatch, train, *command, *measured, f"run_dir={tmp_path / name}")
    figures = json.loads((tmp_path / "with" / "metrics.jsonl").read_text().splitlines()[-1])["figures"]
    assert {"cas", "path_length_colour", "recall_grey"} <= set(figures)
    states = [torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("with", "without")]
    for key in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(*(state[key] for state in states), rtol=0, atol=0)


def test_the_line_that_the_program_is_known_by(tmp_path, monkeypatch):
    """``model=cyclegan data=horse2zebra data.root=…``, narrow; then photographs go through it, and figures."""
    draw = torch.Generator().manual_seed(0)
    for name in ("trainA", "trainB", "testA", "testB"):
        (tmp_path / "sets" / name).mkdir(parents=True)
        for number in range(4):
            pixels = torch.randint(256, (40, 36, 3), generator=draw, dtype=torch.uint8)
            Image.fromarray(pixels.numpy()).save(tmp_path / "sets" / name / f"{number}.jpg")
    monkeypatch.chdir(tmp_path)
    narrow = [
        "data.size=32",
        "generator.filters=4",
        "generator.blocks=1",
        "discriminator.filters=4",
        "discriminator.layers=2",
    ]
    command = ["model=cyclegan", "data=horse2zebra", "data.root=sets", *narrow, "debug=smoke", "budget.images=6"]
    call(monkeypatch, train, *command, "run_dir=run")
    assert {"last.ckpt", "best.ckpt", "samples.png", "metrics.jsonl"} <= {path.name for path in Path("run").iterdir()}
    call(monkeypatch, translate, "checkpoint=run", "input=sets/testA", "output=zebras", "direction=a2b")
    written = [Image.open(path).size for path in sorted(Path("zebras").glob("*.jpg"))]
    assert written == [(36, 40)] * 4
    call(monkeypatch, evaluate, "checkpoint=run", "output=figures.json")
    assert json.loads(Path("figures.json").read_text())["figures"]["fd_general_b2a"] > 0


def test_a_conditional_model_makes_what_is_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    remedies = ["remedy=[diffaugment,lecam,spectral_norm]"]
    call(monkeypatch, train, "model=cgan", *TINY, *remedies, "debug=smoke", "run_dir=run")
    width, height = Image.open("run/samples.png").size  # 16 pictures: of four classes, one a row, with its name
    assert (height, width > 4 * 66 + 2) == (4 * 66 + 2, True)
    figures = json.loads(Path("run/metrics.jsonl").read_text().splitlines()[-1])["figures"]
    assert figures["fd_grey_classes"] > 0 and 0 <= figures["label_accuracy"] <= 1
    assert "train/discriminator/lecam" in Path("run/metrics.csv").read_text()
    for name, label in (("three", ["label=3"]), ("five", ["label=5"]), ("any", [])):
        call(monkeypatch, sample, "checkpoint=run", "n=4", *label, f"output={name}.png")
    assert len({Path(f"{name}.png").read_bytes() for name in ("three", "five", "any")}) == 3
    call(monkeypatch, sample, "checkpoint=run", "n=23", "batch_size=7", "output=rows.png")
    rows = np.array(Image.open("rows.png"))
    margin = rows.shape[1] - (3 * 66 + 2)
    assert rows.shape[0] == 10 * 66 + 2 and 0 < margin < 30
    call(monkeypatch, sample, "checkpoint=run", "n=1", "start=13", "output=three.png")
    assert np.array_equal(rows[3 * 66 : 4 * 66 + 2, margin + 66 : margin + 2 * 66 + 2], Image.open("three.png"))
    assert "classes 0 to 9" in refused(monkeypatch, capsys, sample, "checkpoint=run", "label=10")


def test_points_are_counted_and_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    call(monkeypatch, train, "model=gan", "data=gaussians", "debug=smoke", "run_dir=run")
    record = json.loads(Path("run/metrics.jsonl").read_text().splitlines()[-1])
    assert 0 <= record["figures"]["modes"] <= 25
    assert record["protocol"]["data"]["spacing"] / record["protocol"]["data"]["deviation"] == 40
    assert Image.open("run/samples.png").size == (384, 384)
    assert Path("run/best.ckpt").is_file()
    for walk in ([], ["interpolate=2"]):
        assert "generates no images" in refused(monkeypatch, capsys, sample, "checkpoint=run", "n=4", *walk)
    call(monkeypatch, evaluate, "checkpoint=run", "n=100", "output=figures.json")
    assert json.loads(Path("figures.json").read_text())["protocol"]["samples"] == 100


def test_the_readmes_own_method_trains(tmp_path, monkeypatch, capsys, caplog):
    """The code and the command of its section on adding a method, from a folder of the user's."""
    readme = (home("conf").parent / "README.md").read_text()
    (code,) = re.findall(r"```python\n# my_methods.py\n(.*?)```", readme, re.S)
    (command,) = re.findall(r"python -m gan_lab.train (model._target_=.*)", readme)
    (tmp_path / "my_methods.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with caplog.at_level("INFO"):
        call(monkeypatch, train, *TINY, "debug=smoke", *command.split(), "run_dir=run")
    assert sys.path[-1] == str(tmp_path), "an installed module comes before one in the current folder"
    assert "train/generator/seeking" in (tmp_path / "run" / "metrics.csv").read_text()
    assert "trust=[my_methods]" in refused(monkeypatch, capsys, sample, "checkpoint=run")
    assert "trust=[torch] is refused" in refused(monkeypatch, capsys, sample, "checkpoint=run", "trust=[torch]")
    (done,) = re.findall(r"Done: python -m gan_lab.sample (.*)", caplog.text)
    call(monkeypatch, sample, *shlex.split(done), "output=x.png")
    assert Path("x.png").is_file()


def test_a_run_that_saves_nothing_says_so(tmp_path, monkeypatch, caplog):
    with caplog.at_level("INFO"):
        call(monkeypatch, train, *TINY, "debug=smoke", "callbacks=none", "logger=none", f"run_dir={tmp_path}/run")
    assert "no checkpoint was saved" in caplog.text and "Done: python" not in caplog.text


def test_load(folder):
    model = gan_lab.load(folder / "last.ckpt")
    assert model.images_seen == 512 and not model.training


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["data.size=30"], "data.size=28 works"),
        (["data=folder", "data.root=/nowhere/at/all"], "/nowhere/at/all"),
        (["data=folder"], "data.root"),
        (["budget.images=null"], "budget.epochs"),
        (["batch_size=100000"], "batch_size"),
        (["batch_size=0"], "batch_size"),
        (["+trainer.max_steps=5"], "budget"),
        (["data.size=abc"], "data.size=abc"),
        (["trainer.devices=two"], "trainer.devices=two"),
        (["trainer=ddp_cpu", "trainer.sync_batchnorm=true"], "needs GPUs"),
        (["metrics=[fidd]"], "codebook, confidence"),
        (["+trainer.gradient_clip_val=1"], "model.engine.clip"),
        (["model=cgan", "data=fake"], "no classes with data.classes=0: choose other data"),
        (["model=cgan", "remedy=replay"], "leave replay_pool out"),
        (["model=acgan", "conditional=false"], "conditional=true"),
        (["model=infogan", "conditional=true"], "conditional=true"),
        (["loss=r1", "model.discriminator.norm=batch", "data.size=16"], "loss.discriminator.norm"),
        (["init_from=/nowhere.ckpt"], "/nowhere.ckpt"),
        (["resume=/nowhere.ckpt"], "/nowhere.ckpt"),
        (["model._target_=gan_lab.models.nothing.Here"], "gan_lab.models.nothing.Here"),
        (["extractor=inception", "extractor.inception.weights=/nowhere.pth"], "/nowhere.pth"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_cannot_work_is_refused_in_a_sentence(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tiny = [argument for argument in TINY if not (argument == "data=digits" and "data=folder" in arguments)]
    assert said in refused(monkeypatch, capsys, train, *tiny, "debug=smoke", *arguments)
    if "data=folder" not in arguments and "extractor" not in arguments[0] and "100000" not in arguments[0]:
        assert not (tmp_path / "runs").exists(), "refused before anything was made"


def test_what_cannot_be_sampled_is_refused_in_a_sentence(folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "x.ckpt").write_bytes((folder / "last.ckpt").read_bytes()[:1000])
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    for arguments, said in (
        (["checkpoint=/nowhere.ckpt"], "/nowhere.ckpt"),
        ([], "checkpoint"),
        ([f"checkpoint={tmp_path}/x.ckpt"], "is damaged or truncated"),
        ([f"checkpoint={tmp_path}/other.ckpt"], "not written by gan_lab"),
        ([f"checkpoint={folder}", "label=3"], "without labels"),
        ([f"checkpoint={folder}", "n=0"], "n=0"),
        ([f"checkpoint={folder}", "truncation=3"], "truncation"),
        ([f"checkpoint={folder}", "device=tpu7"], "tpu7"),
    ):
        assert said in refused(monkeypatch, capsys, sample, *arguments)


def test_two_processes_are_stopped_resumed_and_measured_together(tmp_path):
    """The whole way over two ranks: SIGTERM to the first stops both at one iteration, resume=auto goes on with both."""
    command = [*TINY, "trainer=ddp_cpu", "debug=smoke", "budget.images=12800",
               "callbacks.fidelity.every=0", "resume=auto", f"runs={tmp_path}"]  # fmt: skip
    process = subprocess.Popen([sys.executable, "-m", "gan_lab.train", *command], stderr=subprocess.PIPE, text=True)
    while not any(files_below(tmp_path, "last.ckpt")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) == 143, process.stderr.read()
    (run,) = tmp_path.glob("*/*")
    images = torch.load(run / runs.LAST, weights_only=True)["counters"]["images_seen"]
    assert 0 < images < 12800
    script = [str(Path(sys.executable).with_name("gan-lab")), "train"]
    done = subprocess.run([*script, *command], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("*/*")) == [run]
    quick, record = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    assert (quick["tier"], record["tier"]) == ("quick", "final")
    assert record["images_seen"] == 12800 and record["protocol"]["samples"] == 64
    steps = [int(line.split(",")[0]) for line in (run / "metrics.csv").read_text().splitlines()[1:]]
    assert steps == sorted(set(steps)) and steps[-1] == 12800


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_the_run_goes_on_where_it_stopped(number, status, tmp_path, monkeypatch):
    command = [*TINY, "budget.epochs=20000", "callbacks.samples=null", "callbacks.fidelity=null", f"runs={tmp_path}"]
    process = subprocess.Popen([sys.executable, "-m", "gan_lab.train", *command], stderr=subprocess.PIPE, text=True)
    while not any(files_below(tmp_path, "metrics.csv")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(timeout=60) == status
    (run,) = tmp_path.glob("*/*")
    assert json.loads((run / "run.json").read_text())["state"] == "stopped"
    images = torch.load(run / runs.LAST, weights_only=True)["counters"]["images_seen"]
    assert images > 0
    call(monkeypatch, train, *command, f"resume={run}", "budget.epochs=null", f"budget.images={images + 640}")
    assert torch.load(run / runs.LAST, weights_only=True)["counters"]["images_seen"] == images + 640
    assert list(tmp_path.glob("*/*")) == [run]
