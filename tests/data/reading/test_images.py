"""Pixels of files of every mode, compared with values computed by hand."""

from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as F
from PIL import Image, TiffImagePlugin

from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.common.image_files import REDUCED
from gan_lab.common.png import write_png16
from gan_lab.data.reading.files import ImageFiles
from gan_lab.data.reading.image_sets import DamagedImage
from gan_lab.data.reading.images import decode_image, open_image, read_image
from gan_lab.data.reading.listing import list_images
from gan_lab.data.reading.resize import ResizeSpec


def saved(image, format="PNG", **options):
    file = BytesIO()
    image.save(file, format, **options)
    return BytesIO(file.getvalue())


def pixels(file, size, channels=3, box=None):
    """(C, H, W) as decoded at ``size`` (H, W)."""
    return decode_image(file, ResizeSpec(size, box or size, channels)).pixels


def flat(mode, colour, **options):
    """Decodes an image of one colour, and returns it as (R, G, B)."""
    image = Image.new(mode, (4, 4), colour)
    for key, value in options.items():
        image.info[key] = value
    found = pixels(saved(image, "TIFF" if mode == "CMYK" else "PNG"), (4, 4))
    assert (found == found[:, :1, :1]).all()
    return tuple(found[:, 0, 0])


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 77, (77, 77, 77)),
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("CMYK", (255, 0, 0, 0), (0, 255, 255)),
        ("CMYK", (0, 0, 0, 255), (0, 0, 0)),
        ("RGBA", (0, 100, 255, 0), (255, 255, 255)),
        ("RGBA", (0, 100, 255, 255), (0, 100, 255)),
        ("RGBA", (255, 0, 0, 51), (255, 204, 204)),
        ("LA", (0, 51), (204, 204, 204)),
    ],
)
def test_a_colour_of_each_mode(mode, colour, expected):
    assert flat(mode, colour) == expected


def test_rgb_pixels_are_exact_when_the_size_is_right(photo):
    assert np.array_equal(pixels(saved(photo), (12, 20)), np.asarray(photo).transpose(2, 0, 1))


def test_grey_from_rgb_is_luma():
    image = Image.new("RGB", (4, 4), (200, 100, 50))
    assert pixels(saved(image), (4, 4), channels=1)[0, 0, 0] == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)


@pytest.mark.parametrize("format", ["PNG", "PPM", "TIFF"])
def test_sixteen_bit_grey_maps_its_full_range(format):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    found = pixels(saved(Image.fromarray(ramp), format), (16, 16), channels=1)[0].astype(int)
    assert abs(found - (ramp >> 8)).max() <= 1
    assert (found[0, 0], found[-1, -1]) == (0, 255)


def test_sixteen_bit_grey_keeps_its_exif_rotation():
    ramp = np.linspace(0, 65535, 32).astype(np.uint16).reshape(4, 8)
    exif = Image.Exif()
    exif[0x0112] = 6
    found = pixels(saved(Image.fromarray(ramp), exif=exif), (8, 4), channels=1)
    assert np.array_equal(found[0], np.rot90(np.rint(ramp / 257), -1))


def test_sixteen_bit_rgb_png():
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + struct.pack(">6H", 0x1234, 0x80FF, 0xFFFF, 0, 0x4000, 0xC000)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    found = pixels(BytesIO(png), (1, 2))
    assert abs(found[:, 0].T.astype(int) - [[0x12, 0x80, 0xFF], [0, 0x40, 0xC0]]).max() <= 1


def deep(pixels):
    """Returns a PNG file of 16 bits."""
    with TemporaryDirectory() as folder:
        write_png16(Path(folder) / "a.png", pixels, b"", 1)
        return BytesIO((Path(folder) / "a.png").read_bytes())


def test_all_levels_are_read_if_nothing_else_is_changed():
    pixels = torch.randint(0, 65536, (3, 6, 4), dtype=torch.int32)
    found = read_image(deep(pixels), Domain(3), all_levels=True)
    assert torch.equal(found.levels, pixels) and not found.notes
    assert (found.pixels - pixels / 257).abs().max() <= 1
    assert read_image(deep(pixels), Domain(3)).notes == [REDUCED]
    grey = read_image(deep(pixels), Domain(1), all_levels=True).levels
    luma = 0.299 * pixels[0] + 0.587 * pixels[1] + 0.114 * pixels[2]
    assert (grey[0] - luma).abs().max() <= 1
    ramp = np.linspace(0, 65535, 32).astype(np.uint16).reshape(4, 8)
    for format in ("PNG", "TIFF"):
        found = read_image(saved(Image.fromarray(ramp), format), Domain(1), all_levels=True)
        assert np.array_equal(found.levels[0], ramp)


def test_levels_are_reduced_if_an_image_is_turned_or_has_eight_bits():
    exif = Image.Exif()
    exif[0x0112] = 6
    ramp = np.linspace(0, 65535, 32).astype(np.uint16).reshape(4, 8)
    turned = read_image(saved(Image.fromarray(ramp), exif=exif), Domain(1), all_levels=True)
    assert turned.levels is None and REDUCED in turned.notes
    assert read_image(saved(Image.new("RGB", (4, 4))), Domain(3), all_levels=True).levels is None


@pytest.mark.parametrize("transparent", [None, 1])
def test_palette(transparent):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    file = saved(image, **({} if transparent is None else {"transparency": transparent}))
    second = (40, 50, 60) if transparent is None else (255, 255, 255)
    assert [tuple(colour) for colour in pixels(file, (1, 2))[:, 0].T] == [(10, 20, 30), second]


