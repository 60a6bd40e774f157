"""Damage: its statistics, and that it is a function of its key."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from gan_lab.common.errors import UserError
from gan_lab.data.damage import coding, masks, noise, resolution
from gan_lab.data.damage.draws import Draws

GRADIENT = np.broadcast_to(np.linspace(40, 215, 96), (3, 64, 96)).astype(np.uint8)
PHOTO = gaussian_filter(np.random.default_rng(0).integers(0, 256, (3, 64, 96)).astype(np.float32), (0, 2, 2))
PHOTO = ((PHOTO - PHOTO.min()) / np.ptp(PHOTO) * 255).astype(np.uint8)
SHAPES = {"strokes": masks.Strokes(), "boxes": masks.Boxes(), "border": masks.Border()}
EVERY = {
    "gaussian": noise.GaussianNoise(),
    "poisson": noise.PoissonNoise(),
    "salt_and_pepper": noise.SaltAndPepper(),
    "jpeg": coding.Jpeg(),
    "grey": coding.Grey(),
    "unknown": masks.Unknown(SHAPES),
    "smaller": resolution.Smaller(4, ["bicubic", "area", "lanczos"]),
    "rescaled": resolution.Rescaled(),
    "blur": resolution.Blur(),
    "ringing": resolution.Ringing(),
    "chain": resolution.Chain(
        {"blur": resolution.Blur(), "smaller": resolution.Smaller(2), "jpeg": coding.Jpeg()}, {"blur": 0.5}
    ),
}


@pytest.mark.parametrize("name", EVERY)
def test_damage_depends_on_its_key_alone(name):
    damage = EVERY[name]
    one, again, other = (damage(PHOTO, Draws(*key)) for key in ((1, 2, 3), (1, 2, 3), (1, 2, 4)))
    height, width = (side // damage.factor for side in PHOTO.shape[1:])
    assert one.pixels.shape == (3, height, width) and one.pixels.dtype == np.uint8
    assert np.array_equal(one.pixels, again.pixels) and (name == "grey" or (one.pixels != other.pixels).any())
    assert (one.known is not None) == damage.masks
    if one.known is not None:
        assert one.known.shape == (1, height, width) and set(np.unique(one.known)) == {0, 1}
        assert np.array_equal(np.where(one.known, PHOTO, masks.GREY), one.pixels)


def test_gaussian_noise_has_its_level_and_is_grey_if_asked():
    flat = np.full((3, 128, 128), 128, np.uint8)
    found = noise.GaussianNoise(25.0)(flat, Draws(0)).pixels.astype(float) - 128
    assert abs(found.std() - 25) < 0.3 and abs(found.mean()) < 0.3
    assert abs(np.corrcoef(found[0].ravel(), found[1].ravel())[0, 1]) < 0.02
    grey = noise.GaussianNoise(25.0, grey=1.0)(flat, Draws(0)).pixels
    assert np.array_equal(grey[0], grey[2])
    levels = [noise.GaussianNoise((0, 55))(flat, Draws(row)).pixels.std() for row in range(200)]
    assert abs(np.mean(levels) - 27.5) < 2.5 and min(levels) < 3 and max(levels) > 50


def test_poisson_noise_has_the_variance_of_counts():
    for value in (40, 200):
        flat = np.full((1, 200, 200), value, np.uint8)
        found = noise.PoissonNoise(500.0)(flat, Draws(1)).pixels.astype(float)
        assert abs(found.var() - value * 255 / 500) < 0.06 * value * 255 / 500 + 0.1
        assert abs(found.mean() - value) < 0.2


def test_salt_and_pepper_have_equal_shares():
    found = noise.SaltAndPepper(0.2)(GRADIENT, Draws(2)).pixels[0]
    assert abs((found == 0).mean() - 0.1) < 0.02 and abs((found == 255).mean() - 0.1) < 0.02
    assert np.array_equal(found[(found > 0) & (found < 255)], GRADIENT[0][(found > 0) & (found < 255)])


@pytest.mark.parametrize("channels", [1, 3])
def test_jpegs_are_those_of_the_encoder(channels):
    found = coding.Jpeg(20, ["4:2:0"])(PHOTO[:channels], Draws(0)).pixels
    stream = BytesIO()
    image = Image.fromarray(PHOTO[0] if channels == 1 else PHOTO.transpose(1, 2, 0))
    image.save(stream, "JPEG", quality=20, **({"subsampling": 2} if channels == 3 else {}))
    read = np.asarray(Image.open(stream))
    assert np.array_equal(found, read[None] if channels == 1 else read.transpose(2, 0, 1))


def test_blurs_and_rings_keep_flat_images_and_mean_brightness():
    flat = np.full((1, 40, 40), 90, np.uint8)
    for row in range(20):
        for damage in (resolution.Blur(), resolution.Ringing()):
            assert np.array_equal(damage(flat, Draws(row)).pixels, flat)
    kernel = resolution.gaussian_kernel(2.0, 2.0, 0.3)
    expected = gaussian_filter(PHOTO[0].astype(np.float32), 2.0, mode="mirror", truncate=3.0)
    assert np.abs(resolution.filtered(PHOTO[:1], kernel)[0] - expected).max() < 1.0


def test_a_sinc_passes_low_frequencies_alone():
    spectrum = np.abs(np.fft.fft2(resolution.sinc_kernel(np.pi / 2, 20), (64, 64)))
    assert abs(spectrum[4, 4] - 1) < 0.1 and spectrum[0, 28] < 0.1 and spectrum[28, 28] < 0.1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: noise.GaussianNoise((30, 10)), r"sigma=\(30, 10\) is not valid"),
        (lambda: noise.GaussianNoise(300), "sigma=300 is not valid"),
        (lambda: noise.PoissonNoise(0), "photons=0 is not valid"),
        (lambda: coding.Jpeg(0), "quality=0 is not valid"),
        (lambda: coding.Jpeg(20, ["4:1:0"]), r"subsampling=\['4:1:0'\] is not valid"),
        (lambda: resolution.Smaller(2, ["nearest"]), r"methods=\['nearest'\] is not valid"),
        (lambda: masks.Unknown({}), "is not valid for the shapes"),
        (lambda: masks.Unknown(SHAPES, {"circles": 1.0}), "is not valid for the shapes"),
        (lambda: resolution.Chain({"grey": coding.Grey()}, {"blur": 0.5}), "the steps are"),
        (lambda: resolution.Chain({"a": masks.Unknown(SHAPES), "b": coding.Grey()}), "must be the last"),
    ],
)
def test_invalid_damage_is_refused_in_words(make, said):
    with pytest.raises(UserError, match=said):
        make()


def test_a_shape_that_is_removed_needs_no_change_of_the_weights():
    damage = masks.Unknown({"boxes": masks.Boxes(), "border": None}, {"boxes": 0.2, "border": 0.8})
    assert damage.weights == {"boxes": 0.2}


def test_grey_is_the_brightness_of_bt_601():
    luma = np.tensordot((0.299, 0.587, 0.114), PHOTO.astype(float), 1)
    grey = coding.Grey()(PHOTO, Draws(0)).pixels
    assert grey.shape == PHOTO.shape and np.abs(grey - luma).max() <= 0.51
