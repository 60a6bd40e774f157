"""Files of averaged weights: small models that every command reads."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import gan_lab
from gan_lab.common.errors import UserError
from gan_lab.evaluate import evaluate
from gan_lab.sample import sample
from gan_lab.train import train
from gan_lab.training.checkpoint import read
from gan_lab.training.weights_file import _checksum, write_weights

SHORT = ["data.count=24", "data.test_count=4", "data.size=16", "batch_size=4", "budget.images=24", "trainer=cpu"]
SHORT += ["logger=none", "callbacks.fidelity=null", "callbacks.samples=null"]
SMALL = ["model=denoise", "model.network.maps=8", "model.network.blocks=1", *SHORT]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "denoise"
    train.run(*SMALL, f"run_dir={folder}")
    return folder


@pytest.fixture
def weights(run, tmp_path):
    write_weights(read(run), tmp_path / "small.safetensors", photographs="drawn animals")
    return tmp_path / "small.safetensors"


def test_the_model_is_that_of_the_averaged_weights(run, weights):
    damaged = torch.rand(2, 3, 18, 20) * 2 - 1
    whole, small = gan_lab.load(run), gan_lab.load(weights)
    assert torch.equal(small.repair(damaged), whole.repair(damaged)) and small.images_seen == 24
    small.use_live_weights = True
    assert torch.equal(small.repair(damaged), whole.repair(damaged)), "its live weights are the averaged ones"
    assert weights.stat().st_size < (run / "last.ckpt").stat().st_size / 4


def test_half_precision_takes_half_the_room_and_changes_little(run, weights, tmp_path):
    write_weights(read(run), tmp_path / "half.safetensors", torch.float16)
    sizes = [sum(value.nbytes for value in tensors(path).values()) for path in (weights, tmp_path / "half.safetensors")]
    assert sizes[0] == 2 * sizes[1]
    damaged = torch.rand(2, 3, 18, 20) * 2 - 1
    made = [gan_lab.load(path).repair(damaged) for path in (weights, tmp_path / "half.safetensors")]
    torch.testing.assert_close(*made, atol=2e-3, rtol=0)


def tensors(path):
    with safe_open(str(path), "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def test_it_has_notes_and_no_place_of_the_machine(run, weights):
    with safe_open(str(weights), "pt") as file:
        header = file.metadata()
    assert header["photographs"] == "drawn animals"
    data = json.loads(header["gan_lab"])["gan_lab"]["data"]
    assert data["size"] == 16 and data["data_dir"] == "data"
    assert str(run.parent) not in header["gan_lab"]


def test_commands_take_it_as_a_checkpoint(weights, tmp_path):
    evaluate.run(f"checkpoint={weights}", "metrics=restoration", f"output={tmp_path / 'result.json'}", "n=4")
    assert '"psnr"' in (tmp_path / "result.json").read_text()
    with pytest.raises(UserError, match=r"python -m gan_lab\.restore checkpoint="):
        sample.run(f"checkpoint={weights}", f"output={tmp_path / 'samples'}")


def test_training_begins_with_it_and_does_not_go_on_from_it(weights, tmp_path):
    train.run(*SMALL, f"run_dir={tmp_path / 'new'}", f"init_from={weights}")
    with pytest.raises(UserError, match=r"has weights alone.*init_from="):
        train.run(*SMALL, f"run_dir={tmp_path / 'other'}", f"resume={weights}")


def test_every_changed_byte_is_noticed(weights):
    whole = weights.read_bytes()
    for place in {*range(0, len(whole), len(whole) // 60), *range(10), *range(len(whole) - 10, len(whole))}:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        weights.write_bytes(damaged)
        with pytest.raises(UserError, match=r"is damaged|cannot be read|was not written by gan_lab"):
            gan_lab.load(weights)


def test_tensors_of_others_are_refused(tmp_path):
    save_file({"x": torch.zeros(3)}, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match="was not written by gan_lab"):
        gan_lab.load(tmp_path / "x.safetensors")


def test_paths_are_left_out_and_asked_for(run, tmp_path):
    checkpoint = read(run)
    data = {**checkpoint["gan_lab"]["data"], "root": "/home/someone/photos", "cache_dir": "/home/someone/cache"}
    model = {**checkpoint["gan_lab"]["model"], "note": "/home/someone/vgg.pth"}
    write_weights(
        {**checkpoint, "gan_lab": {**checkpoint["gan_lab"], "data": data, "model": model}}, tmp_path / "x.safetensors"
    )
    assert b"someone" not in (tmp_path / "x.safetensors").read_bytes()
    write_weights({**checkpoint, "gan_lab": {**checkpoint["gan_lab"], "data": data}}, tmp_path / "y.safetensors")
    with pytest.raises(UserError, match="does not say where its data are: give root="):
        evaluate.run(f"checkpoint={tmp_path / 'y.safetensors'}", "metrics=restoration", f"output={tmp_path / 'z.json'}")


@pytest.mark.parametrize("header", ["", "[]", "{}", '{"gan_lab": {}, "counters": {}, "averaged": []}', "[" * 100_000])
def test_headers_of_strangers_are_one_sentence(tmp_path, header):
    notes = {"gan_lab": header}
    notes["checksum"] = _checksum({"x": torch.zeros(3)}, notes)
    save_file({"x": torch.zeros(3)}, tmp_path / "x.safetensors", notes)
    with pytest.raises(UserError, match="was not written by gan_lab"):
        gan_lab.load(tmp_path / "x.safetensors")


def test_values_beyond_half_precision_are_kept(run, tmp_path):
    checkpoint = read(run)
    state = {**checkpoint["state_dict"], "large": torch.tensor([1e6, 1.0])}
    write_weights({**checkpoint, "state_dict": state}, tmp_path / "x.safetensors", torch.float16)
    assert torch.equal(tensors(tmp_path / "x.safetensors")["large"], state["large"])
