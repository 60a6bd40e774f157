"""Colours that files state without an ICC profile."""

import struct
from io import BytesIO

import numpy as np
import pytest
from odd_images import DISPLAY_P3, profile
from PIL import ExifTags, Image, ImageCms, features
from PIL.PngImagePlugin import PngInfo

from gan_lab.common.domains import Domain
from gan_lab.data.reading.frames import READERS
from gan_lab.data.reading.images import open_image, read_image
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.reading.stated_colours import BY_PRIMARIES, _boxes, icc_profile

RED = (234, 51, 35)
"""sRGB's (255, 0, 0) in Display P3."""
SRGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
CHROMATICITIES = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


def flat(colour=RED):
    return Image.new("RGB", (64, 48), colour)


def png(*chunks, image=None, **options):
    """A PNG with these chunks, (name, content), before its pixels."""
    info, file = PngInfo(), BytesIO()
    for name, content in chunks:
        info.add(name, content)
    (image or flat()).save(file, "PNG", pnginfo=info, **options)
    return file


def cicp(primaries, transfer):
    return b"cICP", bytes([primaries, transfer, 0, 1])


def chromaticities(values=CHROMATICITIES):
    return b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in values))


def gamma(value):
    return b"gAMA", struct.pack(">I", round(value * 100_000))


def box(name, content):
    return struct.pack(">I4s", 8 + len(content), name) + content


def avif(primaries, transfer):
    """An AVIF file; Pillow writes one that states sRGB."""
    if not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    file = BytesIO()
    flat().save(file, "AVIF", quality=100, subsampling="4:4:4")
    content = bytearray(file.getvalue())
    place = content.index(b"colrnclx") + 8
    content[place : place + 4] = struct.pack(">HH", primaries, transfer)
    return BytesIO(bytes(content))


def heif(primaries, transfer):
    pytest.importorskip("pillow_heif").register_heif_opener()
    file = BytesIO()
    numbers = {"color_primaries": primaries, "transfer_characteristics": transfer, "matrix_coefficients": 6}
    flat().save(file, "HEIF", quality=-1, chroma=444, **numbers)
    return file


def jpeg(mark=None, space=65535, **options):
    """A JPEG with the mark of DCF in its EXIF tags, as cameras write it."""
    tags, file = Image.Exif(), BytesIO()
    if mark:
        tags[ExifTags.Base.Make] = "camera"
        tags[ExifTags.IFD.Exif] = {ExifTags.Base.ColorSpace: space, ExifTags.IFD.Interop: {1: mark}}
    flat((219, 0, 0)).save(file, "JPEG", quality=100, subsampling=0, exif=tags.tobytes(), **options)
    return file


def opened(file):
    """The colour of an image, and the notes."""
    file.seek(0)
    found = open_image(file, details=True)
    return np.asarray(found.image.convert("RGB"))[24, 32].astype(int), found.notes


P3_FILES = {
    "PNG by cICP": lambda: png(cicp(12, 13)),
    "PNG by cICP against its profile": lambda: png(cicp(12, 13), icc_profile=profile("other", gamma=1.0)),
    "PNG by cHRM": lambda: png(chromaticities()),
    "PNG by cHRM and gAMA": lambda: png(chromaticities(), gamma(0.45455)),
    "AVIF": lambda: avif(12, 13),
    "AVIF with the curve of television": lambda: avif(12, 1),
    "HEIF": lambda: heif(12, 13),
}


@pytest.mark.parametrize("name", P3_FILES)
def test_display_p3_becomes_srgb(name):
    colour, notes = opened(P3_FILES[name]())
    assert np.abs(colour - (255, 0, 0)).max() <= 3
    assert len(notes) == 1 and notes[0].endswith("converted to sRGB")


