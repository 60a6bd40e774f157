"""HTML pages of one file each: templates, embedded images and data. They load nothing from the network."""

import base64
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image
from torch import Tensor

from gan_lab.common.atomic import atomic_write
from gan_lab.common.images import to_pil
from gan_lab.evaluation.reports.marks import mark_notes

HERE = Path(__file__).parent
MAX_WIDTH, MAX_BYTES = 768, 160_000
"""Largest width in pixels, and largest size, of an image file that is embedded in a page."""

T = TypeVar("T")


@cache
def _environment() -> Environment:
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    environment.filters["number"] = lambda value: "" if value is None else f"{value:.4g}"
    environment.filters["notes"] = mark_notes
    environment.globals["style"] = (HERE / "style.css").read_text(encoding="utf-8")
    return environment


def write_page(path: Path, template: str, **content: object) -> Path:
    """Fills a template of this folder and writes it atomically; returns its path."""
    page = _environment().get_template(template).render(**content)
    with atomic_write(path, sync=False) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="backslashreplace")
    return path


@dataclass(frozen=True)
class Link:
    """A relative address and the name of the file that it leads to."""

    address: str
    name: str


def link(page: Path, target: Path) -> Link:
    """Returns a link from one page to another that works wherever both are moved together."""
    return Link(quote(os.fsencode(Path(os.path.relpath(target, page.parent)).as_posix())), target.name)


@dataclass(frozen=True)
class Cell:
    """A cell of a table; the best values of a column are shown in bold."""

    text: str
    best: bool = False


def embed_image(image: Tensor, min_side: int = 96) -> str:
    """Returns an image, uint8 (1 or 3, H, W), as a data URL of a PNG; small ones are enlarged by an integer factor."""
    factor = max(1, math.ceil(min_side / max(image.shape[1:])))
    enlarged = image.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    buffer = io.BytesIO()
    to_pil(enlarged).save(buffer, "PNG", compress_level=3)  # a tenth of the best level's time, and 4 % larger
    return data_url(buffer.getvalue(), "png")


def embed_file(path: Path, max_width: int = MAX_WIDTH) -> str | None:
    """Returns an image file as a data URL, reduced if it is wide or large; None for a damaged or missing file."""
    try:
        with Image.open(path) as image:
            image.load()
            if image.format == "PNG" and image.width <= max_width and path.stat().st_size <= MAX_BYTES / 2:
                return data_url(path.read_bytes(), "png")
            return data_url(_reduced(image.convert("RGB"), max_width), "webp")
    except Exception:  # decoders raise exceptions of any kind for damaged files
        return None


def _reduced(image: Image.Image, max_width: int) -> bytes:
    """Encodes as WebP, with less quality and then width until the file is small enough."""
    for width, quality in ((max_width, 85), (max_width, 70), (max_width * 3 // 4, 60), (max_width // 2, 50)):
        size = min(image.width, width), max(1, round(image.height * min(1.0, width / image.width)))
        buffer = io.BytesIO()
        image.resize(size, Image.Resampling.LANCZOS).save(buffer, "WEBP", quality=quality)
        if buffer.tell() <= MAX_BYTES:
            break
    return buffer.getvalue()


def data_url(content: bytes, kind: str) -> str:
    """Returns an encoded image of a kind, such as png, as an address that a page can hold."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def json_for_script(content: Sequence[object] | Mapping[str, object]) -> str:
    """Returns JSON for a script element, which no text in it can end."""
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


def setting_text(value: object) -> str:
    """Formats a setting as a user would type it, without quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def evenly_spaced(items: Sequence[T], most: int) -> list[T]:
    """Returns at most ``most`` items, evenly spaced, including the first and the last."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]
