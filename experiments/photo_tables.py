"""Tables of restorers (``restorers.py``) and stylisations (``stylisations.py``), for docs."""

from collections.abc import Mapping
from typing import Any

from markup import heading, line

PLAIN = {"noisy", "JPEG", "bicubic", "mean"}
"""Ways whose PSNR the others are compared with."""


def restorer_table(record: Mapping[str, Any]) -> list[str]:
    """Returns a row for each set, task and way."""
    header = ["task", "photographs", "", "PSNR (dB)", "gain", "SSIM", "pd_colour", "fd_general", "seconds a megapixel"]
    lines = []
    for name, of in record["sets"].items():
        for task, ways in of["tasks"].items():
            key = "psnr_y" if task.startswith("superres") else "psnr"
            plain = next(found[key] for way, found in ways.items() if way in PLAIN)
            for way, found in ways.items():
                own = way.startswith("gan_lab")
                cells = [f"{found[key]:.2f}", f"{found[key] - plain:+.2f}", f"{found['ssim']:.3f}"]
                frechet = f"{found['fd_general']:.1f}" if "fd_general" in found else ""
                cells += [f"{found['pd_colour']:.3f}", frechet, f"{found['seconds_per_megapixel']:.2g}"]
                text = f"**{way}**" if own else way
                lines.append(line(task, f"{name} ({of['images']})", text, *cells))
    return [*heading(header), *lines, "", f"On one thread of: {record['hardware']}."]


def stylisation_table(record: Mapping[str, Any]) -> list[str]:
    """Returns how far the style loss fell, by photograph and style."""
    found = record["stylisations"]
    pairs = [tuple(name.split(", ")) for name in found]
    contents, styles = (list(dict.fromkeys(each)) for each in zip(*pairs, strict=True))
    rows = [line(content, *(f"{found[f'{content}, {style}']['fell']:.0f}" for style in styles)) for content in contents]
    seconds = sorted(each["seconds"] for each in found.values())
    text = f"Each took {seconds[0]:.0f} to {seconds[-1]:.0f} s at {record['size']} px on one thread of: "
    return [*heading(["the style loss fell to one in …", *styles]), *rows, "", f"{text}{record['hardware']}."]
