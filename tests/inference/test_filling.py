"""Windows around unknown pixels of large photographs."""

import numpy as np
import pytest
import torch

from gan_lab.inference import filling
from gan_lab.inference.filling import CONTEXT, shrunk, windows
from gan_lab.inference.restoring import PhotoRestorer
from gan_lab.models.restoration import Restorer
from gan_lab.networks.fourier import Generator


def unknown_at(height, width, *boxes):
    known = torch.ones(1, height, width, dtype=torch.uint8)
    for top, bottom, left, right in boxes:
        known[:, top:bottom, left:right] = 0
    return known


def test_each_zone_has_a_window_with_its_surroundings():
    found = list(windows(unknown_at(800, 900, (10, 20, 10, 30), (600, 620, 700, 702))))
    assert found == [
        (slice(0, 20 + CONTEXT), slice(0, 30 + CONTEXT)),
        (slice(600 - CONTEXT, 620 + CONTEXT), slice(700 - CONTEXT, 702 + CONTEXT)),
    ]
    assert list(windows(unknown_at(30, 30))) == []


def test_windows_that_meet_are_joined_and_hold_all_that_is_unknown():
    noise = np.random.default_rng(0)
    known = torch.from_numpy((noise.random((1, 700, 900)) > 0.00005).astype(np.uint8))
    covered, found = torch.zeros(700, 900, dtype=torch.int), list(windows(known))
    for rows, columns in found:
        covered[rows, columns] += 1
    assert covered.max() == 1 and (known[0][covered == 0] == 1).all() and len(found) > 1


def test_what_is_unknown_leaves_no_trace_at_a_smaller_size(monkeypatch):
    monkeypatch.setattr(filling, "LARGEST", 40 * 40)
    known = unknown_at(160, 160, (60, 90, 60, 90))[None].float()
    image = torch.where(known.bool(), torch.tensor(0.5), torch.tensor(-1.0)).expand(1, 3, 160, 160)
    small, small_known = shrunk(image, known)
    assert small.shape == (1, 3, 40, 40) and 0.9 < small_known.mean() < 0.97
    torch.testing.assert_close(small[small_known.expand_as(small) == 1], torch.full((int(3 * small_known.sum()),), 0.5))


class Mean(torch.nn.Module):
    """Fills with the mean of the known pixels; sides must be multiples of 8."""

    multiple = 8

    def forward(self, image, known):
        assert all(side % 8 == 0 for side in image.shape[2:])
        mean = (image * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)
        return mean.expand_as(image)


@pytest.mark.parametrize("size", [(1, 1), (8, 200), (3, 5)])
def test_small_photographs_are_filled_by_networks_that_reflect(size):
    model = Restorer(Generator(3, 4, 2, 1), lambda parameters: torch.optim.Adam(parameters), masks=True).eval()
    known = torch.ones(1, *size, dtype=torch.uint8)
    known[0, 0, 0] = 0
    assert PhotoRestorer(model)(torch.zeros(3, *size, dtype=torch.uint8), known).shape == (3, *size)


def test_photographs_of_any_size_are_filled_and_the_rest_stays(monkeypatch):
    monkeypatch.setattr(filling, "LARGEST", 100 * 100)
    model = Restorer(Mean(), lambda parameters: torch.optim.Adam([torch.zeros(1)]), masks=True)
    pixels = torch.full((3, 301, 411), 200, dtype=torch.uint8)
    pixels[:, :, 200:] = 50
    known = unknown_at(301, 411, (5, 45, 20, 60), (200, 230, 300, 340))
    pixels[:, known[0] == 0] = 0
    filled = PhotoRestorer(model)(pixels, known)
    assert torch.equal(filled[:, known[0] == 1], pixels[:, known[0] == 1])
    assert (filled[:, 5:45, 20:60].int() - 200).abs().max() <= 1, "a window does not see the other half"
    assert (filled[:, 200:230, 300:340].int() - 50).abs().max() <= 1
