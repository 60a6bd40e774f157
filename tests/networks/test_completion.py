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
    ("holes", "expected"),
    [
        (
            [(12, 20, 24, 40)],
            (8, 16),
        ),  # rows 12 to 20 and columns 24 to 40: the window of 16×32 px has them in its middle
        ([(0, 4, 56, 64)], (0, 32)),
        ([(0, 6, 0, 12), (26, 32, 44, 64)], (16, 32)),  # of two, the larger
    ],
    ids=["middle", "corner", "two"],
)
def test_the_window_is_where_most_is_unknown(holes, expected):
    image = torch.arange(32 * 64.0).view(1, 1, 32, 64).repeat(2, 3, 1, 1)
    known = torch.ones(2, 1, 32, 64)
    for top, bottom, left, right in holes:
        known[0, :, top:bottom, left:right] = 0
    top, left = expected
    found = around_unknown(image, known, 0.5)
    assert torch.equal(found[0], image[0, :, top : top + 16, left : left + 32])
    assert found.shape == (2, 3, 16, 32)  # nothing is unknown in the second
    assert torch.equal(around_unknown(image, known, 1.0), image)


def test_a_window_beside_a_known_middle_shows_unknown_pixels():
    known = torch.zeros(1, 1, 64, 64)
    known[..., 8:56, 8:56] = 1
    assert around_unknown(1 - known, known, 0.5).mean() > 0.15


def test_the_discriminator_sees_the_whole_image_and_more_of_the_window():
    torch.manual_seed(0)
    network = GlobalLocal(3, 4, 3, features=8)
    images, known = torch.rand(2, 3, 32, 32, requires_grad=True), torch.ones(2, 1, 32, 32)
    known[..., :8, :8] = 0
    logits = network(images, known)
    assert logits.shape == (2, 1)
    logits.sum().backward()
    inside, outside = (images.grad[..., part, part].abs().mean() for part in (slice(4, 12), slice(20, 28)))
    assert inside > 2 * outside > 0
