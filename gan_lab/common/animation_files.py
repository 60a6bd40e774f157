"""Animations in files, in which every frame stays a frame of its own and the speed is the one that was asked for.

Pillow and libwebp merge equal neighbouring frames into one of longer duration, which does not say how many they were
any more: a sequence in which every frame is shown twice would come back with half of its frames.
"""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_lab.common.errors import UserError

BT709, LIMITED_RANGE = 1, 1
"""Numbers in H.273 and in FFmpeg: of the standard, for primaries, transfer function and matrix, and of the range."""

TO_BT709: dict[str, Any] = {
    "format": "yuv420p",
    "dst_colorspace": BT709,
    "dst_color_range": LIMITED_RANGE,
    "interpolation": 0x4 | 0x2000 | 0x4000 | 0x40000,
}
"""Arguments of a conversion by FFmpeg's scaler: bicubic, chroma of every pixel, rounded exactly."""

SHORTEST = {"GIF": 2, "PNG": 11, "WebP": 11}
"""Shortest durations, in hundredths (GIF) and thousandths of a second: browsers show shorter ones ten times as long."""

CONTROL = b"!\xf9"
"""Begin of a GIF's block that holds the duration of the next image."""

RIFF_HEADER = 12

Pictures = Sequence[Image.Image]


def _durations(count: int, fps: float, unit: int, shortest: int) -> list[int]:
    """Rounds times, not durations, so that errors do not add up: 12 frames a second are 8, 9, 8 … hundredths.

    Args:
        count: number of frames.
        fps: frames per second.
        unit: parts of a second.
        shortest: shortest duration in parts of a second.
    """
    times = np.rint(np.arange(count + 1) * unit / fps)
    return [int(each) for each in np.diff(times).clip(shortest, 65535)]


def _write_gif(path: Path, frames: Pictures, fps: float) -> None:
    """Lets Pillow write frames of a hundredth of a second, so that a stored duration is the number of frames merged.

    The merged frames are then put back as one transparent pixel each.
    """
    stream, delays = BytesIO(), iter(_durations(len(frames), fps, 100, SHORTEST["GIF"]))
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:], duration=10, loop=0)
    parts, merged = [], 1
    for block in _gif_blocks(stream.getvalue()):
        if block.startswith(CONTROL):
            merged = int.from_bytes(block[4:6], "little")
            block = block[:4] + next(delays).to_bytes(2, "little") + block[6:]
        parts.append(block)
        if block.startswith(b","):
            parts += [_transparent_pixel(delay) for delay in islice(delays, merged - 1)]
    path.write_bytes(b"".join(parts))


def _transparent_pixel(delay: int) -> bytes:
    """Returns a GIF's frame that changes nothing: its first pixel, of a colour that is declared transparent."""
    control = CONTROL + b"\x04\x01" + delay.to_bytes(2, "little") + b"\0\0"
    return control + b",\0\0\0\0\1\0\1\0\0" + b"\2\2\x44\1\0"


def _gif_blocks(content: bytes) -> Iterator[bytes]:
    """Yields the header with the global palette, each extension, each image, and the end of a GIF."""
    end = 13 + _palette_bytes(content[10])
    yield content[:end]
    while content[end] != 0x3B:
        start = end
        end += 11 + _palette_bytes(content[end + 9]) if content[end] == 0x2C else 2
        while content[end]:  # sub-blocks, each behind its length
            end += 1 + content[end]
        end += 1
        yield content[start:end]
    yield content[end:]


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _write_png(path: Path, frames: Pictures, fps: float) -> None:
    """Alternates the way of blending, which makes no difference to opaque frames: Pillow merges only alike ones."""
    blend = [number % 2 for number in range(len(frames))]
    durations = _durations(len(frames), fps, 1000, SHORTEST["PNG"])
    options = {"append_images": frames[1:], "duration": durations, "blend": blend, "loop": 0}
    frames[0].save(path, "PNG", save_all=True, **options)


def _write_webp(path: Path, frames: Pictures, fps: float) -> None:
    """Joins images, because libwebp's encoder of animations merges frames that it finds similar."""
    durations = _durations(len(frames), fps, 1000, SHORTEST["WebP"])
    parts: list[bytes] = []
    before, shown = b"", frames[0]
    for frame, duration in zip(frames, durations, strict=True):
        pixels = frame.tobytes()
        if pixels == before:  # its first pixel as it was decoded is enough
            part, file = shown, _webp(shown, lossless=True)
        else:
            part, file = frame, _webp(frame)
            shown = Image.open(BytesIO(file)).crop((0, 0, 1, 1))
        header = bytes(6) + _webp_size(part) + duration.to_bytes(3, "little") + b"\2"  # at (0, 0), not blended
        parts.append(_webp_chunk(b"ANMF", header + file[RIFF_HEADER:]))
        before = pixels
    control = _webp_chunk(b"VP8X", b"\2\0\0\0" + _webp_size(frames[0])) + _webp_chunk(b"ANIM", bytes(6))  # endless
    path.write_bytes(_webp_chunk(b"RIFF", b"WEBP" + control + b"".join(parts)))


def _webp(image: Image.Image, lossless: bool = False) -> bytes:
    stream = BytesIO()
    image.save(stream, "WEBP", lossless=lossless)
    return stream.getvalue()


def _webp_size(image: Image.Image) -> bytes:
    return b"".join((side - 1).to_bytes(3, "little") for side in image.size)


def _webp_chunk(name: bytes, content: bytes) -> bytes:
    return name + len(content).to_bytes(4, "little") + content + bytes(len(content) % 2)


def _write_mp4(path: Path, frames: Pictures, fps: float) -> None:
    """Writes H.264 in BT.709, and says so: untagged files have other colours in other programs.

    Raises:
        UserError: without PyAV.
    """
    try:
        import av
    except ImportError as error:
        raise UserError(
            "Writing .mp4 needs PyAV: run pip install gan_lab[video], or choose a name that ends in .gif."
        ) from error
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options={"crf": "16"})
        stream.width, stream.height = (side + side % 2 for side in frames[0].size)
        stream.pix_fmt, context = "yuv420p", stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED_RANGE
        for frame in frames:
            rgb = av.VideoFrame.from_ndarray(_even(frame), format="rgb24")
            container.mux(stream.encode(rgb.reformat(**TO_BT709)))
        container.mux(stream.encode())


def _even(frame: Image.Image) -> NDArray[np.uint8]:
    """Returns RGB (H, W, 3) with even sides by repeating the last row or column: H.264 halves the chroma."""
    return np.pad(np.asarray(frame.convert("RGB")), ((0, frame.height % 2), (0, frame.width % 2), (0, 0)), "edge")


WRITERS: dict[str, Callable[[Path, Pictures, float], None]] = {
    ".gif": _write_gif,
    ".webp": _write_webp,
    ".png": _write_png,
    ".mp4": _write_mp4,
}
"""Functions that write opaque frames of one size and mode, L or RGB, at a speed in frames per second."""
