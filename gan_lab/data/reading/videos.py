"""Frames of videos, as a player shows them: upright, with square pixels, in 8 bits, at a constant rate."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import repeat
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.data.reading.colour import over_white
from gan_lab.data.reading.image_sets import DecodedImage
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.reading.timing import CUT_SHORT, MAX_REPEATS, frame_counts

VIDEOS = (".avi", ".mkv", ".mov", ".mp4", ".webm")

ORIENTATIONS = {
    (False, 1, 1): None,
    (False, -1, 1): Image.Transpose.FLIP_LEFT_RIGHT,
    (False, 1, -1): Image.Transpose.FLIP_TOP_BOTTOM,
    (False, -1, -1): Image.Transpose.ROTATE_180,
    (True, 1, 1): Image.Transpose.TRANSPOSE,
    (True, -1, 1): Image.Transpose.ROTATE_270,
    (True, 1, -1): Image.Transpose.ROTATE_90,
    (True, -1, -1): Image.Transpose.TRANSVERSE,
}
"""Operations that bring a frame upright, by whether x and y change places and by the signs of the new x and y."""

MAX_SQUEEZE = 8
"""Largest ratio of a pixel's sides that is believed."""

EXACT = {"interpolation": 0x2 | 0x2000 | 0x40000}
"""Arguments of a conversion by FFmpeg's scaler: bilinear, chroma of every pixel, rounded exactly."""

TRANSFERS = {16: "HDR (PQ) not converted", 18: "HDR (HLG) not converted"}
PRIMARIES = {9: "wide gamut (BT.2020) not converted", 11: "wide gamut (P3) not converted"}
PRIMARIES[12] = PRIMARIES[11]
"""Remarks on colours, by their numbers in H.273."""

JITTER = 0.1
"""Differences between the durations of frames that mean nothing, as a share of them."""


def pyav() -> ModuleType:
    """Imports PyAV.

    Raises:
        UserError: if it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise UserError(
            "Reading videos needs PyAV: run pip install gan_lab[video], or give an animation, an array or a folder of "
            "frames."
        ) from error
    return av


def read_video(path: Path, spec: ResizeSpec) -> Iterator[DecodedImage]:
    """Yields the frames of a video's main stream; one that stays for several intervals is repeated.

    Colours are converted by the matrix and the range that the file states, BT.601 and limited if it states none.
    """
    counts = _repeated(path)
    with pyav().open(str(path)) as container:
        stream = container.streams.best("video")
        if stream is None:
            return
        stream.thread_type = "AUTO"
        pixel_shape, of_stream = stream.sample_aspect_ratio or Fraction(1), list(_stream_notes(stream))
        operation = None
        for number, frame in enumerate(container.decode(stream)):
            if number == 0:  # PyAV's frames stay in memory for longer once their side data were asked for
                operation = _to_upright(frame)
            image = _square_pixels(_rgb(frame), pixel_shape)
            image = image if operation is None else image.transpose(operation)
            count = counts.get(frame.pts, 1)
            notes = (*of_stream, *_frame_notes(frame, count))
            decoded = DecodedImage(spec.apply(image), image.width, image.height, image.mode, notes)
            yield from repeat(decoded, count)


def _repeated(path: Path) -> dict[int, int]:
    """Returns how often frames count that count more than once, by their time stamps. Nothing is decoded."""
    with pyav().open(str(path)) as container:
        stream = container.streams.best("video")
        packets = [] if stream is None else list(container.demux(stream))
        stamps = sorted((each.pts, each.duration or 0) for each in packets if each.pts is not None)
    times = np.array([time for time, _ in stamps], np.int64)
    if len(times) < 2:
        return {}
    durations = [*np.diff(times).tolist(), stamps[-1][1]]
    counts = frame_counts(durations, tolerance=1, jitter=JITTER)
    return {int(times[row]): int(counts[row]) for row in np.flatnonzero(counts > 1)}


def _stream_notes(stream: Any) -> Iterator[str]:
    """Yields what is not converted in a stream."""
    context = stream.codec_context
    yield from filter(None, [TRANSFERS.get(context.color_trc) or PRIMARIES.get(context.color_primaries)])
    if stream.metadata.get("alpha_mode") == "1":  # FFmpeg's decoders of VP8 and VP9 leave it out
        yield "transparency left out"
    shape = stream.sample_aspect_ratio
    if shape and not _is_credible(shape):
        yield f"pixels {shape.numerator}:{shape.denominator} taken as square"


def _frame_notes(frame: Any, count: int) -> Iterator[str]:
    if frame.interlaced_frame:
        yield "interlaced, fields not separated"
    if count == MAX_REPEATS:
        yield CUT_SHORT


def _rgb(frame: Any) -> Image.Image:
    """Converts to 8 bits, over white where a frame is transparent."""
    parts = frame.format.components
    if any(part.is_alpha for part in parts) and not frame.format.has_palette:
        return over_white(Image.fromarray(frame.to_ndarray(format="rgba", **EXACT)))
    # FFmpeg's fast conversion, which is up to two levels too dark, is kept for 8 bits: the exact one takes longer
    return frame.to_image(**(EXACT if parts[0].bits > 8 else {}))


def _is_credible(pixel_shape: Fraction) -> bool:
    return 1 / MAX_SQUEEZE <= pixel_shape <= MAX_SQUEEZE


def _square_pixels(image: Image.Image, pixel_shape: Fraction) -> Image.Image:
    """Enlarges one side by the ratio of a pixel's width to its height, so that no detail is lost."""
    if pixel_shape == 1 or not _is_credible(pixel_shape):
        return image
    one = Fraction(1)
    size = round(image.width * max(pixel_shape, one)), round(image.height / min(pixel_shape, one))
    return image.resize(size, Image.Resampling.BICUBIC)


def _to_upright(frame: Any) -> Image.Transpose | None:
    """Returns the operation nearest to the display matrix: x' = ax + cy, y' = bx + dy (ISO 14496-12)."""
    stated = frame.side_data.get("DISPLAYMATRIX")
    if stated is None:
        return None
    a, b, _, c, d, *_ = np.frombuffer(stated, np.int32).tolist()
    turned = abs(b) + abs(c) > abs(a) + abs(d)
    across, down = (c, b) if turned else (a, d)
    return ORIENTATIONS[turned, -1 if across < 0 else 1, -1 if down < 0 else 1]
