"""Folders of one model: weights, the configuration that builds it, a card."""

import json

import pytest
import torch
from cases import CASES, plain
from outputs import outputs_of
from safetensors.torch import load_file, save_file

import gan_lab
from gan_lab.common.capabilities import Discriminates, HasDiscriminator
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.training.alternating import to_channels_last
from gan_lab.training.checkpoint import read
from gan_lab.training.model_folder import weights_of, write_model

KINDS = [case for case in CASES if len(case) == 1 or case[1].startswith(("model.engine", "data.", "remedy=spectral"))]
"""Every model, and what changes the names of weights."""


def made(case, place):
    """An untrained model of a case with averages that differ from its live networks, and its contents."""
    configuration = plain(case, place)
    torch.manual_seed(0)
    model = instantiate(configuration["model"])
    for parameter in model.ema.parameters() if model.ema is not None else ():
        parameter.data += 0.01
    model.iteration, model.images_seen = 3, 12
    kept = {key: configuration[key] for key in ("model", "data")}
    if model.engine.channels_last:  # as a loaded model, which rounds in another order otherwise
        to_channels_last(model)
    return model.eval(), {**kept, "format": 2, "versions": {}}


@pytest.fixture
def folder(tmp_path):
    model, contents = made(("model=dcgan",), tmp_path)
    (tmp_path / "made").mkdir()
    write_model(model, {**contents, "class_names": None}, tmp_path / "made", "# A card\n")
    return tmp_path / "made"


@pytest.mark.parametrize("case", KINDS, ids=" ".join)
def test_every_model_comes_back_with_its_outputs_and_without_its_discriminators(case, tmp_path):
    model, contents = made(case, tmp_path)
    (tmp_path / "made").mkdir()
    write_model(model, contents, tmp_path / "made", "")
    loaded = gan_lab.load(tmp_path / "made")
    expected, found = outputs_of(model), outputs_of(loaded)
    assert expected.keys() == found.keys() and all(torch.equal(found[name], expected[name]) for name in expected)
    assert (loaded.iteration, loaded.images_seen) == (3, 12)
    size = sum(value.nbytes for value in weights_of(model).values())
    assert (tmp_path / "made" / "model.safetensors").stat().st_size < 1.05 * size + 20_000
    if isinstance(loaded, HasDiscriminator):
        with pytest.raises(UserError, match="came without its discriminator"):
            loaded.discriminator_logits(torch.zeros(2, 3, 16, 16))
    if isinstance(loaded, Discriminates):
        assert not any("discriminator" in name for name, _ in loaded.named_parameters())


def test_weights_are_averaged_and_each_is_there_once(tmp_path):
    model, contents = made(("model=dcgan",), tmp_path)
    write_model(model, contents, tmp_path, "")
    tensors = load_file(tmp_path / "model.safetensors")
    averaged = model.ema.networks["generator"].state_dict()
    assert tensors.keys() == averaged.keys(), "names of the one network, as other programs know it"
    assert all(torch.equal(tensors[name], averaged[name]) for name in averaged)
    model.use_live_weights = True
    write_model(model, contents, tmp_path, "")
    live = gan_lab.load(tmp_path).averaged("generator").state_dict()
    assert all(torch.equal(live[name], value) for name, value in model.generator.state_dict().items())


def test_weights_in_another_memory_layout_are_written(tmp_path):
    model, contents = made(("model=cyclegan",), tmp_path)
    write_model(model.to(memory_format=torch.channels_last), contents, tmp_path, "")
    assert set(load_file(tmp_path / "model.safetensors")) == set(weights_of(model))


def test_other_weights_are_refused(folder):
    tensors = load_file(folder / "model.safetensors")
    save_file({name: value + 1 for name, value in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"another fingerprint \(SHA-256\) than config.json"):
        gan_lab.load(folder)


@pytest.mark.parametrize(
    "change", [{"library": "another"}, {"model": []}, {"averaged": [1]}, {"sha256": None}, {"format": "2"}]
)
def test_configurations_of_others_are_refused(folder, change):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(UserError, match="was not written by gan_lab"):
        gan_lab.load(folder)
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match="was not written by gan_lab"):
        read(folder)


def test_only_what_is_trusted_is_built(folder):
    config = json.loads((folder / "config.json").read_text())
    config["model"]["generator"]["_target_"] = "os.system"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"os\.system"):
        gan_lab.load(folder)


def test_paths_of_the_machine_are_left_out(tmp_path):
    model, contents = made(("model=dcgan",), tmp_path)
    data = {**contents["data"], "root": "/home/someone/photos"}
    write_model(model, {**contents, "data": data}, tmp_path, "")
    text = (tmp_path / "config.json").read_text()
    assert "someone" not in text and json.loads(text)["places"] == ["root"]
