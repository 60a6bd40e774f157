"""Styles given by trained models: shares, strength, colours, and images of any size."""

import pytest
import torch
from torch import nn

from gan_lab.common.errors import UserError
from gan_lab.inference.stylist import StyleOptions, luminance
from gan_lab.inference.trained_style import TrainedStylist, stylised
from gan_lab.models.adain import AdaIN
from gan_lab.networks.adain import Decoder, adain
from gan_lab.networks.random_filters import RandomFilters


class Pixels(nn.Module):
    """An encoder of one layer, the pixels themselves."""

    widths = (3,)

    def forward(self, images):
        return [images]


class Same(nn.Module):
    """Its decoder: what it gets."""

    def forward(self, maps, size):
        return maps[-1]


def colours_only():
    """A model whose images get the mean and deviation of each channel of the style."""
    return AdaIN(Pixels(), None, Same(), lambda parameters: torch.optim.Adam([torch.zeros(1)]))


def picture(height, width, mean, seed=0):
    noise = torch.randn(3, height, width, generator=torch.Generator().manual_seed(seed))
    return (noise * 20 + mean).clamp(0, 255).to(torch.uint8)


PHOTO = picture(20, 30, 128)
RED = picture(9, 9, torch.tensor([180.0, 60, 60]).view(3, 1, 1), 1)
BLUE = picture(12, 8, torch.tensor([60.0, 60, 180]).view(3, 1, 1), 2)
AS_IT_IS = StyleOptions(size=None)


def means(pixels):
    return pixels.float().mean((1, 2))


def test_maps_get_the_moments_of_the_style():
    content, style = torch.randn(2, 5, 7, 9) * 3 + 1, torch.randn(2, 5, 4, 6) * 2 - 1
    made = adain(content, style.mean((2, 3)), style.std((2, 3), correction=0))
    torch.testing.assert_close(made.mean((2, 3)), style.mean((2, 3)), atol=1e-4, rtol=0)
    torch.testing.assert_close(made.std((2, 3)), style.std((2, 3), correction=0) * (63 / 62) ** 0.5, atol=1e-3, rtol=0)


def test_styles_are_mixed_by_their_weights_and_stronger_or_weaker():
    red = TrainedStylist(colours_only(), [RED], None, AS_IT_IS)(PHOTO)
    assert red.shape == PHOTO.shape and (means(red) - means(RED)).abs().max() < 2
    mixed = TrainedStylist(colours_only(), [RED, BLUE], [3, 1], AS_IT_IS)(PHOTO)
    torch.testing.assert_close(means(mixed), 0.75 * means(RED) + 0.25 * means(BLUE), atol=2, rtol=0)
    half = TrainedStylist(colours_only(), [RED], None, AS_IT_IS, 0.5)(PHOTO)
    torch.testing.assert_close(means(half), (means(RED) + means(PHOTO)) / 2, atol=2, rtol=0)


def test_a_mask_gives_each_style_its_place_and_leaves_the_rest():
    masks = torch.zeros(2, 20, 30)
    masks[0, :, :10], masks[1, :, 10:20] = 1, 1
    made = TrainedStylist(colours_only(), [RED, BLUE], [5, 1], AS_IT_IS)(PHOTO, masks)
    assert means(made[..., :10])[0] > 150 and means(made[..., 10:20])[2] > 150
    assert (made[..., 20:].int() - PHOTO[..., 20:].int()).abs().max() <= 1


def test_the_photographs_colours_are_kept():
    made = TrainedStylist(colours_only(), [RED], None, StyleOptions(None, keep_colour="luminance"))(PHOTO)
    chroma = [image.float() - luminance(image[None].float())[0] for image in (made, PHOTO)]
    inside = ((made > 0) & (made < 255)).all(0)
    assert (chroma[0] - chroma[1])[:, inside].abs().max() <= 1
    made = TrainedStylist(colours_only(), [RED], None, StyleOptions(None, keep_colour="histogram"))(PHOTO)
    torch.testing.assert_close(means(made), means(PHOTO), atol=3, rtol=0)


def test_results_have_the_size_that_is_asked_for():
    assert TrainedStylist(colours_only(), [RED], None, StyleOptions(15))(PHOTO).shape == (3, 10, 15)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 31), (16, 16)])
def test_networks_take_images_of_any_size(height, width):
    encoder = RandomFilters(4, 3, 3)
    model = AdaIN(encoder, None, Decoder([4] * 3, 4), lambda parameters: torch.optim.Adam(parameters))
    image = torch.rand(2, 3, height, width) * 2 - 1
    assert stylised(model, image, [torch.rand(1, 3, 9, 4)]).shape == image.shape


def test_styles_that_are_missing_or_do_not_belong_are_refused():
    with pytest.raises(UserError, match="takes the style of any picture: give style="):
        TrainedStylist(colours_only())
    with pytest.raises(UserError, match="takes the style of any picture"):
        colours_only().stylize(torch.zeros(1, 3, 8, 8))
    one = colours_only()
    one.any_style = False
    with pytest.raises(UserError, match="has learnt its style: leave out style="):
        TrainedStylist(one, [RED])
    with pytest.raises(UserError, match="keep_colour=histogram changes style pictures"):
        TrainedStylist(one, options=StyleOptions(keep_colour="histogram"))
