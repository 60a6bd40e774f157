"""Restoration of photographs: tiles equal the whole, known pixels stay, masks of every kind."""

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.data.reading.images import LoadedImage
from gan_lab.data.reading.listing import Entry
from gan_lab.inference.masks import mask_of
from gan_lab.inference.restoring import PhotoRestorer, reduced
from gan_lab.models.restoration import Restorer
from gan_lab.networks.colorize import Colorizer
from gan_lab.networks.denoising import Denoiser
from gan_lab.networks.superres import RRDBNet, SRResNet


def noise(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


def model(network, **options):
    torch.manual_seed(0)
    made = Restorer(network, lambda parameters: torch.optim.Adam(parameters), **options)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return made


@pytest.mark.parametrize(
    "made",
    [
        model(Denoiser(3, 8, 2)),
        model(SRResNet(3, 3, 8, 2), factor=3),
        model(SRResNet(3, 4, 8, 2), factor=4),
        model(RRDBNet(3, 2, 8, 1, 4), factor=2),
    ],
    ids=["denoise", "x3", "x4", "rrdb"],
)
def test_tiles_give_what_the_whole_image_gives(made):
    pixels = noise(3, 61, 47)
    whole, tiled = (PhotoRestorer(made, tile)(pixels).int() for tile in (None, 16))
    assert whole.shape == (3, made.factor * 61, made.factor * 47) and whole.float().std() > 5
    assert (whole - tiled).abs().max() <= 1, "more than what rounding does"
    beyond = PhotoRestorer(made, 16)
    known_radius, type(made).receptive_radius = type(made).receptive_radius, property(lambda self: 0)
    try:
        assert (beyond(pixels).int() - whole).abs().max() > 1, "without what lies around it, a tile is another"
    finally:
        type(made).receptive_radius = known_radius


@pytest.mark.parametrize("scale", [1.5, 2, 3, 4.5])
def test_a_model_that_enlarges_is_applied_as_often_as_a_scale_takes(scale):
    made, pixels = model(SRResNet(3, 2, 8, 1), factor=2), noise(3, 14, 10)
    found = PhotoRestorer(made, factor=scale)(pixels)
    assert found.shape == (3, round(14 * scale), round(10 * scale)) and found.dtype == torch.uint8
    once = PhotoRestorer(made)(pixels)
    if scale == 2:
        assert torch.equal(found, once)
    if scale == 3:
        assert torch.equal(found, reduced(PhotoRestorer(made)(once), (42, 30)))
    with pytest.raises(UserError, match="keeps the size of images: leave out factor="):
        PhotoRestorer(model(Denoiser(3, 4, 1)), factor=scale)


def test_known_pixels_come_back_bit_for_bit():
    class Filler(torch.nn.Module):
        def forward(self, image, known):
            return -image

    filler = Restorer(Filler(), lambda parameters: torch.optim.Adam([torch.zeros(1)]), masks=True)
    pixels, known = noise(3, 9, 12), noise(1, 9, 12, seed=1) % 2
    filled = PhotoRestorer(filler)(pixels, known)
    kept = known.bool().expand_as(pixels)
    assert torch.equal(filled[kept], pixels[kept]) and torch.equal(filled[~kept], 255 - pixels[~kept])
    with pytest.raises(UserError, match="give a mask"):
        PhotoRestorer(filler)(pixels)
    with pytest.raises(UserError, match="The mask has 12×8 px and the image 12×9"):
        PhotoRestorer(filler)(pixels, known[:, :8])


def test_other_tiles_are_refused():
    with pytest.raises(UserError, match="tile=0 is not valid"):
        PhotoRestorer(model(Denoiser(3, 4, 1)), 0)


def photo(height=20, width=30, alpha=None):
    return LoadedImage(noise(3, height, width), alpha)


def test_masks_are_pictures_folders_transparency_or_rectangles(tmp_path):
    white = np.zeros((20, 30), np.uint8)
    white[5:9, 10:20] = 255
    Image.fromarray(white).save(tmp_path / "mask.png")
    (tmp_path / "masks" / "sub").mkdir(parents=True)
    Image.fromarray(white).save(tmp_path / "masks" / "sub" / "a.png")
    alpha = Image.fromarray(255 - white)
    expected = torch.from_numpy((white == 0).astype(np.uint8))[None]
    entry = Entry(("sub", "a.jpg"), "unused")
    for spec in (tmp_path / "mask.png", str(tmp_path / "masks"), "10,5,20,9", "10,5,20,7+10,6,20,9", "alpha"):
        assert torch.equal(mask_of(spec)(entry, photo(alpha=alpha)), expected), spec


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        ("mask.png", ValueError, "its mask has 30×20 px, and it has 31×20"),
        ("masks", ValueError, "has no mask of its name"),
        ("40,0,50,9", ValueError, "lies outside its 31×20 px"),
        ("alpha", ValueError, "has no transparency"),
        ("10,5,8,9", UserError, "give left,top,right,bottom"),
        ("1,2,3", UserError, "give left,top,right,bottom"),
        ("text.txt", UserError, "cannot be read as an image"),
        ("missing", UserError, "does not exist"),
    ],
)
def test_masks_that_do_not_fit_are_refused_in_words(tmp_path, spec, error, said):
    Image.new("L", (30, 20)).save(tmp_path / "mask.png")
    (tmp_path / "masks").mkdir()
    Image.new("L", (30, 20)).save(tmp_path / "masks" / "b.png")
    (tmp_path / "text.txt").write_text("text")
    spec = spec if spec == "alpha" or "," in spec else tmp_path / spec
    with pytest.raises(error, match=said):
        mask_of(spec)(Entry(("a.jpg",), "unused"), photo(20, 31))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (4, 40)])
def test_networks_that_reflect_take_small_images(height, width):
    made = PhotoRestorer(model(Colorizer(4, 1)))(noise(3, height, width))
    assert made.shape == (3, height, width)
