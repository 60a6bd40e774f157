"""Style transfer by optimisation, with random filters on small images."""

import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float
from gan_lab.inference.styling import StyleTransfer, TransferOptions, rounds, with_margin
from gan_lab.inference.stylist import luminance, with_moments
from gan_lab.losses.style import gram, style_loss
from gan_lab.networks.random_filters import RandomFilters

FILTERS = RandomFilters(16, 3, 3)
QUICK = {"size": 32, "steps": 25, "content": 0.01}


def picture(height, width, seed=0):
    """A smooth picture in colour."""
    noise = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    large = torch.nn.functional.interpolate(noise, size=(height, width), mode="bicubic").clamp(0, 1)
    return (large[0] * 255).byte()


def stripes(side=32):
    return (torch.arange(side) // 2 % 2 * 255).byte().expand(3, side, side).contiguous()


def style_distance(pixels, style):
    grams = [[gram(each) for each in FILTERS(with_margin(to_float(image[None])))] for image in (pixels, style)]
    return style_loss(*grams).item()


def test_the_style_comes_near_and_the_size_is_that_asked_for():
    photo, painting = picture(40, 64), stripes()
    made = StyleTransfer(FILTERS, [painting], None, TransferOptions(**QUICK))(photo)
    assert made.shape == (3, 20, 32) and made.dtype == torch.uint8
    small = StyleTransfer(FILTERS, [painting], None, TransferOptions(**{**QUICK, "steps": 1}))(photo)
    assert style_distance(made, painting) < style_distance(small, painting) / 20
    assert StyleTransfer(FILTERS, [painting], None, TransferOptions(None, steps=1))(photo).shape == photo.shape


def test_more_weight_of_the_content_keeps_more_of_it():
    photo = picture(32, 32)
    kept, changed = (
        StyleTransfer(FILTERS, [stripes()], None, TransferOptions(**{**QUICK, "content": weight}))(photo)
        for weight in (1000.0, 0.01)
    )
    small = [torch.nn.functional.avg_pool2d(image.float(), 4) for image in (photo, kept, changed)]
    assert (small[1] - small[0]).abs().mean() < (small[2] - small[0]).abs().mean() / 3


def test_it_is_the_same_twice_and_noise_depends_on_the_seed():
    photo, options = picture(32, 32), TransferOptions(**QUICK, start="noise", seed=1)
    once, again = (StyleTransfer(FILTERS, [stripes()], None, options)(photo) for _ in range(2))
    other = StyleTransfer(FILTERS, [stripes()], None, TransferOptions(**QUICK, start="noise", seed=2))(photo)
    assert torch.equal(once, again) and not torch.equal(once, other)


def test_colours_are_kept():
    photo, style = picture(32, 32), picture(48, 32, seed=5)
    made = StyleTransfer(FILTERS, [style], None, TransferOptions(**QUICK, keep_colour="luminance"))(photo)
    chroma = [to_float(each[None]) - luminance(to_float(each[None])) for each in (made, photo)]
    inside = (to_float(made[None]).abs() < 0.95).all(1, keepdim=True).expand_as(chroma[0])
    assert inside.float().mean() > 0.5 and (chroma[0] - chroma[1])[inside].abs().max() < 0.02
    a, b = (torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(seed)) * 0.5 - 0.2 for seed in (1, 2))
    b[:, 1] = b[:, 0] * 0.5 + b[:, 1] * 0.5
    moved = with_moments(a, b)
    torch.testing.assert_close(moved.mean((2, 3)), b.mean((2, 3)), atol=5e-3, rtol=0)
    torch.testing.assert_close(torch.cov(moved.flatten(2)[0]), torch.cov(b.flatten(2)[0]), atol=2e-3, rtol=0)


def test_masks_give_each_region_its_style():
    photo, masks = picture(32, 32), torch.zeros(2, 16, 16, dtype=torch.uint8)
    masks[0, :, :8], masks[1, :, 8:] = 1, 255
    across = stripes().transpose(1, 2).contiguous()
    made = StyleTransfer(FILTERS, [stripes(), across], None, TransferOptions(**QUICK))(photo, masks)
    left, right = made[..., 2:14], made[..., 18:30]
    assert style_distance(left, stripes()) < style_distance(left, across)
    assert style_distance(right, across) < style_distance(right, stripes())


def test_it_tells_how_far_it_is():
    seen = []
    transfer = StyleTransfer(FILTERS, [stripes()], None, TransferOptions(size=128, steps=5))
    made = transfer(picture(128, 128), watch=lambda share, image: seen.append((share, image().shape)))
    shares = [share for share, _ in seen]
    assert shares == sorted(shares) and shares[-1] == 1 and {shape for _, shape in seen} == {(3, 64, 64), made.shape}
    assert transfer.seconds(picture(8, 8)) > 0


@pytest.mark.parametrize("keep", ["no", "histogram", "luminance"])
@pytest.mark.parametrize("size", [(1, 1), (1, 60), (60, 1), (4, 40)])
def test_photographs_and_styles_of_any_shape(size, keep):
    options = TransferOptions(size=32, steps=3, keep_colour=keep)
    for photo, style in ((picture(*size), stripes()), (picture(16, 16), picture(*size, seed=1))):
        made = StyleTransfer(FILTERS, [style], None, options)(photo)
        assert max(made.shape[1:]) == 32 and made.float().isfinite().all()


def test_rounds_end_with_the_size_itself():
    assert rounds((256, 512)) == [(128, 256), (256, 512)] and rounds((1, 1)) == [(1, 1)]


@pytest.mark.parametrize(
    ("styles", "weights", "masks", "said"),
    [
        ([], None, None, "There is no style picture"),
        ([stripes()], [1.0, 2.0], None, "There are 2 weights and 1 style pictures"),
        ([stripes()], None, torch.ones(2, 4, 4), "There are 2 masks and 1 style pictures"),
        ([stripes()], None, torch.zeros(1, 4, 4), "A mask is empty"),
    ],
)
def test_what_does_not_fit_is_refused(styles, weights, masks, said):
    with pytest.raises(UserError, match=said):
        StyleTransfer(FILTERS, styles, weights)(picture(16, 16), masks)
