"""Completion by dilated convolutions, and the window of its discriminator."""

import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.networks.completion import Completer, GlobalLocal, around_unknown


@pytest.mark.parametrize("upsample", ["transposed", "resize"])
def test_unknown_pixels_have_no_effect_and_known_ones_reach_far(upsample):
    torch.manual_seed(0)
    network = Completer(3, 4, upsample=upsample).eval()
    image, known = (torch.rand(1, 3, 64, 96) * 2 - 1).requires_grad_(), torch.ones(1, 1, 64, 96)
    known[..., 20:40, 30:60] = 0
    made = network(image, known)
    assert made.shape == image.shape and made.abs().max() <= 1
    made[0, 0, 30, 45].backward()
    assert image.grad[..., 20:40, 30:60].abs().max() == 0
    assert image.grad[..., 5, 45].abs().max() > 0  # beyond the 20 unknown rows


def test_it_has_the_layers_of_the_paper():
    """Table 1: seventeen layers, of which nine have four times the maps."""
    convs = [
        layer for layer in Completer(3, 64).layers if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d)
    ]
    assert len(convs) == 17 and sum(layer.out_channels == 256 for layer in convs) == 9
    assert [layer.dilation[0] for layer in convs if layer.dilation != (1, 1)] == [2, 4, 8, 16]
    with pytest.raises(UserError, match="in steps of 4, not 30×32"):
        Completer.check_data({"size": [30, 32]})


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [((10, 14), (4, 20), (8, 4)), ((0, 2), (30, 32), (0, 16)), ((0, 0), (0, 0), (4, 8))],
    ids=["middle", "corner", "nothing unknown"],
)
def test_the_window_is_around_what_is_unknown(rows, columns, expected):
    """Half of the sides, around the middle of the unknown rows and columns, inside of the image."""
    image = torch.arange(16 * 32.0).view(1, 1, 16, 32)
    known = torch.ones(1, 1, 16, 32)
    known[..., slice(*rows), slice(*columns)] = 0
    top, left = expected
    assert torch.equal(around_unknown(image, known, 0.5), image[..., top : top + 8, left : left + 16])


def test_the_discriminator_sees_the_whole_image_and_more_of_the_window():
    torch.manual_seed(0)
    network = GlobalLocal(3, 4, 3, features=8)
    images, known = torch.rand(2, 3, 32, 32, requires_grad=True), torch.ones(2, 1, 32, 32)
    known[..., :8, :8] = 0
    logits = network(images, known)
    assert logits.shape == (2, 1)
    logits.sum().backward()
    assert images.grad[..., 20:, 20:].abs().max() > 0
    moved = known.flip(2, 3)
    assert not torch.equal(network(images, moved), logits)
