"""A command's session."""

import socket

import pytest
import torch
from PIL import Image
from variational import checkpoint

from gan_lab.common.errors import UserError
from gan_lab.data.sources import torchvision_sets
from gan_lab.evaluate import evaluate
from gan_lab.reconstruct import reconstruct
from gan_lab.sample import sample


@pytest.mark.parametrize("command", [sample, reconstruct], ids=lambda command: command.name)
def test_a_command_reads_its_checkpoint_once(command, tmp_path, monkeypatch):
    path = checkpoint(tmp_path / "last.ckpt")
    load, reads = torch.load, []
    monkeypatch.setattr(torch, "load", lambda *arguments, **options: reads.append(1) or load(*arguments, **options))
    command.run(f"checkpoint={path}", "n=2", f"output={tmp_path / 'out'}")
    assert len(reads) == 1


FOREIGN = {"_target_": "gan_lab.data.presets.mnist", "name": "mnist", "size": 12}


@pytest.mark.parametrize("command", [reconstruct, evaluate], ids=lambda command: command.name)
def test_data_are_not_downloaded_to_a_folder_that_a_checkpoint_names(command, tmp_path, monkeypatch):
    asked = []

    def download(self, root, download):
        asked.append(root)
        raise OSError("no network")

    monkeypatch.setattr(torchvision_sets.torchvision.datasets.MNIST, "__init__", download)
    path, mine = checkpoint(tmp_path / "last.ckpt", **FOREIGN, root=str(tmp_path / "theirs")), tmp_path / "mine"
    with pytest.raises(
        UserError, match=r"MNIST is not in .*theirs, a folder that the checkpoint names.*give root="
    ) as no:
        command.run(f"checkpoint={path}", "n=2", f"output={tmp_path / 'out'}")
    assert "\n" not in str(no.value) and asked == []
    for key in ("root", "+data.root"):
        with pytest.raises(UserError, match="mine, and cannot be downloaded"):
            command.run(f"checkpoint={path}", "n=2", f"output={tmp_path / 'out'}", f"{key}={mine}")
    assert asked == [mine, mine] and [each.name for each in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("preset", ["unpaired", "paired"])
def test_archives_are_not_downloaded_there_either(preset, tmp_path):
    domains = {"a": {"channels": 3}, "b": {"channels": 3}}
    data = {"_target_": f"gan_lab.data.presets.{preset}", "archive": "facades", "root": str(tmp_path / "theirs" / "x")}
    path = checkpoint(tmp_path / "last.ckpt", domains=domains, paired=preset == "paired", **data)
    kept = torch.load(path)
    for key in ("channels", "classes"):
        del kept["gan_lab"]["data"][key]
    torch.save(kept, path)
    with pytest.raises(UserError, match=r"facades\.tar.gz is not in .*give root="):
        reconstruct.run(f"checkpoint={path}", "n=2")
    assert [each.name for each in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_folder_that_a_checkpoint_names_is_only_read(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    for number in range(12):
        Image.new("L", (12, 12), number).save(tmp_path / "images" / f"{number}.png")
    monkeypatch.setenv("GAN_LAB_CACHE", str(tmp_path / "cache"))
    places = {"root": str(tmp_path / "images"), "cache_dir": str(tmp_path / "theirs"), "cache": "disk"}
    path = checkpoint(tmp_path / "last.ckpt", _target_="gan_lab.data.presets.folder", **places)
    reconstruct.run(f"checkpoint={path}", "n=1", f"output={tmp_path / 'out'}")
    assert (tmp_path / "cache" / "pixels").is_dir() and not (tmp_path / "theirs").exists()
    reconstruct.run(f"checkpoint={path}", "n=1", f"output={tmp_path / 'out'}", f"+data.cache_dir={tmp_path / 'mine'}")
    assert (tmp_path / "mine" / "pixels").is_dir()


def test_data_are_named_and_hold_no_other_parts(tmp_path):
    for data in ({"_target_": "torch.nn.Linear"}, {"root": {"_target_": "torch.nn.Identity"}}):
        path = checkpoint(tmp_path / "last.ckpt", **data)
        with pytest.raises(UserError, match="no part of"):
            reconstruct.run(f"checkpoint={path}", "n=2")


def test_a_download_by_torchvision_has_a_timeout(tmp_path, monkeypatch):
    seconds = []

    def download(self, root, download):
        seconds.append(socket.getdefaulttimeout())
        raise TimeoutError("timed out")

    monkeypatch.setattr(torchvision_sets.torchvision.datasets.MNIST, "__init__", download)
    with pytest.raises(UserError, match="timed out"):
        torchvision_sets.MNIST(str(tmp_path)).splits()
    assert seconds == [30.0] and socket.getdefaulttimeout() is None
