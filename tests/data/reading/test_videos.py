"""Videos are written with stated properties; what must come back follows from the standards, not from a decoder."""

from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.reading.videos import ORIENTATIONS, read_video

WHOLE = ResizeSpec(None, (4, 4), 3, "keep")
ONE = 1 << 16


def write(path, frames, codec="libx264", stamps=None, matrix=None, **properties):
    """Writes frames without loss; ``stamps`` are times in milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, frames[0].format.name
        for name, value in properties.items():
            setattr(stream.codec_context, name, value)
        if matrix:
            stream.set_display_matrix(matrix)
        for number, frame in enumerate(frames):
            if stamps:
                frame.pts, frame.time_base = stamps[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def flat(levels, bits=8, chroma="420"):
    """One colour, given as 8-bit levels of Y, U and V."""
    deep = bits > 8
    frame = av.VideoFrame(64, 48, f"yuv{chroma}p{bits}le" if deep else f"yuv{chroma}p")
    for plane, level in zip(frame.planes, levels, strict=True):
        values = np.full(plane.buffer_size // (1 + deep), level << (bits - 8), np.uint16 if deep else np.uint8)
        plane.update(values.tobytes())
    return frame


def picture(pixels):
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(format="yuv420p")


def read(path):
    return list(read_video(path, WHOLE))


def rgb(levels, red, blue, full):
    """The conversion of H.273 from the shares of red and blue in luma."""
    luma, u, v = levels[0], levels[1] - 128, levels[2] - 128
    y, u, v = (luma / 255, u / 255, v / 255) if full else ((luma - 16) / 219, u / 224, v / 224)
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    g = (y - red * r - blue * b) / (1 - red - blue)
    return 255 * np.clip([r, g, b], 0, 1)


@pytest.mark.parametrize(("bits", "tolerance"), [(8, 2.5), (10, 0.6)])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("matrix", "red", "blue"), [(2, 0.299, 0.114), (6, 0.299, 0.114), (1, 0.2126, 0.0722), (9, 0.2627, 0.0593)]
)
def test_levels_are_those_of_the_stated_matrix_and_range(tmp_path, bits, tolerance, full, matrix, red, blue):
    for levels in ((17, 128, 128), (235, 128, 128), (120, 100, 160)):
        file = write(tmp_path / "a.mkv", [flat(levels, bits)], colorspace=matrix, color_range=1 + full)
        found = read(file)[0].pixels[:, 24, 32]
        assert np.abs(found - rgb(levels, red, blue, full)).max() <= tolerance


MATRICES = {
    (ONE, 0, 0, ONE): lambda x: x,
    (-ONE, 0, 0, ONE): lambda x: x[:, ::-1],
    (ONE, 0, 0, -ONE): lambda x: x[::-1],
    (-ONE, 0, 0, -ONE): lambda x: x[::-1, ::-1],
    (0, ONE, -ONE, 0): lambda x: np.rot90(x, -1),
    (0, -ONE, ONE, 0): lambda x: np.rot90(x),
    (0, ONE, ONE, 0): lambda x: x.swapaxes(0, 1),
    (0, -ONE, -ONE, 0): lambda x: x[::-1, ::-1].swapaxes(0, 1),
}
"""What x' = ax + cy, y' = bx + dy does to an image, by (a, b, c, d)."""


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_frames_are_turned_and_mirrored_as_the_display_matrix_says(tmp_path, matrix, ending):
    assert len(ORIENTATIONS) == len(MATRICES)
    pixels = np.full((32, 64, 3), 40, np.uint8)
    pixels[:8, :16], pixels[:8, 48:], pixels[24:, :16] = 120, 180, 240
    a, b, c, d = matrix
    file = write(tmp_path / f"a.{ending}", [picture(pixels)] * 2, matrix=(a, b, 0, c, d, 0, 0, 0, 1 << 30))
    expected = MATRICES[matrix](pixels).transpose(2, 0, 1)
    for found in read(file):
        assert found.pixels.shape == expected.shape and np.abs(found.pixels.astype(int) - expected).max() <= 3


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
@pytest.mark.parametrize(("shape", "size"), [("4/3", (64, 128)), ("3/4", (84, 96)), ("2", (64, 192)), ("1", (64, 96))])
def test_pixels_become_square(tmp_path, ending, shape, size):
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[16:48, 24:72] = 255
    found = read(write(tmp_path / f"a.{ending}", [picture(pixels)], sample_aspect_ratio=Fraction(shape)))[0].pixels
    assert found.shape[1:] == size
    white = found[0] > 127
    assert abs(white.any(1).sum() - size[0] / 2) <= 1 and abs(white.any(0).sum() - size[1] / 2) <= 1


def test_a_shape_of_pixels_that_cannot_be_meant_is_named(tmp_path):
    found = read(write(tmp_path / "a.mkv", [flat((90, 128, 128))], sample_aspect_ratio=Fraction(20)))[0]
    assert (found.width, found.height) == (64, 48) and found.notes == ("pixels 20:1 taken as square",)


@pytest.mark.parametrize(
    ("transfer", "primaries", "note"),
    [(16, 9, "HDR (PQ)"), (18, 9, "HDR (HLG)"), (1, 9, "wide gamut (BT.2020)"), (1, 12, "wide gamut (P3)"), (1, 1, "")],
)
def test_colours_that_are_not_converted_are_named(tmp_path, transfer, primaries, note):
    file = write(tmp_path / "a.mp4", [flat((90, 128, 128), 10)], color_trc=transfer, color_primaries=primaries)
    assert read(file)[0].notes == ((f"{note} not converted",) if note else ())


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_frame_that_stays_longer_is_repeated(tmp_path, ending):
    levels, stamps = [40, 80, 120, 160, 200], [0, 40, 160, 200, 240]
    file = write(tmp_path / f"a.{ending}", [flat((each, 128, 128), chroma="444") for each in levels], stamps=stamps)
    found = [round(float(each.pixels.mean()) * 219 / 255 + 16) for each in read(file)]
    assert found == [40, 80, 80, 80, 120, 160, 200]


def test_transparent_frames_are_composited_over_white(tmp_path):
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:, 8:] = 200, 0, 0, 255
    file = write(tmp_path / "a.mov", [av.VideoFrame.from_ndarray(pixels, format="rgba")], codec="png")
    found = read(file)[0].pixels
    assert found[:, 8, 3].tolist() == [255, 255, 255] and found[:, 8, 12].tolist() == [200, 0, 0]


def test_the_picture_on_the_cover_is_not_the_recording(tmp_path):
    """The cover comes first in the file, and is larger."""
    film = write(tmp_path / "film.mp4", [flat((90, 128, 128)) for _ in range(3)])
    Image.new("RGB", (128, 128)).save(tmp_path / "cover.jpg")
    with (
        av.open(str(tmp_path / "a.mp4"), "w") as both,
        av.open(str(tmp_path / "cover.jpg")) as cover,
        av.open(str(film)) as source,
    ):
        pairs = [(each, both.add_stream_from_template(each.streams.video[0])) for each in (cover, source)]
        pairs[0][1].disposition = av.stream.Disposition.attached_pic
        for container, stream in pairs:
            for packet in container.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    both.mux(packet)
    assert [(each.width, each.height) for each in read(tmp_path / "a.mp4")] == [(64, 48)] * 3