SRGB_FILES = {
    "cICP": lambda: png(cicp(1, 13)),
    "unknown primaries": lambda: png(cicp(2, 2)),
    "a profile beside unknown primaries": lambda: png(cicp(2, 2), icc_profile=SRGB_PROFILE),
    "grey has no primaries": lambda: png(cicp(12, 13), image=Image.new("L", (64, 48), 90)),
    "a damaged gamma": lambda: png((b"gAMA", struct.pack(">I", 1))),
    "another damaged gamma": lambda: png((b"gAMA", b"\xff\xff\xff\xff")),
    "a mark that an editor left": lambda: jpeg("R03", space=1),
    "a damaged cICP": lambda: png((b"cICP", b"\x0c\x0d")),
    "sRGB goes before cHRM": lambda: png((b"sRGB", b"\0"), chromaticities()),
    "what most programs write": lambda: png(gamma(0.45455)),
    "chromaticities of sRGB": lambda: png(chromaticities((0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06))),
    "no chromaticities": lambda: png(chromaticities((0.0,) * 8)),
    "chromaticities on a line": lambda: png(chromaticities((0.3, 0.3, 0.1, 0.1, 0.2, 0.2, 0.4, 0.4))),
    "AVIF": lambda: avif(1, 13),
    "HEIF": lambda: heif(1, 13),
}


@pytest.mark.parametrize("name", SRGB_FILES)
def test_srgb_stays_as_it_is(name):
    file = SRGB_FILES[name]()
    assert np.array_equal(opened(file)[0], np.asarray(Image.open(file).convert("RGB"))[24, 32])
    assert not opened(file)[1]


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    ("chunk", "expected"), [(gamma(1.0), 188), (gamma(0.55556), 145), (cicp(1, 8), 188), (cicp(12, 4), 128)], ids=str
)
def test_gamma_of_a_png(chunk, mode, expected):
    """Linear 0.5 is 188 in sRGB; a screen of gamma 1.8 shows 128 as 0.5 ** 1.8."""
    colour, notes = opened(png(chunk, image=Image.new("RGB", (64, 48), (128, 128, 128)).convert(mode)))
    assert np.abs(colour - expected).max() <= 1 and len(notes) == 1


def test_frames_have_the_colours_of_images(tmp_path):
    file = png(cicp(12, 13), save_all=True, append_images=[flat((0, 0, 9))])
    spec = ResizeSpec((48, 64), (48, 64), 3)
    (tmp_path / "moving.png").write_bytes(file.getvalue())
    frames = [*READERS[".png"](tmp_path / "moving.png", spec)]
    assert len(frames) == 2 and np.abs(frames[0].pixels[:, 24, 32] - opened(file)[0]).max() == 0


def test_adobe_rgb_that_a_camera_marks():
    colour, notes = opened(jpeg("R03"))
    assert np.abs(colour - (255, 0, 0)).max() <= 3 and notes == ["colour profile Adobe RGB (1998) converted to sRGB"]
    assert np.abs(opened(jpeg("R98"))[0] - (219, 0, 0)).max() <= 2
    own = profile("Display P3", DISPLAY_P3)
    assert opened(jpeg("R03", icc_profile=own))[1] == ["colour profile Display P3 converted to sRGB"]


def test_an_edited_copy_states_srgb():
    """It has no profile, so the camera's mark would be taken at its word again."""
    file = jpeg("R03")
    file.seek(0)
    tags = Image.Exif()
    tags.load(read_image(file, Domain()).exif)
    assert tags[ExifTags.Base.Make] == "camera"
    assert tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] == 1
    assert not tags.get_ifd(ExifTags.IFD.Interop)


@pytest.mark.parametrize(("transfer", "curve"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_said(transfer, curve):
    colour, notes = opened(png(cicp(9, transfer)))
    assert tuple(colour) == RED and notes == [f"high dynamic range ({curve}) not mapped to sRGB"]
    grey = png(cicp(9, transfer), image=Image.fromarray(np.full((48, 64), 1000, np.uint16)))
    grey.seek(0)
    assert read_image(grey, Domain(channels=1), all_levels=True).levels.unique().tolist() == [1000]


@pytest.mark.parametrize("size", [0, 1, 7, 9, 4_000_000_000])
def test_boxes_of_damaged_files_end(size):
    content = avif(12, 13).getvalue()
    place = content.index(b"colr") - 4
    damaged = content[:place] + struct.pack(">I", size) + content[place + 4 :]
    assert len([*_boxes(damaged, (b"meta", b"iprp", b"ipco", b"colr"))]) <= 1


def test_a_profile_is_read_by_others():
    """LittleCMS finds Display P3's colorants as its published profile has them."""
    made = ImageCms.ImageCmsProfile(BytesIO(icc_profile(BY_PRIMARIES[12]))).profile
    found = [colour[0] for colour in (made.red_colorant, made.green_colorant, made.blue_colorant)]
    assert np.abs(np.array(found) - DISPLAY_P3).max() < 3e-4
