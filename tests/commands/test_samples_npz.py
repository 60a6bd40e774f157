"""Samples in one .npz file: what is in it, by how many processes, and its evaluation."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from calls import call, refused
from variational import checkpoint

import gan_lab
from gan_lab.common.images import to_uint8
from gan_lab.evaluate import evaluate
from gan_lab.sample import sample


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("cvae") / "last.ckpt", classes=10)


def arrays(path):
    with np.load(path, allow_pickle=False) as found:
        return {name: found[name] for name in found}


def expected(path, n, start=0, label=None):
    labels = torch.arange(start, start + n) % 10 if label is None else torch.full((n,), label)
    images = gan_lab.load(path).sample(n, seed=3, start=start, label=labels)
    return {"arr_0": to_uint8(images).permute(0, 2, 3, 1).numpy(), "arr_1": labels.numpy()}


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    assert all((found[name] == wanted[name]).all() and found[name].dtype == wanted[name].dtype for name in found)


@pytest.mark.parametrize(("keys", "how"), [([], {}), (["start=4", "label=7"], {"start": 4, "label": 7})])
def test_the_file_has_the_samples_with_their_labels(conditional, tmp_path, monkeypatch, capsys, keys, how):
    file = tmp_path / "new" / "x.NPZ"
    call(monkeypatch, sample, f"checkpoint={conditional}", "n=13", "batch_size=5", "seed=3", f"output={file}", *keys)
    assert_same(arrays(file), expected(conditional, 13, **how))
    assert capsys.readouterr().out.endswith(f"Wrote {file}\n")
    assert [path.name for path in file.parent.iterdir()] == ["x.NPZ"]


def test_an_unconditional_model_has_no_labels(tmp_path, monkeypatch):
    path = checkpoint(tmp_path / "last.ckpt")
    call(monkeypatch, sample, f"checkpoint={path}", "n=3", f"output={tmp_path}/x.npz")
    assert list(arrays(tmp_path / "x.npz")) == ["arr_0"]


def test_two_processes_write_the_same_file(conditional, tmp_path):
    keys = [f"checkpoint={conditional}", "n=13", "batch_size=2", "seed=3", "device=cpu", "devices=2"]
    command = [sys.executable, "-m", "gan_lab.sample", *keys, f"output={tmp_path}/x.npz"]
    subprocess.run(command, check=True, timeout=120)
    assert_same(arrays(tmp_path / "x.npz"), expected(conditional, 13))


@pytest.mark.parametrize("key", ["interpolate=2", "traverse=2", "single=true", "canvases=true"])
def test_everything_else_is_refused(conditional, tmp_path, monkeypatch, capsys, key):
    said = refused(monkeypatch, capsys, sample, f"checkpoint={conditional}", f"output={tmp_path}/x.npz", key)
    assert f"A .npz file holds samples: leave out {key.partition('=')[0]}=" in said


def test_it_is_evaluated_against_another(conditional, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, seed in (("real", 0), ("fake", 1)):
        keys = f"seed={seed}", f"n={30 - 5 * seed}", f"output={name}.npz"
        call(monkeypatch, sample, f"checkpoint={conditional}", *keys)
    keys = "metrics=[image_statistics]", "device=cpu", "output=x.json"
    call(monkeypatch, evaluate, "real=real.npz", "fake=fake.npz", *keys)
    record = json.loads(Path("x.json").read_text())
    pixels = arrays("fake.npz")["arr_0"]
    assert record["figures"]["brightness"] == pytest.approx(pixels.mean(), rel=1e-5)
    assert (record["protocol"]["samples"], record["protocol"]["real"]) == (25, 30)
    assert "25 images of fake.npz against 30 of real.npz" in Path("x.html").read_text()
    np.savez("other.npz", images=pixels)
    said = refused(monkeypatch, capsys, evaluate, "real=real.npz", "fake=other.npz", *keys)
    assert "other.npz has no arr_0, but images: give a .npz with arr_0, uint8" in said
