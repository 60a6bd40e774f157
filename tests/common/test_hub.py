"""Models on the Hugging Face Hub, from a server on this machine that speaks its protocol."""

import logging

import huggingface_hub
import pytest
import torch
from cases import plain
from hub_server import TOKEN, Hub

import gan_lab
from gan_lab.common.errors import UserError
from gan_lab.common.hub import HubModel, is_on_hub
from gan_lab.common.instantiate import instantiate
from gan_lab.common.named_checkpoints import named_checkpoint
from gan_lab.common.runs import CONFIG, WEIGHTS
from gan_lab.export import export
from gan_lab.training.model_folder import write_model


@pytest.fixture
def hub(monkeypatch, tmp_path):
    server = Hub()
    for name, value in {
        "ENDPOINT": server.address,
        "HF_HUB_CACHE": str(tmp_path / "cache"),
        "HF_HUB_DISABLE_XET": True,
    }.items():
        monkeypatch.setattr(huggingface_hub.constants, name, value)
    template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def exported(tmp_path):
    """The folder of an untrained model."""
    configuration, folder = plain(("model=dcgan",), tmp_path), tmp_path / "exported"
    folder.mkdir()
    kept = {key: configuration[key] for key in ("model", "data")}
    write_model(instantiate(configuration["model"]).eval(), {**kept, "format": 2, "versions": {}, "class_names": None},
                folder, "# A card")  # fmt: skip
    return folder


@pytest.mark.parametrize(
    ("given", "model"),
    [
        ("hf://user/name", HubModel("user/name")),
        ("hf:/user/na-me.2", HubModel("user/na-me.2")),
        ("hf://user/name@v1", HubModel("user/name", "v1")),
        ("hf://user/name@refs/pr/1", HubModel("user/name", "refs/pr/1")),
    ],
)
def test_addresses_are_read_with_one_slash_too(given, model):
    assert is_on_hub(given) and HubModel.of(given) == model and HubModel.of(str(model)) == model


@pytest.mark.parametrize("given", ["hf://name", "hf://a/b/c", "hf://user/na me", "hf://user/name@"])
def test_what_is_no_address_is_refused(given):
    with pytest.raises(UserError, match="is no address on the hub: give hf://user/name"):
        HubModel.of(given)


def test_what_is_pushed_comes_back_and_stays_without_the_server(hub, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    files = [tmp_path / WEIGHTS, tmp_path / CONFIG]
    for number, file in enumerate(files):
        file.write_bytes(bytes([number]) * 1000)
    assert HubModel("me/model").push(files).endswith(f"/me/model/commit/{1:040x}")
    files[0].write_bytes(b"new")
    HubModel("me/model").push(files)
    assert HubModel("me/model").download([WEIGHTS, CONFIG]).read_bytes() == b"new"
    first = HubModel("me/model", f"{1:040x}").download([WEIGHTS, CONFIG])
    assert first.read_bytes() == bytes(1000) and (first.parent / CONFIG).read_bytes() == bytes([1]) * 1000
    assert TOKEN not in caplog.text
    hub.shutdown()
    hub.server_close()
    assert HubModel("me/model").download([WEIGHTS, CONFIG]).read_bytes() == b"new"


def test_a_model_is_loaded_by_its_address(hub, exported):
    hub.commit("me/model", {file.name: file.read_bytes() for file in exported.iterdir()})
    for given in ("hf://me/model", named_checkpoint("hf://me/model")):
        found, own = gan_lab.load(given), gan_lab.load(exported)
        for name, value in own.state_dict().items():
            assert torch.equal(found.state_dict()[name], value)


def test_what_the_hub_refuses_is_one_sentence(hub, tmp_path, monkeypatch):
    file = tmp_path / "x"
    file.touch()
    hub.commit("me/other", {"x": b""})
    for name, words in {
        "me/none": "hf://me/none cannot be loaded .not allowed, or there is none.: check the address",
        "me/other@v9": "hf://me/other@v9 cannot be loaded .there is none.",
        "me/other": "hf://me/other is no model of gan_lab",
    }.items():
        with pytest.raises(UserError, match=words):
            gan_lab.load(f"hf://{name}")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(UserError, match=r"hf://me/model cannot be written .not allowed") as refused:
        HubModel("me/model").push([file])
    assert "hf_wrong" not in str(refused.value)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(UserError, match="needs a token of the hub: run hf auth login, or set HF_TOKEN"):
        HubModel("me/model").push([file])


def test_without_network_and_copy_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"hf://me/model cannot be loaded .*: check the address, the network"):
        gan_lab.load("hf://me/model")


def test_the_command_pushes_what_it_exports(hub, tmp_path, exported, capsys):
    given = [f"checkpoint={exported}", f"output={tmp_path / 'made'}", "push=hf://me/made", "private=true"]
    export.run(*given)
    assert "Pushed: " in capsys.readouterr().out
    _, files = hub.files("me/made", "main")
    assert {*files} == {CONFIG, WEIGHTS, "README.md"}
    assert files[WEIGHTS] == (tmp_path / "made" / WEIGHTS).read_bytes()
    assert gan_lab.load("hf://me/made").state_dict().keys() == gan_lab.load(exported).state_dict().keys()


def test_a_push_that_fails_leaves_what_was_exported(tmp_path, exported, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    made = tmp_path / "made"
    with pytest.raises(UserError, match=r"hf://me/made cannot be written .*made is complete, and checkpoint="):
        export.run(f"checkpoint={exported}", f"output={made}", "push=hf://me/made")
    assert (made / WEIGHTS).is_file()
