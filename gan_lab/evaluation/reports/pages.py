"""Pages of one file each that ask nothing of the network: what was measured, runs side by side, a test for people."""

import base64
import io
import json
import math
import random
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image
from torch import Tensor

from gan_lab.common.atomic import atomic_write
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_pil

HERE = Path(__file__).parent


@cache
def _environment() -> Environment:
    made = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    made.filters["figure"] = lambda value: "" if value is None else f"{value:.4g}"
    made.globals["style"] = (HERE / "style.css").read_text(encoding="utf-8")
    return made


def write_page(path: Path, template: str, **shown: Any) -> Path:
    """Fills a template of this folder and writes it, wholly or not at all; returns its path."""
    page = _environment().get_template(template).render(**shown)
    with atomic_write(path, sync=False) as beside:
        beside.write_text(page, encoding="utf-8")
    return path


def embedded(image: Tensor, least: int = 96) -> str:
    """A picture uint8 (1 or 3, H, W) as a PNG within an address; small ones enlarged by a whole factor."""
    factor = max(1, math.ceil(least / max(image.shape[1:])))
    larger = image.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    buffer = io.BytesIO()
    to_pil(larger).save(buffer, "PNG", optimize=True)
    return _address(buffer.getvalue(), "png")


WIDEST, HEAVIEST = 768, 160_000
"""Pixels and bytes of a picture of a run that stands in a page."""


def picture(path: Path, widest: int = WIDEST) -> str | None:
    """A picture's file as an address that holds it, made smaller where it is wide or heavy; None for a damaged one."""
    try:
        with Image.open(path) as image:
            image.load()
            if image.format == "PNG" and image.width <= widest and path.stat().st_size <= HEAVIEST / 2:
                return _address(path.read_bytes(), "png")
            return _address(_lighter(image.convert("RGB"), widest), "webp")
    except Exception:  # a damaged file raises whatever its decoder happens to
        return None


def _lighter(image: Image.Image, widest: int) -> bytes:
    """As WebP, of less quality and then size until it is light enough."""
    for width, quality in ((widest, 85), (widest, 70), (widest * 3 // 4, 60), (widest // 2, 50)):
        size = min(image.width, width), max(1, round(image.height * min(1.0, width / image.width)))
        buffer = io.BytesIO()
        image.resize(size, Image.Resampling.LANCZOS).save(buffer, "WEBP", quality=quality)
        if buffer.tell() <= HEAVIEST:
            break
    return buffer.getvalue()


def _address(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def as_script(content: Any) -> str:
    """JSON to stand in a script, which no text in it ends."""
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


def write_trial(path: Path, real: Tensor, made: Tensor, model: str, pairs: bool, seed: int = 0) -> Path:
    """A page that shows people pictures and counts how often they take a made one for real.

    Args:
        path: of the page.
        real, made: as many pictures each, uint8 (n, C, H, W).
        model: its name, for the answers.
        pairs: shows one of each side by side; otherwise single ones, real or made.
        seed: of the order and the sides.
    """
    draw, questions = random.Random(seed), []
    for a, b in zip(real, made, strict=True):
        sources = [embedded(a), embedded(b)]
        if pairs:
            truth = draw.randrange(2)
            questions.append({"sources": sources if truth == 0 else sources[::-1], "truth": truth})
        else:
            questions += [{"sources": [source], "truth": truth} for truth, source in enumerate(sources)]
    draw.shuffle(questions)
    trial = {"pairs": pairs, "model": model, "width": max(192, real.shape[-1]), "questions": questions}
    title = f"Real, or made by {model}?"
    return write_page(path, "trial.html.j2", title=title, pairs=pairs, trial=as_script(trial))


def wilson(wrong: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """The interval of a share, with 95 % confidence by default (Wilson 1927)."""
    share, scale = wrong / n, 1 + z**2 / n
    middle = (share + z**2 / (2 * n)) / scale
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / scale
    return max(0.0, middle - half), min(1.0, middle + half)


def read_answers(path: Path) -> dict[str, Any]:
    """What a trial's page saved, and what ``judged`` finds in it: ``kind``, ``model``, ``n``, ``wrong``, ….

    Raises:
        UserError: if the file holds no answers.
    """
    try:
        answers = json.loads(path.read_text(encoding="utf-8"))
        return {"kind": answers["kind"], "model": answers["model"], **judged(answers)}
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise UserError(f"{path} holds no answers: give the file that the page of a test with people saved.") from error


def answers_record(path: Path) -> tuple[dict[str, Any], str]:
    """Returns the record of what people answered to a trial's page, and the error rate in a sentence.

    Raises:
        UserError: if the file holds no answers.
    """
    found = read_answers(path)
    rate, low, high = (f"{100 * found[key]:.1f} %" for key in ("error_rate", "low", "high"))
    return {"answers": str(path), **found}, (
        f"{found['wrong']} of {found['n']} wrong: an error rate of {rate}, with 95 % confidence between {low} and "
        f"{high}. Guessing errs in 50 %."
    )


def judged(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Of the answers that a page saved: how many were wrong, the error rate and its interval."""
    found: Sequence[Mapping[str, Any]] = answers["answers"]
    wrong = sum(not each["right"] for each in found)
    low, high = wilson(wrong, len(found))
    return {"n": len(found), "wrong": wrong, "error_rate": wrong / len(found), "low": low, "high": high}
