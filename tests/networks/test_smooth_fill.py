"""The smooth fill against closed forms: constants, and a ramp, which is its own membrane."""

import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.networks.completion import Refiner
from gan_lab.networks.smooth_fill import smooth_fill


def test_a_ramp_goes_on_through_a_hole():
    ramp = torch.linspace(-1, 1, 32).expand(1, 1, 32, 32)
    known = torch.ones(1, 1, 32, 32)
    known[..., 5:20, 6:23] = 0
    found = [(smooth_fill(ramp * known, known, steps) - ramp).abs().max().item() for steps in (0, 4, 400)]
    assert 0.2 > found[0] > found[1] > found[2] and found[2] < 1e-3


@pytest.mark.parametrize("size", [(17, 33), (1, 5), (64, 8)])
def test_known_pixels_stay_and_others_are_within_their_range(size):
    image, known = torch.randn(2, 3, *size), (torch.rand(2, 1, *size) < 0.2).float()
    known[0, :, 0, 0], known[1] = 1, 0
    made = smooth_fill(image, known)
    shown = known.expand_as(image) == 1
    assert torch.equal(made[shown], image[shown]) and made[1].abs().max() == 0
    for channel in range(3):
        within = image[0, channel][known[0, 0] == 1]
        assert made[0, channel].min() > within.min() - 1e-6 and made[0, channel].max() < within.max() + 1e-6


def test_a_refiner_begins_with_the_smooth_fill():
    image, known = torch.rand(1, 3, 32, 24) * 2 - 1, torch.ones(1, 1, 32, 24)
    known[..., 8:24, 8:20] = 0
    torch.testing.assert_close(Refiner(3, 4, 1)(image, known), smooth_fill(image, known))
    with pytest.raises(UserError, match="sides in steps of 2, not 31×31"):
        Refiner.check_data({"size": 31})