def test_palette_with_partial_alpha():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 0])
    image.putdata([0, 1])
    found = pixels(saved(image, transparency=bytes([51, 255])), (1, 2))
    assert [tuple(colour) for colour in found[:, 0].T] == [(255, 204, 204), (0, 0, 0)]


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (2, lambda upright: upright[:, ::-1]),
        (3, lambda upright: np.rot90(upright, 2)),
        (4, lambda upright: upright[::-1]),
        (6, lambda upright: np.rot90(upright, 1)),
        (8, lambda upright: np.rot90(upright, -1)),
    ],
)
def test_exif_rotated_equals_upright(photo, orientation, stored):
    exif = Image.Exif()
    exif[0x0112] = orientation
    rotated = saved(Image.fromarray(np.ascontiguousarray(stored(np.asarray(photo)))), exif=exif)
    assert np.array_equal(pixels(rotated, (12, 20)), pixels(saved(photo), (12, 20)))


def test_the_first_frame_of_an_animation():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    file = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert tuple(pixels(file, (4, 4))[:, 0, 0]) == (255, 0, 0)


@pytest.mark.parametrize("content", [b"P5\n2 1\n255\n\x07\xf9", b"P2\n2 1\n255\n7 249\n"])
def test_pgm(content):
    assert pixels(BytesIO(content), (1, 2), channels=1).tolist() == [[[7, 249]]]


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (Image.fromarray(np.ones((4, 4), np.float32)), "floating-point"),
        (Image.fromarray(np.full((4, 4), 70000, np.int32)), "32-bit"),
    ],
)
def test_pixels_without_a_range_are_refused(image, reason):
    with pytest.raises(ValueError, match=reason):
        pixels(saved(image, "TIFF"), (4, 4))


@pytest.mark.parametrize("size", [(16, 16), (12, 24)])
def test_cover_resizes_and_crops_the_center(size):
    """Both sizes halve 48 × 32: torchvision's own antialiased bicubic and centre crop, in floats, within a level."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (32, 48, 3), np.uint8))
    whole = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float()
    halved = F.resize(whole, [16, 24], F.InterpolationMode.BICUBIC, antialias=True).clamp(0, 255)
    expected = F.center_crop(halved, list(size))
    assert abs(torch.from_numpy(pixels(saved(image), size).astype(np.float32)) - expected).max() <= 1.01


def test_scaling_down_does_not_alias():
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    found = pixels(saved(Image.fromarray(stripes)), (16, 16), channels=1)
    assert abs(found[..., 1:-1].astype(float) - 127.5).max() < 2


def test_large_jpegs_are_scaled_like_any_other(photo):
    """The decoder's own reduction changes pixels by a few levels only, compared with the same pixels as PNG."""
    large = photo.resize((2000, 1200), Image.Resampling.BICUBIC)
    jpeg = saved(large, "JPEG", quality=98, subsampling=0)
    found, expected = pixels(jpeg, (24, 24)).astype(int), pixels(saved(large), (24, 24)).astype(int)
    assert abs(found - expected).max() <= 4


def test_other_channels_are_refused(photo):
    with pytest.raises(UserError, match=r"data\.channels=2 "):
        pixels(saved(photo), (4, 4), channels=2)


@pytest.mark.parametrize("mode", ["width", "shortside", "keep"])
def test_extreme_proportions_are_refused_where_they_are_kept(mode):
    spec = ResizeSpec(None, (32, 32), 1, mode)
    assert min(spec.resized(8, 320)) >= 4 and min(spec.resized(320, 8)) >= 4
    for shape in ((1, 41), (41, 1), (1, 10_000_000)):
        with pytest.raises(ValueError, match="one side more than 40 times the other"):
            spec.resized(*shape)
        assert ResizeSpec((32, 32), (32, 32), 1).resized(*shape) == (32, 32)


def test_images_are_not_enlarged_beyond_a_bound():
    with pytest.raises(ValueError, match=r"100×4000 px would become 4096×163840, too many pixels"):
        ResizeSpec(None, (4096, 4096), 1, "shortside").resized(4000, 100)
    assert ResizeSpec(None, (256, 256), 1, "keep").resized(20000, 10000) == (20000, 10000), "it is stored so large"


def test_an_image_of_extreme_proportions_is_left_out_by_name(tmp_path):
    for name, size in (("fine", (8, 8)), ("strip", (1, 500))):
        Image.new("L", size).save(tmp_path / f"{name}.png")
    found = list(ImageFiles(list_images(tmp_path)).render(ResizeSpec(None, (32, 32), 1, "shortside")))
    assert found[0].pixels.shape == (1, 32, 32)
    assert found[1] == DamagedImage("strip.png", "1×500 px, one side more than 40 times the other")


@pytest.mark.parametrize("details", [False, True])
def test_a_damaged_png_is_refused_by_every_door(details):
    """Asking for tags before the pixels are decoded would decode them, and hide what is wrong."""
    content = bytearray(saved(Image.new("RGB", (16, 8))).getvalue())
    content[content.index(b"IDAT") + 6] ^= 255
    with pytest.raises((OSError, SyntaxError)):
        open_image(BytesIO(content), details=details)


def test_damage_behind_the_first_frame_does_not_matter(monkeypatch):
    outcomes = iter([TypeError("a tag of the second frame")])

    def num_frames(image):
        for error in outcomes:
            raise error
        return 1

    monkeypatch.setattr(TiffImagePlugin.TiffImageFile, "n_frames", property(num_frames))
    assert read_image(saved(Image.new("L", (4, 2)), "TIFF"), Domain(1)).pixels.shape == (1, 2, 4)
