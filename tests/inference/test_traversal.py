import sys

import pytest
import torch
from PIL import Image
from variational import SIDE, checkpoint

from gan_lab.common.capabilities import Traverses
from gan_lab.inference.traversal import MAX_CANDIDATES, rank_latents, traverse
from gan_lab.sample import sample


class Weighted:
    """Decodes each latent, times its weight, to one pixel."""

    def __init__(self, weights):
        self.weights, self.largest = torch.tensor(weights), 0

    def latents(self, n, seed=0, start=0, truncation=1.0, label=None):
        return truncation * torch.randn(n, len(self.weights), generator=torch.Generator().manual_seed(seed))

    def latent_range(self):
        return torch.full((len(self.weights),), 3.0)

    def decode(self, latents, label=None):
        self.largest = max(self.largest, len(latents))
        return (latents * self.weights + (label or 0))[:, None, None]


def test_latents_are_ranked_by_how_much_they_change():
    model = Weighted([0.1, -2.0, 0.0, 1.0])
    assert isinstance(model, Traverses)
    assert rank_latents(model, model.latents(1), batch_size=3).tolist() == [1, 3, 0, 2]
    assert model.largest <= 3


def test_one_latent_moves_in_each_row():
    model = Weighted([1.0, 1.0, 1.0])
    around = model.latents(1, seed=5)
    images = traverse(model, around, torch.tensor([2, 0]), steps=5, label=4, batch_size=3)[:, :, 0, 0] - 4
    assert images.shape == (2, 5, 3)
    for row, moving in ((0, 2), (1, 0)):
        torch.testing.assert_close(images[row, :, moving], torch.tensor([-3.0, -1.5, 0.0, 1.5, 3.0]))
        still = [i for i in range(3) if i != moving]
        torch.testing.assert_close(images[row][:, still], around[:, still].expand(5, -1))


def test_of_many_latents_evenly_spaced_ones_are_tried():
    model = Weighted([1.0] * 2000)
    numbers = rank_latents(model, model.latents(1)).sort().values
    assert len(numbers) == len(numbers.unique()) == MAX_CANDIDATES and (numbers[0], numbers[-1]) == (0, 1999)
    assert numbers.diff().min() >= 3 and numbers.diff().max() <= 4


def test_inactive_latents_stay():
    model = Weighted([1.0, 5.0, 2.0])
    model.latent_range = lambda: torch.tensor([3.0, 0.0, 1.0])
    assert rank_latents(model, model.latents(1)).tolist() == [0, 2]
    images = traverse(model, model.latents(1), torch.tensor([2]), steps=3)[0, :, 0, 0, 2]
    torch.testing.assert_close(images, torch.tensor([-2.0, 0.0, 2.0]))


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["gan_lab", *arguments])
    return sample()


def test_sampling_writes_a_sheet(tmp_path, monkeypatch, capsys):
    path = checkpoint(tmp_path / "last.ckpt", classes=3)
    monkeypatch.chdir(tmp_path)
    for label in (0, 2):
        call(monkeypatch, f"checkpoint={path}", "traverse=10", f"label={label}", f"output={label}")
    assert [file.name for file in (tmp_path / "2").iterdir()] == ["traversal.png"]
    assert Image.open("2/traversal.png").size == (11 * (SIDE * 5 + 2) + 2, 4 * (SIDE * 5 + 2) + 2), "4 latents are all"
    assert (tmp_path / "0/traversal.png").read_bytes() != (tmp_path / "2/traversal.png").read_bytes()
    assert "these latents from end to end: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("keys", "said"),
    [(["traverse=-1"], "traverse=-1"), (["traverse=2", "interpolate=3"], "leave out interpolate=")],
)
def test_what_does_not_serve_is_refused_in_a_sentence(keys, said, tmp_path, monkeypatch, capsys):
    path = checkpoint(tmp_path / "last.ckpt")
    with pytest.raises(SystemExit):
        call(monkeypatch, f"checkpoint={path}", *keys)
    assert said in capsys.readouterr().err.splitlines()[-1]
