"""Colour profiles: conversion to sRGB, images that keep their pixels, and notes."""

from io import BytesIO

import numpy as np
import pytest
from odd_images import ADOBE_RGB, DISPLAY_P3, SRGB, profile
from PIL import Image, ImageCms

from gan_lab.data.reading.colour import UNUSABLE_PROFILE, to_srgb
from gan_lab.data.reading.images import decode_image, open_image
from gan_lab.data.reading.resize import ResizeSpec

SRGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SPEC = ResizeSpec((12, 20), (12, 20), 3)


def saved(image, format="PNG", **options):
    file = BytesIO()
    image.save(file, format, **options)
    return BytesIO(file.getvalue())


def expected(pixels, colorants, gamma=2.2):
    """sRGB by the standard's own formulae: linear light, D50 colorants, the curve of IEC 61966-2-1."""
    linear = (pixels / 255.0) ** gamma @ np.array(colorants)
    linear = (linear @ np.linalg.inv(np.array(SRGB))).clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize(("name", "colorants"), [("Adobe RGB (1998)", ADOBE_RGB), ("Display P3", DISPLAY_P3)])
def test_wide_gamut_becomes_srgb(photo, name, colorants):
    """Colours in the lower half of each channel, which sRGB can show."""
    image = Image.fromarray(np.asarray(photo) // 3 + 80)
    found = decode_image(saved(image, icc_profile=profile(name, colorants)), SPEC)
    wanted = expected(np.asarray(image).astype(float), colorants).transpose(2, 0, 1)
    assert np.abs(found.pixels - wanted).max() <= 2 < np.abs(np.asarray(image).transpose(2, 0, 1) - wanted).max()
    assert found.notes == (f"colour profile {name} converted to sRGB",)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_in_srgb_keep_their_bytes(photo, mode, channels):
    ramp = np.linspace(0, 65535, 240).astype(np.uint16).reshape(12, 20)
    image, format = Image.fromarray(ramp) if mode == "I;16" else photo.convert(mode), "TIFF"
    frame = ResizeSpec((12, 20), (12, 20), channels)
    plain = decode_image(saved(image, format), frame)
    small = profile("c2", SRGB)  # of the right colorants: the name alone does not say so
    for embedded in (SRGB_PROFILE, *([] if mode in ("CMYK", "L", "I;16") else [profile("sRGB IEC61966-2.1")])):
        found = decode_image(saved(image, format, icc_profile=embedded), frame)
        assert np.array_equal(found.pixels, plain.pixels) and not found.notes
    assert to_srgb(photo, small)[1] == "colour profile c2 converted to sRGB", "a gamma of 2.2 is not sRGB's curve"


def test_a_profile_under_another_name_that_is_srgb_changes_nothing(photo):
    renamed = SRGB_PROFILE.replace("sRGB".encode("utf-16-be"), "tiny".encode("utf-16-be"))
    image, note = to_srgb(photo, renamed)
    assert image is photo and note == ""


def test_grey_stays_grey_under_profiles_of_grey_and_of_colours():
    ramp = Image.fromarray(np.arange(240, dtype=np.uint8).reshape(12, 20))
    wanted = expected(np.asarray(ramp)[..., None].repeat(3, -1).astype(float), SRGB, 1.8)[..., 0]
    for embedded in (profile("Gray Gamma 1.8", gamma=1.8, space=b"GRAY"), profile("ColorMatch RGB", gamma=1.8)):
        converted, note = to_srgb(ramp, embedded)
        assert converted.mode == "L" and note.endswith("converted to sRGB")
        assert np.abs(np.asarray(converted) - wanted).max() <= 2


@pytest.mark.parametrize(
    "embedded",
    [
        b"no profile at all",
        profile()[:200],
        profile("Gray Gamma 2.2", space=b"GRAY"),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
    ],
    ids=["text", "cut", "of grey", "of Lab"],
)
def test_an_unusable_profile_is_ignored_with_a_note(photo, embedded):
    found = decode_image(saved(photo, icc_profile=embedded), SPEC)
    assert np.array_equal(found.pixels, np.asarray(photo).transpose(2, 0, 1)) and found.notes == (UNUSABLE_PROFILE,)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_reduced_by_its_decoder_is_converted_like_any_other(photo, mode):
    large = photo.resize((2000, 1200), Image.Resampling.BICUBIC).convert(mode)
    embedded = profile("Gray Gamma 1.8", gamma=1.8, space=b"GRAY") if mode == "L" else profile()
    options = {} if mode == "CMYK" else {"icc_profile": embedded}
    jpeg, whole = saved(large, "JPEG", quality=98, subsampling=0, **options), saved(large, "TIFF", **options)
    assert open_image(jpeg, reduce_to=48).image.width < 1000, "the decoder does reduce it"
    jpeg.seek(0)
    frame = ResizeSpec((24, 24), (24, 24), 3)
    found, wanted = decode_image(jpeg, frame), decode_image(whole, frame)
    assert np.abs(found.pixels.astype(int) - wanted.pixels).max() <= 4 and found.notes == wanted.notes


def test_transparent_parts_are_white_under_any_profile(photo):
    photo.putalpha(0)
    assert (decode_image(saved(photo, icc_profile=profile()), SPEC).pixels == 255).all()
