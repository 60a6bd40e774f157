"""An HTML page of inputs and outputs for any browser: one file and a folder of thumbnails."""

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from torch import Tensor

from gan_lab.common.atomic import atomic_write, fitting_name
from gan_lab.common.domains import Domain
from gan_lab.common.images import to_pil, to_uint8
from gan_lab.inference.tiling.pixels import resize

THUMBNAIL = 256
"""Longer side of a thumbnail, in pixels."""
STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 58rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; margin-bottom: 0; }
p, figcaption, h2 { color: color-mix(in srgb, currentColor 65%, transparent); }
article { border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: .8rem 0 1.2rem; }
h2 { font-size: 1rem; font-weight: normal; margin: 0 0 .4rem; overflow-wrap: anywhere; }
section { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; flex: 0 1 256px; }
figcaption { font-size: .85rem; }
img { max-width: 100%; height: auto; display: block; border-radius: 4px; }
"""


TABLE = """
body { max-width: calc(COUNT * 13rem); }
section { display: grid; grid-template-columns: repeat(COUNT, minmax(0, 1fr)); }
img { width: 100%; }
"""
SLIDER = """
.slider { position: relative; max-width: 100%; width: fit-content; --at: 50%; touch-action: pan-y; }
.slider img { width: 100%; }
.slider img + img { position: absolute; inset: 0; height: 100%; clip-path: inset(0 calc(100% - var(--at)) 0 0); }
.slider input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: ew-resize; }
.slider::after { content: ""; position: absolute; inset: 0 auto 0 var(--at); width: 2px; background: white;
  mix-blend-mode: difference; pointer-events: none; }
.slider:focus-within { outline: 2px solid Highlight; }
"""
MOVE = "this.parentNode.style.setProperty('--at', this.value + '%')"


class SheetPage:
    """Collects rows of images for a page.

    Example: ``sheet.show("horse", "input", pixels, domain); sheet.add("horse", {}); sheet.write("Horses", "")``

    Args:
        folder: folder for ``index.html`` and the folder ``thumbnails``.
        columns: names of a row's columns, in their order.
    """

    style, side = STYLE, THUMBNAIL

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        self.folder, self.columns = folder, columns
        self.links: dict[str, Mapping[str, Path]] = {}

    def thumbnail(self, name: str, column: str) -> Path:
        path = self.folder / "thumbnails" / f"{name}.{column}.jpg"
        return path.with_name(fitting_name(path.name))

    def show(self, name: str, column: str, pixels: Tensor, domain: Domain) -> None:
        """Writes the thumbnail of stored pixels, uint8 (C, H, W); label maps get one colour for each class."""
        path, small = self.thumbnail(name, column), _thumbnail(pixels, domain, self.side)
        with atomic_write(path, sync=False) as temporary:
            to_pil(small).save(temporary, "JPEG", quality=88)

    def add(self, name: str, links: Mapping[str, Path]) -> None:
        """Adds a row with the thumbnails that exist; ``links`` are the files that they open, by column."""
        self.links[name] = links

    def write(self, title: str, text: str) -> Path:
        """Writes the page and returns its path."""
        path = self.folder / "index.html"
        rows = "\n".join(self._row(name, links) for name, links in self.links.items())
        head = f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{escape(title)}</title>'
        view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
        body = f"<h1>{escape(title)}</h1>\n<p>{escape(text)}</p>\n{rows}"
        with atomic_write(path, sync=False) as temporary:
            page = f"{head}\n{view}\n<style>{self.style}</style>\n{body}\n</html>\n"
            temporary.write_text(page, encoding="utf-8", errors="backslashreplace")  # names of files may be no UTF-8
        return path

    def _row(self, name: str, links: Mapping[str, Path]) -> str:
        figures = "\n".join(self._figures(name, links))
        return f"<article><h2>{escape(name)}</h2><section>\n{figures}\n</section></article>"

    def _figures(self, name: str, links: Mapping[str, Path]) -> list[str]:
        shown = [column for column in self.columns if self.thumbnail(name, column).exists()]
        return [self._figure(name, column, links.get(column)) for column in shown]

    def _figure(self, name: str, column: str, target: Path | None) -> str:
        source, text = self._address(self.thumbnail(name, column)), escape(f"{column} of {name}")
        image = f'<img loading="lazy" src="{source}" alt="{text}">'
        linked = image if target is None else f'<a href="{self._address(target)}">{image}</a>'
        return f"<figure>{linked}<figcaption>{escape(column)}</figcaption></figure>"

    def _address(self, path: Path) -> str:
        """Returns the address relative to the page, so that the folder can be moved."""
        return quote(os.fsencode(Path(os.path.relpath(path.absolute(), self.folder.absolute())).as_posix()))


class TablePage(SheetPage):
    """A page with rows in columns of one width, empty where a row has no image."""

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        super().__init__(folder, columns)
        self.style = f"{STYLE}{TABLE.replace('COUNT', str(len(columns)))}"

    def _figures(self, name: str, links: Mapping[str, Path]) -> list[str]:
        shown = {column for column in self.columns if self.thumbnail(name, column).exists()}
        return [
            self._figure(name, column, links.get(column)) if column in shown else "<figure></figure>"
            for column in self.columns
        ]


class SliderPage(SheetPage):
    """A page on which a slider moves between an image before and after.

    Args:
        folder: folder for ``index.html`` and the folder ``thumbnails``.
    """

    style, side = STYLE + SLIDER, 1280

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ("before", "after"))

    def _row(self, name: str, links: Mapping[str, Path]) -> str:
        after, before = (
            f'<img loading="lazy" src="{self._address(self.thumbnail(name, column))}" alt="{escape(name)}, {column}">'
            for column in ("after", "before")
        )
        handle = f'<input type="range" value="50" aria-label="{escape(name)}: before and after" oninput="{MOVE}">'
        return f'<article><h2>{escape(name)}</h2><div class="slider">{after}{before}{handle}</div></article>'


def _thumbnail(pixels: Tensor, domain: Domain, side: int) -> Tensor:
    """Downscales to at most ``side`` pixels a side, uint8 (1 or 3, H, W)."""
    height, width = pixels.shape[1:]
    scale = min(1.0, side / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    small = resize(pixels, size, nearest=domain.labels > 0)
    return to_uint8(domain.visualize(domain.encode(small[None])))[0] if domain.labels else small
