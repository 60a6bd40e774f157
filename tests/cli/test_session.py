"""A command's session."""

import pytest
import torch
from variational import checkpoint

from gan_lab.reconstruct import reconstruct
from gan_lab.sample import sample


@pytest.mark.parametrize("command", [sample, reconstruct], ids=lambda command: command.name)
def test_a_command_reads_its_checkpoint_once(command, tmp_path, monkeypatch):
    path = checkpoint(tmp_path / "last.ckpt")
    load, reads = torch.load, []
    monkeypatch.setattr(torch, "load", lambda *arguments, **options: reads.append(1) or load(*arguments, **options))
    command.run(f"checkpoint={path}", "n=2", f"output={tmp_path / 'out'}")
    assert len(reads) == 1
